// A topic that somebody else writes, on a real broker, into a real server by `groundswell
// ingest-kafka`: nothing lost and nothing counted twice, whatever is killed.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>

#include "tests/integration/kafka_cluster.h"
#include "tests/integration/sample_server.h"

namespace groundswell {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using Transaction = KafkaCluster::Transaction;

constexpr char kMapping[] = R"({"user_id": "/user", "item_id": "/item", "event_time": "/at",
    "event_type": {"path": "/kind", "values": {"buy": "purchase", "ping": null, "gift": "unheard"}}})";

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The n-th purchase of a topic; n makes it unlike all others.
TopicRecord Buy(int32_t partition, int64_t n, const std::string& kind = "buy") {
  return {.partition = partition,
          .value = json{
              {"user", "u" + std::to_string(n % 499)},
              {"item", "i" + std::to_string(n % 97)},
              {"at", 1'322'000'000 + n},
              {"kind",
               kind}}.dump()};
}

// A program that goes on beside the test, its output in a file.
class Background {
 public:
  Background(std::vector<std::string> arguments, const std::string& output) : output_(output) {
    arguments.insert(arguments.begin(), {"/usr/bin/setpriv", "--pdeathsig", "KILL", "--"});
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, output.c_str(),
                                     O_WRONLY | O_CREAT | O_TRUNC, 0600);
    posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    if (posix_spawn(&pid_, argv[0], &actions, nullptr, argv.data(), environ) != 0) pid_ = -1;
    posix_spawn_file_actions_destroy(&actions);
  }
  ~Background() {
    if (pid_ > 0) End(SIGKILL);
  }
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;

  // The exit code, or -1 when a signal ended it.
  int End(int signal_number) {
    kill(pid_, signal_number);
    int status = 0;
    waitpid(std::exchange(pid_, -1), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  std::string output() const { return ReadFile(output_); }

 private:
  const std::string output_;
  pid_t pid_ = -1;
};

// Of the graph that the whole log makes.
std::string DigestOf(const Stubs& stubs) {
  EXPECT_TRUE(Becomes([&] {
    v1::ServerStatus status;
    return stubs.admin->GetServerStatus(NewContext().get(), {}, &status).ok() &&
           status.graph().log_end_offset() == status.graph().applied_offset();
  }));
  v1::GraphVerification verification;
  EXPECT_TRUE(stubs.admin->VerifyGraph(NewContext().get(), {}, &verification).ok());
  EXPECT_EQ(verification.difference_count(), 0);
  return verification.digest();
}

class KafkaTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    why_not_ = KafkaCluster::WhyNot();
    if (why_not_.empty()) kafka_ = new KafkaCluster;
  }
  static void TearDownTestSuite() { delete std::exchange(kafka_, nullptr); }

  void SetUp() override {
    if (kafka_ == nullptr) GTEST_SKIP() << why_not_;
    topic_ = std::string("shop-") + testing::UnitTest::GetInstance()->current_test_info()->name();
    std::ofstream(Mapping()) << kMapping;
    Serve();
  }

  std::string Mapping() const { return directory_.File("mapping.json"); }
  void Serve(std::vector<std::string> under = {}) {
    fs::create_directories(directory_.File("db"));
    server_.emplace(directory_.File("db"), std::vector<std::string>{}, Environment{},
                    std::move(under));
    stubs_.emplace(server_->grpc_address());
  }
  // At the same port, where a server would be given a free one.
  void ServeAgain() {
    const std::string port = std::to_string(server_->grpc_port());
    server_->Stop(SIGKILL);
    Serve({"/bin/bash", "-c",
           "exec \"${@/#--server.grpc_address=127.0.0.1:0/--server.grpc_address=127.0.0.1:" + port +
               "}\"",
           "bash"});
  }

  std::vector<std::string> Command(std::vector<std::string> flags) const {
    std::vector<std::string> command = {
        GROUNDSWELL_CLI_PROGRAM, "--server", server_->grpc_address(),
        "ingest-kafka",          topic_,     "--brokers",
        kafka_->brokers()};
    if (std::ranges::find(flags, "--protobuf") == flags.end()) {
      flags.insert(flags.end(), {"--mapping", Mapping()});
    }
    command.insert(command.end(), flags.begin(), flags.end());
    return command;
  }
  Finished Ingest(std::vector<std::string> flags = {}) const {
    flags.emplace_back("--to-end");
    return RunProgram(Command(std::move(flags)));
  }
  // The summary of a run that has to go well.
  json IngestJson(std::vector<std::string> flags = {}) const {
    flags.emplace_back("--json");
    const Finished finished = Ingest(std::move(flags));
    EXPECT_EQ(finished.exit_code, 0) << finished.output;
    const size_t begin = finished.output.rfind("{\"lag\"");
    if (begin == std::string::npos) {
      ADD_FAILURE() << finished.output;
      return {};
    }
    return json::parse(finished.output.substr(begin));
  }

  // Every interaction of the log, in its order.
  std::vector<v1::Interaction> Log() const {
    std::vector<v1::Interaction> log;
    const auto context = NewContext();
    const auto reader = stubs_->admin->ReadLog(context.get(), {});
    v1::ReadLogResponse response;
    while (reader->Read(&response)) {
      for (const auto& entry : response.entries()) {
        if (entry.has_interaction()) log.push_back(entry.interaction());
      }
    }
    EXPECT_TRUE(reader->Finish().ok());
    return log;
  }
  std::vector<int64_t> Times() const {  // as n of Buy
    std::vector<int64_t> times;
    for (const auto& one : Log()) times.push_back(one.event_time().seconds() - 1'322'000'000);
    return times;
  }
  int64_t LogEnd() const {
    v1::ServerStatus status;
    EXPECT_TRUE(stubs_->admin->GetServerStatus(NewContext().get(), {}, &status).ok());
    return status.graph().log_end_offset();
  }
  static inline KafkaCluster* kafka_ = nullptr;
  static inline std::string why_not_;
  TemporaryDirectory directory_;
  std::string topic_;
  std::optional<ServerProcess> server_;
  std::optional<Stubs> stubs_;
};

// What a server has that took these records, in this order, from a file, without Kafka.
std::string DigestOf(const std::vector<TopicRecord>& records, const std::vector<int64_t>& order,
                     const TemporaryDirectory& directory) {
  {
    std::ofstream file(directory.File("all.jsonl"));
    for (const int64_t n : order) file << *records[static_cast<size_t>(n)].value << "\n";
  }
  fs::create_directories(directory.File("other"));
  const ServerProcess server(directory.File("other"));
  const Finished ingest =
      RunProgram({GROUNDSWELL_CLI_PROGRAM, "--server", server.grpc_address(), "ingest",
                  directory.File("all.jsonl"), "--user", "user", "--item", "item", "--time", "at"});
  EXPECT_EQ(ingest.exit_code, 0) << ingest.output;
  return DigestOf(Stubs(server.grpc_address()));
}

TEST_F(KafkaTest, ManyPartitionsAreTakenOnceThroughKillsOfAllInvolved) {
  constexpr int kPartitions = 6;
  constexpr int64_t kRecords = 8'000;
  constexpr int64_t kPart = kRecords / 8;
  kafka_->CreateTopic(topic_, kPartitions);
  std::vector<TopicRecord> records;
  for (int64_t n = 0; n < kRecords; ++n) {
    records.push_back(Buy(static_cast<int32_t>(n % kPartitions), n));
  }
  const std::string properties = directory_.File("kafka.properties");
  std::ofstream(properties) << "reconnect.backoff.max.ms = 200\n";
  std::optional<Background> consumer;
  for (int64_t part = 0; part < 8; ++part) {
    kafka_->Write(topic_, {records.begin() + part * kPart, records.begin() + (part + 1) * kPart});
    if (part % 2 == 0) {
      consumer.reset();  // killed in the middle of the part before
      consumer.emplace(Command({"--batch-size", "50", "--properties", properties}),
                       directory_.File("consumer"));
    }
    if (part == 3) ServeAgain();
    if (part == 5) {
      kafka_->Kill();
      kafka_->StartAgain();
    }
    ASSERT_TRUE(Becomes([&] { return LogEnd() > part * kPart + kPart / 3; })) << consumer->output();
  }
  consumer.reset();
  const json summary = IngestJson();
  EXPECT_EQ(summary["lag"], 0);
  EXPECT_EQ(summary["duplicates"], 0);
  const std::vector<int64_t> times = Times();
  ASSERT_EQ(times.size(), static_cast<size_t>(kRecords));
  // Of each partition, in its order.
  std::vector<int64_t> last(kPartitions, -1);
  for (const int64_t n : times) {
    EXPECT_GT(n, last[static_cast<size_t>(n % kPartitions)]);
    last[static_cast<size_t>(n % kPartitions)] = n;
  }
  EXPECT_EQ(std::set<int64_t>(times.begin(), times.end()).size(), static_cast<size_t>(kRecords));
  EXPECT_EQ(DigestOf(*stubs_), DigestOf(records, times, directory_));
}

TEST_F(KafkaTest, AStopEndsInPeaceAndANextRunGoesOnBehindIt) {
  kafka_->CreateTopic(topic_, 2);
  kafka_->Write(topic_, {Buy(0, 1), Buy(1, 2)});
  Background consumer(Command({"--report-s", "1", "--metrics-address", "127.0.0.1:0", "--json"}),
                      directory_.File("consumer"));
  ASSERT_TRUE(Becomes([&] { return LogEnd() == 2; })) << consumer.output();
  ASSERT_TRUE(Becomes([&] { return consumer.output().find("\"lag\":0") != std::string::npos; }));
  const std::string told = consumer.output();
  const size_t port = told.find("metrics at http://127.0.0.1:");
  ASSERT_NE(port, std::string::npos) << told;
  const std::string metrics = HttpGet(std::stoi(told.substr(port + 28)), "/metrics");
  EXPECT_THAT(metrics,
              HasSubstr("groundswell_kafka_lag{topic=\"" + topic_ + "\",partition=\"1\"} 0"));
  EXPECT_THAT(metrics, HasSubstr("outcome=\"accepted\""));
  EXPECT_EQ(consumer.End(SIGTERM), 0) << consumer.output();
  EXPECT_THAT(consumer.output(), HasSubstr("\"interrupted\":true"));
  kafka_->Write(topic_, {Buy(1, 3)});
  EXPECT_EQ(IngestJson()["accepted"], 1);
  EXPECT_THAT(Times(), testing::UnorderedElementsAre(1, 2, 3));
}

TEST_F(KafkaTest, AStopEndsInPeaceWhileItWaitsAtTheStart) {
  kafka_->CreateTopic(topic_, 1);
  std::vector<std::string> without_brokers = Command({});
  *std::ranges::find(without_brokers, kafka_->brokers()) = "127.0.0.1:1";
  Background lonely(without_brokers, directory_.File("lonely"));
  server_->Stop(SIGKILL);
  Background consumer(Command({}), directory_.File("consumer"));
  for (Background* one : {&consumer, &lonely}) {
    ASSERT_TRUE(Becomes([&] { return one->output().find("waiting") != std::string::npos; }))
        << one->output();
    EXPECT_EQ(one->End(SIGTERM), 0) << one->output();
  }
}

TEST_F(KafkaTest, OffsetsWithoutARecordAndAbortedTransactionsArePassedOver) {
  kafka_->CreateTopic(topic_, 1);
  kafka_->Write(topic_, {Buy(0, 1), Buy(0, 2)}, Transaction::kCommit);
  kafka_->Write(topic_, {Buy(0, 3), Buy(0, 4)}, Transaction::kAbort);
  kafka_->Write(topic_, {{.partition = 0, .value = std::nullopt, .key = "k"}, Buy(0, 5, "ping")});
  kafka_->Write(topic_, {Buy(0, 6)}, Transaction::kCommit);
  const json summary = IngestJson();
  EXPECT_EQ(summary["accepted"], 3);
  EXPECT_EQ(summary["passed_over"], 2);
  EXPECT_EQ(summary["empty_offsets"], 5);  // three markers, two that were aborted
  EXPECT_EQ(summary["lag"], 0);
  EXPECT_THAT(Times(), testing::ElementsAre(1, 2, 6));
  EXPECT_EQ(IngestJson()["accepted"], 0);
}

TEST_F(KafkaTest, BadRecordsStopOrGoToTheDeadLetterTopic) {
  kafka_->CreateTopic(topic_, 1);
  kafka_->CreateTopic(topic_ + "-dead", 1);
  kafka_->Write(
      topic_,
      {Buy(0, 1), {.partition = 0, .value = "no json", .key = "k"}, Buy(0, 2, "gift"), Buy(0, 3)});
  for (int run = 0; run < 2; ++run) {
    const Finished stopped = Ingest();
    EXPECT_EQ(stopped.exit_code, 1);
    EXPECT_THAT(stopped.output, AllOf(HasSubstr("offset 1"), HasSubstr("no json"),
                                      HasSubstr("--dead-letter-topic")));
    EXPECT_THAT(Times(), testing::ElementsAre(1));
  }
  const json summary = IngestJson({"--dead-letter-topic", topic_ + "-dead"});
  EXPECT_EQ(summary["accepted"], 1);
  EXPECT_EQ(summary["bad_records"], 1);
  EXPECT_EQ(summary["refused"], 1);
  EXPECT_EQ(summary["dead_letters"], 2);
  EXPECT_THAT(Times(), testing::ElementsAre(1, 3));
  const auto dead = kafka_->Read(topic_ + "-dead");
  ASSERT_EQ(dead.size(), 2u);
  EXPECT_EQ(dead[0].value, "no json");
  EXPECT_EQ(dead[0].headers.at("groundswell.topic"), topic_);
  EXPECT_EQ(dead[0].headers.at("groundswell.offset"), "1");
  EXPECT_THAT(dead[0].headers.at("groundswell.reason"), HasSubstr("JSON object"));
  EXPECT_EQ(dead[1].value, Buy(0, 2, "gift").value);
  EXPECT_THAT(dead[1].headers.at("groundswell.reason"), HasSubstr("unheard"));
  EXPECT_EQ(IngestJson({"--bad-records", "skip"})["bad_records"], 0) << "they are dealt with";
}

TEST_F(KafkaTest, ADeadLetterThatIsTooLargeLeavesItsValueOut) {
  kafka_->CreateTopic(topic_, 1);
  kafka_->CreateTopic(topic_ + "-dead", 1, {{"max.message.bytes", "2000"}});
  // For the producer's own message.max.bytes, with the headers; for the topic's; for neither.
  kafka_->Write(topic_, {{.partition = 0, .value = std::string(999'950, '[')},
                         {.partition = 0, .value = std::string(5'000, '['), .key = "k"},
                         {.partition = 0, .value = "no json"},
                         Buy(0, 1)});
  const json summary = IngestJson({"--dead-letter-topic", topic_ + "-dead"});
  EXPECT_EQ(summary["accepted"], 1);
  EXPECT_EQ(summary["dead_letters"], 3);
  const auto dead = kafka_->Read(topic_ + "-dead");
  ASSERT_EQ(dead.size(), 3u);
  for (const size_t i : {size_t{0}, size_t{1}}) {
    EXPECT_EQ(dead[i].headers.at("groundswell.offset"), std::to_string(i));
    EXPECT_THAT(dead[i].headers.at("groundswell.left_out"),
                AllOf(HasSubstr(i == 0 ? "999950" : "5000"), HasSubstr("message.max.bytes")));
    EXPECT_TRUE(dead[i].value.value_or("").empty());
  }
  EXPECT_EQ(dead[2].value, "no json");
  EXPECT_FALSE(dead[2].headers.contains("groundswell.left_out"));
}

TEST_F(KafkaTest, WhatTheServerRefusesEndsItUntilItMayBeSkipped) {
  kafka_->CreateTopic(topic_, 1);
  kafka_->Write(topic_, {Buy(0, 1), Buy(0, 2, "gift"), Buy(0, 3)});
  for (int run = 0; run < 2; ++run) {
    const Finished stopped = Ingest();
    EXPECT_EQ(stopped.exit_code, 1);
    EXPECT_THAT(stopped.output, AllOf(HasSubstr("offset 1"), HasSubstr("unheard")));
  }
  EXPECT_EQ(Ingest({"--bad-records", "skip"}).exit_code, 0);
  EXPECT_THAT(Times(), testing::ElementsAre(1, 3));
}

TEST_F(KafkaTest, RecordsThatAreGoneStopItUntilTheyMayBeSkipped) {
  kafka_->CreateTopic(topic_, 1);
  std::vector<TopicRecord> first;
  for (int64_t n = 0; n < 2'345; ++n) first.push_back(Buy(0, n));
  kafka_->Write(topic_, first);
  kafka_->DeleteRecords(topic_, 0, 2'340);
  EXPECT_EQ(IngestJson()["accepted"], 5) << "a topic's beginning is where it begins";
  kafka_->Write(topic_, {Buy(0, 2'345), Buy(0, 2'346), Buy(0, 2'347)});
  kafka_->DeleteRecords(topic_, 0, 2'347);
  const Finished stopped = Ingest();
  EXPECT_EQ(stopped.exit_code, 1);
  EXPECT_THAT(stopped.output,
              AllOf(HasSubstr("2347"), HasSubstr("2345"), HasSubstr("--lost-records skip")));
  const json summary = IngestJson({"--lost-records", "skip"});
  EXPECT_EQ(summary["accepted"], 1);
  EXPECT_EQ(summary["lost_offsets"], 2);
  EXPECT_EQ(summary["lag"], 0);
  EXPECT_EQ(IngestJson()["accepted"], 0);
  EXPECT_EQ(Log().size(), 6u);
}

TEST_F(KafkaTest, ATopicThatWasMadeAnewIsRefusedAndReadUnderAnotherName) {
  kafka_->CreateTopic(topic_, 1);
  kafka_->Write(topic_, {Buy(0, 1), Buy(0, 2), Buy(0, 3)});
  EXPECT_EQ(IngestJson()["accepted"], 3);
  kafka_->DeleteTopic(topic_);
  ASSERT_TRUE(Becomes([&] {
    try {
      kafka_->CreateTopic(topic_, 1);
      return true;
    } catch (const std::exception&) {  // not deleted yet
      return false;
    }
  }));
  kafka_->Write(topic_, {Buy(0, 4)});
  const Finished refused = Ingest();
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.output, AllOf(HasSubstr("made anew"), HasSubstr("--name")));
  EXPECT_EQ(IngestJson({"--name", "second"})["accepted"], 1);
  EXPECT_THAT(Times(), testing::ElementsAre(1, 2, 3, 4));
}

TEST_F(KafkaTest, TheEndMayBeTheBeginningButNotOfPartitionsThatCome) {
  kafka_->CreateTopic(topic_, 1);
  kafka_->Write(topic_, {Buy(0, 1)});
  EXPECT_EQ(IngestJson({"--begin", "latest"})["accepted"], 0);
  kafka_->AddPartitions(topic_, 2);
  kafka_->Write(topic_, {Buy(1, 2)});
  kafka_->Write(topic_, {Buy(0, 3)});
  EXPECT_EQ(IngestJson({"--begin", "latest"})["accepted"], 2);
  EXPECT_THAT(Times(), testing::UnorderedElementsAre(2, 3));
}

TEST_F(KafkaTest, APartitionBeginsWhereItsOwnReaderSays) {
  kafka_->CreateTopic(topic_, 3);
  kafka_->Write(topic_, {Buy(0, 1), Buy(1, 2), Buy(2, 3)});
  EXPECT_EQ(IngestJson({"--partitions", "0", "--begin", "latest"})["accepted"], 0);
  kafka_->Write(topic_, {Buy(0, 4), Buy(1, 5), Buy(2, 6)});
  EXPECT_EQ(IngestJson({"--partitions", "1"})["accepted"], 2);
  EXPECT_EQ(IngestJson({"--partitions", "2", "--begin", "latest"})["accepted"], 0);
  EXPECT_EQ(IngestJson()["accepted"], 1);
  EXPECT_THAT(Times(), testing::UnorderedElementsAre(2, 4, 5));
}

TEST_F(KafkaTest, ProtobufRecordsAreTakenAsTheyAre) {
  kafka_->CreateTopic(topic_, 1);
  v1::Interaction own = NewInteraction("their-id", "ann", "mug");
  kafka_->Write(topic_, {{.partition = 0, .value = own.SerializeAsString()},
                         {.partition = 0, .value = own.SerializeAsString()}});
  const json summary = IngestJson({"--protobuf"});
  EXPECT_EQ(summary["accepted"], 1);
  EXPECT_EQ(summary["duplicates"], 1) << "the topic has it twice";
  ASSERT_EQ(Log().size(), 1u);
  EXPECT_EQ(Log()[0].event_id(), "their-id");
}

TEST_F(KafkaTest, WhatCannotWorkIsSaidWithoutCredentials) {
  const std::string properties = directory_.File("kafka.properties");
  std::ofstream(properties) << "sasl.mechanisms=SCRAM-SHA-256\nsecurity.protocol=sasl_s3cret\n";
  const Finished bad = Ingest({"--properties", properties});
  EXPECT_EQ(bad.exit_code, 1);
  EXPECT_THAT(bad.output,
              AllOf(HasSubstr("line 2"), HasSubstr("security.protocol"), Not(HasSubstr("s3cret"))));
  const Finished missing = Ingest();
  EXPECT_EQ(missing.exit_code, 1);
  EXPECT_THAT(missing.output, HasSubstr(topic_));
  const Finished neither =
      RunProgram({GROUNDSWELL_CLI_PROGRAM, "ingest-kafka", "t", "--brokers", kafka_->brokers()});
  EXPECT_EQ(neither.exit_code, 2);
  EXPECT_THAT(neither.output, HasSubstr("--mapping"));
}

}  // namespace
}  // namespace groundswell
