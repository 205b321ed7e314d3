// ingest-kafka: a topic that somebody else writes, into the server's log, exactly once.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "client/commands/commands.h"
#include "client/kafka/ingest_metrics.h"
#include "client/kafka/kafka_topic.h"
#include "client/kafka/record_mapping.h"
#include "client/kafka/topic_ingest.h"
#include "client/terminal/table.h"
#include "client/text_file.h"
#include "program/standard_error.h"
#include "program/terminal_text.h"

namespace groundswell {
namespace {

constexpr std::chrono::milliseconds kBrokerTimeout{10'000};
// Between attempts that failed at once.
constexpr std::chrono::milliseconds kPause{200};
// Partitions that a report has one line each for; those that are furthest behind.
constexpr size_t kPartitionsShown = 20;

struct KafkaFlags {
  std::string topic;
  std::string brokers;
  std::string properties_file;
  std::string mapping_file;
  bool protobuf = false;
  std::string begin = "earliest";
  std::string bad_records = "stop";
  std::string lost_records = "stop";
  std::string dead_letter_topic;
  std::string metrics_address;
  int64_t retry_for_s = 600;
  int64_t report_s = 10;
  TopicIngest::Options ingest;
};

absl::StatusOr<RecordMapping> ReadMapping(const KafkaFlags& flags) {
  if (flags.protobuf) return RecordMapping::OfProtobuf();
  const absl::StatusOr<std::string> text = ReadTextFile("--mapping", flags.mapping_file);
  if (!text.ok()) return text.status();
  auto mapping = RecordMapping::ParseJsonMapping(*text);
  if (mapping.ok()) return mapping;
  return absl::InvalidArgumentError(
      fmt::format("{}: {}", flags.mapping_file, std::string(mapping.status().message())));
}

nlohmann::ordered_json ToJson(const PartitionProgress& one) {
  return {{"partition", one.partition},
          {"position", one.position},
          {"end", one.end},
          {"lag", one.lag()},
          {"accepted", one.counts.accepted},
          {"duplicates", one.counts.duplicates},
          {"refused", one.counts.refused},
          {"bad_records", one.counts.bad},
          {"passed_over", one.counts.passed_over},
          {"empty_offsets", one.counts.empty}};
}

PartitionProgress Sum(const std::vector<PartitionProgress>& progress) {
  PartitionProgress sum;
  for (const PartitionProgress& one : progress) {
    sum.end += one.lag();  // so that the sum's lag is that of the partitions
    sum.counts.accepted += one.counts.accepted;
    sum.counts.duplicates += one.counts.duplicates;
    sum.counts.refused += one.counts.refused;
    sum.counts.bad += one.counts.bad;
    sum.counts.passed_over += one.counts.passed_over;
    sum.counts.empty += one.counts.empty;
  }
  return sum;
}

std::string TableOf(std::vector<PartitionProgress> progress) {
  const size_t partitions = progress.size();
  std::ranges::stable_sort(progress, std::ranges::greater(), &PartitionProgress::lag);
  if (partitions > kPartitionsShown) progress.resize(kPartitionsShown);
  std::ranges::sort(progress, {}, &PartitionProgress::partition);
  Table table({{"partition", true},
               {"position", true},
               {"lag", true},
               {"accepted", true},
               {"duplicates", true},
               {"refused", true},
               {"bad", true},
               {"passed over", true}});
  for (const PartitionProgress& one : progress) {
    table.AddRow({std::to_string(one.partition), std::to_string(one.position),
                  std::to_string(one.lag()), std::to_string(one.counts.accepted),
                  std::to_string(one.counts.duplicates), std::to_string(one.counts.refused),
                  std::to_string(one.counts.bad), std::to_string(one.counts.passed_over)});
  }
  std::string text = table.ToString();
  if (partitions > kPartitionsShown) {
    text += fmt::format("(the {} of {} partitions that are furthest behind)\n", kPartitionsShown,
                        partitions);
  }
  return text;
}

void ReportProgress(const CommandContext& context, const std::vector<PartitionProgress>& progress) {
  if (!context.json) {
    PrintToStandardError("{}", TableOf(progress));
    return;
  }
  nlohmann::ordered_json partitions = nlohmann::ordered_json::array();
  for (const PartitionProgress& one : progress) partitions.push_back(ToJson(one));
  fmt::print("{}\n", nlohmann::ordered_json{{"partitions", partitions}}.dump());
  std::fflush(stdout);
}

void PrintSummary(const CommandContext& context, const TopicIngest& ingest) {
  const std::vector<PartitionProgress> progress = ingest.Progress();
  const PartitionProgress sum = Sum(progress);
  const TopicIngest::Totals& totals = ingest.totals();
  if (context.json) {
    nlohmann::ordered_json summary = ToJson(sum);
    summary.erase("partition");
    summary.erase("position");
    summary.erase("end");
    summary["lost_offsets"] = totals.lost;
    summary["dead_letters"] = totals.dead_letters;
    summary["reasons"] = totals.reasons.ToStrings();
    summary["source"] = ingest.source();
    summary["interrupted"] = Interrupted();
    summary["partitions"] = nlohmann::ordered_json::array();
    for (const PartitionProgress& one : progress) summary["partitions"].push_back(ToJson(one));
    fmt::print("{}\n",
               summary.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
    return;
  }
  fmt::print("{}", TableOf(progress));
  fmt::print(
      "{} accepted, {} duplicates, {} refused, {} bad records, {} passed over, {} dead letters, "
      "{} offsets lost, lag {}\n",
      sum.counts.accepted, sum.counts.duplicates, sum.counts.refused, sum.counts.bad,
      sum.counts.passed_over, totals.dead_letters, totals.lost, sum.lag());
  for (const std::string& reason : totals.reasons.ToStrings())
    fmt::print("  {}\n", TerminalText(reason));
}

void TellOfWaiting(const absl::Status& why) {
  PrintToStandardError("groundswell: waiting: {}\n", TerminalLines(std::string(why.message())));
}

// Waits for brokers that are away.
template <typename Opened>
absl::StatusOr<std::unique_ptr<Opened>> Open(const KafkaProperties& properties,
                                             const std::string& topic, int64_t retry_for_s) {
  const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(retry_for_s);
  bool told = false;
  while (true) {
    auto opened = Opened::Open(properties, topic, kBrokerTimeout);
    if (!absl::IsUnavailable(opened.status()) || Interrupted() ||
        std::chrono::steady_clock::now() > patience) {
      return opened;
    }
    if (!std::exchange(told, true)) TellOfWaiting(opened.status());
    std::this_thread::sleep_for(kPause);
  }
}

// The parts of one run, in the order in which they need each other.
struct Parts {
  absl::Status Open(const KafkaFlags& flags) {
    auto properties = ReadKafkaProperties(flags.properties_file, flags.brokers, "--brokers");
    if (!properties.ok()) return properties.status();
    auto read = ReadMapping(flags);
    if (!read.ok()) return read.status();
    mapping.emplace(*std::move(read));
    if (!flags.metrics_address.empty()) {
      auto listening = KafkaIngestMetrics::Listen(flags.metrics_address, flags.topic);
      if (!listening.ok()) return listening.status();
      metrics = *std::move(listening);
      PrintToStandardError("metrics at http://{}/metrics\n", metrics->address());
    }
    auto opened = groundswell::Open<KafkaTopic>(*properties, flags.topic, flags.retry_for_s);
    if (!opened.ok()) return opened.status();
    topic = *std::move(opened);
    if (flags.dead_letter_topic.empty()) return absl::OkStatus();
    auto letters =
        groundswell::Open<DeadLetterTopic>(*properties, flags.dead_letter_topic, flags.retry_for_s);
    if (!letters.ok()) return letters.status();
    dead_letters = *std::move(letters);
    return absl::OkStatus();
  }

  std::optional<RecordMapping> mapping;
  std::unique_ptr<KafkaIngestMetrics> metrics;
  std::unique_ptr<KafkaTopic> topic;
  std::unique_ptr<DeadLetterTopic> dead_letters;
};

TopicIngest::Options OptionsOf(const KafkaFlags& flags) {
  TopicIngest::Options options = flags.ingest;
  options.begin =
      flags.begin == "latest" ? TopicIngest::Begin::kLatest : TopicIngest::Begin::kEarliest;
  options.skip_bad_records = flags.bad_records == "skip" || !flags.dead_letter_topic.empty();
  options.skip_lost_records = flags.lost_records == "skip";
  options.retry_for = std::chrono::seconds(flags.retry_for_s);
  options.report_interval = std::chrono::seconds(flags.report_s);
  options.stopped = Interrupted;
  options.on_wait = TellOfWaiting;
  return options;
}

void IngestKafka(const KafkaFlags& flags, CommandContext& context) {
  if (flags.protobuf == !flags.mapping_file.empty()) {
    throw CLI::ValidationError(
        "what records say is to be known: give either --mapping FILE (JSON) or --protobuf");
  }
  Client client = context.MakeClient();
  Parts parts;
  if (absl::Status s = parts.Open(flags); !s.ok()) {
    if (!absl::IsUnavailable(s) || !Interrupted()) return context.Fail(s);
    if (flags.ingest.to_end) context.exit_code = kExitError;
    return;
  }
  TopicIngest::Options options = OptionsOf(flags);
  const TopicIngest* running = nullptr;
  options.on_report = [&](const std::vector<PartitionProgress>& progress) {
    ReportProgress(context, progress);
    if (parts.metrics != nullptr) parts.metrics->Update(progress, running->totals());
  };
  TopicIngest ingest(client, *parts.topic, *parts.mapping, parts.dead_letters.get(),
                     std::move(options));
  running = &ingest;
  const absl::Status status = ingest.Run();
  PrintSummary(context, ingest);
  if (!status.ok()) return context.Fail(status);
  if (Interrupted() && flags.ingest.to_end) context.exit_code = kExitError;
}

void AddBrokerFlags(CLI::App& command, KafkaFlags& flags) {
  command.add_option("topic", flags.topic, "The topic to read")->required();
  command.add_option("--brokers", flags.brokers, "HOST:PORT,... of brokers to begin with")
      ->envname("GROUNDSWELL_KAFKA_BROKERS");
  command.add_option("--properties", flags.properties_file,
                     "File of librdkafka's properties, key = value: TLS, SASL, and the like");
}

void AddRecordFlags(CLI::App& command, KafkaFlags& flags) {
  command.add_option("--mapping", flags.mapping_file,
                     "Records are JSON objects; this file (JSON) tells where what stands in them");
  command.add_flag("--protobuf", flags.protobuf, "Records are groundswell.v1.Interaction");
  command
      .add_option("--bad-records", flags.bad_records,
                  "What is no interaction, or refused by the server: stop there, or skip and count")
      ->check(CLI::IsMember({"stop", "skip"}))
      ->capture_default_str();
  command.add_option("--dead-letter-topic", flags.dead_letter_topic,
                     "Write such records there, with the reason, and go on");
}

void AddRunFlags(CLI::App& command, KafkaFlags& flags) {
  command
      .add_option(
          "--begin", flags.begin,
          "Where to begin with a topic, or one of --partitions, that the server has nothing of")
      ->check(CLI::IsMember({"earliest", "latest"}))
      ->capture_default_str();
  command
      .add_option("--lost-records", flags.lost_records,
                  "Records that the topic lost before they were taken: stop, or skip and count")
      ->check(CLI::IsMember({"stop", "skip"}))
      ->capture_default_str();
  command
      .add_option("--name", flags.ingest.name,
                  "Read the topic as another source: from its beginning, whatever was taken of it")
      ->check([](const std::string& name) {
        const bool good = name.size() <= 64 && std::ranges::all_of(name, [](unsigned char c) {
                            return std::isalnum(c) != 0 || c == '.' || c == '_' || c == '-';
                          });
        return good ? std::string() : "must be up to 64 of a-z, A-Z, 0-9, '.', '_' and '-'";
      });
  command
      .add_option(
          "--partitions", flags.ingest.partitions,
          "Read these alone, to share a topic out (no two may read one at a time); default: "
          "all, and those that come")
      ->delimiter(',')
      ->allow_extra_args(false);
  command.add_flag("--to-end", flags.ingest.to_end,
                   "End once all is taken that the topic has now; default: never");
  command.add_option("--batch-size", flags.ingest.batch_size, "Interactions in a message")
      ->check(CLI::Range(1, 1'000))
      ->capture_default_str();
  command
      .add_option("--retry-for-s", flags.retry_for_s,
                  "Try so long while the server is away or full, or brokers are at the start")
      ->check(CLI::Range(0, 86'400))
      ->capture_default_str();
  command.add_option("--report-s", flags.report_s, "Seconds between reports of the progress")
      ->check(CLI::Range(1, 86'400))
      ->capture_default_str();
  command.add_option("--metrics-address", flags.metrics_address,
                     "HOST:PORT to serve metrics for Prometheus at; default: none");
}

}  // namespace

void AddIngestKafkaCommand(CLI::App& app, CommandContext& context) {
  CLI::App& command = *app.add_subcommand(
      "ingest-kafka", "Takes the interactions of a Kafka topic, each exactly once, and goes on");
  auto flags = std::make_shared<KafkaFlags>();
  AddBrokerFlags(command, *flags);
  AddRecordFlags(command, *flags);
  AddRunFlags(command, *flags);
  command.footer(
      "Example:\n  groundswell ingest-kafka purchases --brokers localhost:9092 --mapping "
      "purchases.json");
  command.callback([flags, &context] { IngestKafka(*flags, context); });
}

}  // namespace groundswell
