#include "client/kafka/topic_ingest.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <thread>
#include <utility>

namespace groundswell {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// How long records are gathered for a batch at most.
constexpr milliseconds kTurn{50};
// How often it is looked for partitions that are new.
constexpr milliseconds kPartitionsInterval{30'000};
// The longest id that is made here is source, partition and offset.
constexpr size_t kPlaceBytesMax = 1 + 10 + 1 + 19;

// A server or brokers that are away or full.
bool IsPassing(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsResourceExhausted(status);
}

std::string SourceOf(const KafkaTopic& topic, const std::string& name) {
  std::string source = fmt::format("kafka/{}/{}", topic.cluster_id(), topic.name());
  if (!name.empty()) source += "/" + name;
  return source;
}

}  // namespace

absl::Status FirstFault(const absl::Status& first, const absl::Status& second) {
  return first.ok() || (absl::IsCancelled(first) && !second.ok()) ? second : first;
}

TopicIngest::TopicIngest(Client& client, KafkaTopic& topic, const RecordMapping& mapping,
                         DeadLetterTopic* dead_letters, Options options)
    : topic_(topic),
      client_(client),
      mapping_(mapping),
      dead_letters_(dead_letters),
      options_(std::move(options)),
      source_(SourceOf(topic, options_.name)),
      sequences_(SequencesOf(client, {.stopped = options_.stopped})) {}

std::string TopicIngest::ProducerOf(int32_t partition) const {
  return fmt::format("{}/{}", source_, partition);
}

std::vector<PartitionProgress> TopicIngest::Progress() const {
  std::vector<PartitionProgress> progress;
  for (const auto& [number, partition] : partitions_) {
    progress.push_back({.partition = number,
                        .position = partition.ingest->position(),
                        .end = partition.end,
                        .counts = partition.ingest->counts()});
  }
  return progress;
}

absl::Status TopicIngest::Run() {
  absl::Status status = Start();
  const auto patience = steady_clock::now() + options_.retry_for;
  if (IsPassing(status) && options_.on_wait) options_.on_wait(status);
  while (IsPassing(status) && !options_.stopped() && steady_clock::now() < patience) {
    std::this_thread::sleep_for(kTurn * 4);
    status = Start();
  }
  if (IsPassing(status) && options_.stopped()) status = absl::CancelledError("stopped");
  if (status.ok()) status = ReadOn();
  // What was good before an error still counts.
  status = FirstFault(status, Finish());
  if (absl::IsCancelled(status) && options_.stopped()) return absl::OkStatus();
  return status;
}

absl::Status TopicIngest::Start() {
  if (source_.size() + kPlaceBytesMax > kInteractionIdBytesMax) {
    return absl::InvalidArgumentError(
        fmt::format("\"{}\" is too long to name a source: topic and --name may have {} bytes less",
                    source_, source_.size() + kPlaceBytesMax - kInteractionIdBytesMax));
  }
  next_report_ = steady_clock::now() + options_.report_interval;
  const std::string begun = source_ + "/begun";
  const absl::StatusOr<int64_t> is_known = sequences_.ask(begun);
  if (!is_known.ok()) return is_known.status();
  // A partition that is new in a topic that is not has everything still to be taken; unless it was
  // asked for by its number: whoever shares a topic out does not begin all of it at once.
  const bool are_new = *is_known > 0 && options_.partitions.empty();
  if (absl::Status s = AddPartitions(are_new ? Begin::kEarliest : options_.begin); !s.ok()) {
    return s;
  }
  return *is_known > 0 ? absl::OkStatus() : sequences_.use_up(begun, 1);
}

absl::Status TopicIngest::AddPartitions(Begin begin) {
  next_look_for_partitions_ = steady_clock::now() + kPartitionsInterval;
  const absl::StatusOr<int32_t> count = topic_.CountPartitions();
  if (!count.ok()) return count.status();
  for (const int32_t wanted : options_.partitions) {
    if (wanted >= 0 && wanted < *count) continue;
    return absl::InvalidArgumentError(fmt::format("--partitions has {}; topic {} has 0 to {}",
                                                  wanted, topic_.name(), *count - 1));
  }
  for (int32_t partition = 0; partition < *count; ++partition) {
    if (partitions_.contains(partition) || !IsWanted(partition)) continue;
    if (options_.stopped()) return absl::CancelledError("stopped");
    if (absl::Status s = AddPartition(partition, begin); !s.ok()) return s;
  }
  for (; !to_begin_.empty(); to_begin_.pop_back()) {
    const auto& [partition, offset] = to_begin_.back();
    if (absl::Status s = topic_.Begin(partition, offset); !s.ok()) return s;
  }
  return absl::OkStatus();
}

bool TopicIngest::IsWanted(int32_t partition) const {
  return options_.partitions.empty() ||
         std::ranges::find(options_.partitions, partition) != options_.partitions.end();
}

absl::StatusOr<int64_t> TopicIngest::BeginOf(int32_t partition, const KafkaTopic::Range& range,
                                             Begin begin, int64_t last_sequence) {
  const std::string producer = ProducerOf(partition);
  const auto written = ReadBegin(producer, sequences_);
  if (!written.ok()) return written.status();
  if (written->has_value()) return **written;
  if (last_sequence > 0) {
    return absl::FailedPreconditionError(fmt::format(
        "the server has forgotten where {} begins: it knows too many producers "
        "(log.producers_max, to be raised); --name NAME reads the topic as a new source, with "
        "--begin latest unless all of it may be taken again",
        producer));
  }
  return WriteBegin(producer, begin == Begin::kEarliest ? range.first : range.end, sequences_);
}

absl::Status TopicIngest::CheckRange(int32_t partition, int64_t position,
                                     const KafkaTopic::Range& range) {
  if (position > range.end) {
    return absl::FailedPreconditionError(fmt::format(
        "{}/{} ends at offset {}, and the server has taken what is before {}: the topic was "
        "deleted and made anew, or has lost records; --name NAME reads it as a new source",
        topic_.name(), partition, range.end, position));
  }
  if (position >= range.first || options_.skip_lost_records) return absl::OkStatus();
  return absl::FailedPreconditionError(fmt::format(
      "{}/{} begins at offset {}, and the server has taken what is before {}: the records between "
      "are gone (the topic's retention); --lost-records skip goes on without them",
      topic_.name(), partition, range.first, position));
}

absl::Status TopicIngest::AddPartition(int32_t partition, Begin begin) {
  const absl::StatusOr<KafkaTopic::Range> range = topic_.QueryRange(partition);
  if (!range.ok()) return range.status();
  const std::string producer = ProducerOf(partition);
  const absl::StatusOr<int64_t> last = sequences_.ask(producer);
  if (!last.ok()) return last.status();
  const absl::StatusOr<int64_t> first = BeginOf(partition, *range, begin, *last);
  if (!first.ok()) return first.status();
  const int64_t position = *first + *last;
  if (absl::Status s = CheckRange(partition, position, *range); !s.ok()) return s;
  if (position < range->first) totals_.lost += static_cast<uint64_t>(range->first - position);
  // What was on its way may have been refused without anybody having heard of it.
  const auto window = static_cast<int64_t>(options_.batch_size * (options_.inflight_max + 2));
  const int64_t again = std::max({*first, position - window, range->first});
  const int64_t next = std::min(position, again);
  partitions_[partition] = {.ingest = std::make_unique<PartitionIngest>(
                                client_,
                                EventSender::Options{.batch_size = options_.batch_size,
                                                     .inflight_max = options_.inflight_max,
                                                     .producer_id = producer,
                                                     .retry_for = options_.retry_for,
                                                     .stopped = options_.stopped},
                                *first, position, next, dead_letters_ != nullptr),
                            .end = range->end,
                            .end_at_start = range->end};
  // The reading begins when all were asked of: a broker answers no question while it waits for
  // records of a partition that is read (fetch.wait.max.ms).
  to_begin_.emplace_back(partition, std::max(next, range->first));
  return absl::OkStatus();
}

absl::Status TopicIngest::ReadOn() {
  auto next_turn = steady_clock::now() + kTurn;
  while (!options_.stopped()) {
    auto event = topic_.Next(kTurn);
    if (absl::IsFailedPrecondition(event.status())) {
      return absl::FailedPreconditionError(fmt::format(
          "{}: the topic has lost records, or was deleted and made anew; start it again, and it "
          "says which",
          std::string(event.status().message())));
    }
    if (!event.ok()) return event.status();
    if (event->has_value()) {
      if (absl::Status s = Take(**std::move(event)); !s.ok()) return s;
    }
    if (steady_clock::now() < next_turn) continue;
    if (absl::Status s = Turn(); !s.ok()) return s;
    if (options_.to_end && IsAtEnd()) return absl::OkStatus();
    next_turn = steady_clock::now() + kTurn;
  }
  return absl::CancelledError("stopped");
}

bool TopicIngest::IsAtEnd() const {
  return std::ranges::all_of(partitions_, [](const auto& entry) {
    const Partition& partition = entry.second;
    return partition.ingest->position() >= partition.end_at_start ||
           (partition.at_end && partition.ingest->position() == partition.ingest->next());
  });
}

absl::Status TopicIngest::Take(KafkaEvent event) {
  const auto at = partitions_.find(event.partition);
  if (at == partitions_.end()) return absl::OkStatus();
  PartitionIngest& ingest = *at->second.ingest;
  if (ingest.has_refused()) {
    if (absl::Status s = SettleRefused(ingest); !s.ok()) return s;
  }
  absl::Status status = ingest.PassOver(event.offset, PartitionIngest::NoInteraction::kEmpty);
  at->second.at_end = !event.record.has_value();
  if (!status.ok() || !event.record.has_value() || event.offset < ingest.next()) return status;
  at->second.end = std::max(at->second.end, event.offset + 1);
  return TakeRecord(ingest, *std::move(event.record));
}

absl::Status TopicIngest::TakeRecord(PartitionIngest& ingest, KafkaRecord record) {
  auto interaction = mapping_.Read(record, source_);
  if (!interaction.ok()) return TakeBad(ingest, record, interaction.status());
  if (!interaction->has_value()) {
    return ingest.PassOver(record.offset + 1, PartitionIngest::NoInteraction::kPassedOver);
  }
  return ingest.Take(std::move(record), **std::move(interaction));
}

// Before its number is used up, it is where it can be found.
absl::Status TopicIngest::TakeBad(PartitionIngest& ingest, const KafkaRecord& record,
                                  const absl::Status& why) {
  const std::string reason(why.message());
  const bool is_new = record.offset >= ingest.position();
  if (is_new && !options_.skip_bad_records) {
    return absl::InvalidArgumentError(
        fmt::format("{}/{}, offset {}: {}; mend the mapping, or leave such records out with "
                    "--bad-records skip or --dead-letter-topic",
                    topic_.name(), record.partition, record.offset, reason));
  }
  if (is_new) totals_.reasons.Add(reason);
  if (is_new && dead_letters_ != nullptr) {
    absl::Status status = dead_letters_->Write(record, topic_.name(), reason);
    if (status.ok()) status = dead_letters_->Flush();
    if (!status.ok()) return status;
    ++totals_.dead_letters;
  }
  return ingest.PassOver(record.offset + 1, PartitionIngest::NoInteraction::kBad);
}

absl::Status TopicIngest::SettleRefused(PartitionIngest& ingest) {
  const std::vector<PartitionIngest::Refused> refused = ingest.TakeRefused();
  for (const PartitionIngest::Refused& one : refused) {
    totals_.reasons.Add(one.reason);
    if (!options_.skip_bad_records) {
      return absl::InvalidArgumentError(fmt::format(
          "{}/{}, offset {}: the server refused it: {}; it is dealt with, and is not sent again: "
          "leave such records out with --bad-records skip, or keep them with --dead-letter-topic",
          topic_.name(), one.record.partition, one.record.offset, one.reason));
    }
    if (dead_letters_ == nullptr) continue;
    absl::Status status = dead_letters_->Write(one.record, topic_.name(), one.reason);
    if (!status.ok()) return status;
    ++totals_.dead_letters;
  }
  return dead_letters_ == nullptr || refused.empty() ? absl::OkStatus() : dead_letters_->Flush();
}

absl::Status TopicIngest::Turn() {
  for (auto& [number, partition] : partitions_) {
    if (absl::Status s = partition.ingest->SendGathered(); !s.ok()) return s;
    if (partition.ingest->has_refused()) {
      if (absl::Status s = SettleRefused(*partition.ingest); !s.ok()) return s;
    }
    partition.end = std::max(partition.end, topic_.LastKnownEnd(number).value_or(0));
  }
  const auto now = steady_clock::now();
  if (now >= next_report_) {
    next_report_ = now + options_.report_interval;
    if (options_.on_report) options_.on_report(Progress());
  }
  if (now < next_look_for_partitions_ || !options_.partitions.empty()) return absl::OkStatus();
  const absl::Status looked = AddPartitions(Begin::kEarliest);
  return IsPassing(looked) ? absl::OkStatus() : looked;
}

absl::Status TopicIngest::Finish() {
  absl::Status status;
  for (auto& [number, partition] : partitions_) {
    status = FirstFault(status, partition.ingest->Finish());
  }
  for (auto& [number, partition] : partitions_) {
    status = FirstFault(status, SettleRefused(*partition.ingest));
  }
  return status;
}

}  // namespace groundswell
