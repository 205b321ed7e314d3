#include "client/kafka/partition_ingest.h"

#include <algorithm>
#include <map>
#include <utility>

namespace groundswell {
namespace {

// Of keys and values that are kept, a batch; one record alone may have more.
constexpr size_t kKeptBytesMax = size_t{1} << 20;

size_t KeptBytes(const KafkaRecord& record) {
  return (record.key.has_value() ? record.key->size() : 0) +
         (record.value.has_value() ? record.value->size() : 0);
}

EventSender::Options WithSettled(
    EventSender::Options options,
    std::function<void(int64_t, size_t, const v1::IngestResponse&)> on_settled) {
  options.on_settled = std::move(on_settled);
  return options;
}

}  // namespace

PartitionIngest::PartitionIngest(Client& client, EventSender::Options sender, int64_t begin,
                                 int64_t position, int64_t next, bool keep_records)
    : begin_(begin),
      known_(position - begin),
      keep_records_(keep_records),
      next_(next),
      settled_(known_),
      sender_(client,
              WithSettled(std::move(sender),
                          [this](int64_t first, size_t count, const v1::IngestResponse& response) {
                            Settle(first, count, response);
                          }),
              static_cast<uint64_t>(next)) {
  sender_.ContinueAt(next - begin + 1);
}

int64_t PartitionIngest::position() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return begin_ + settled_;
}

PartitionCounts PartitionIngest::counts() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return counts_;
}

std::vector<PartitionIngest::Refused> PartitionIngest::TakeRefused() {
  const std::lock_guard<std::mutex> lock(mutex_);
  has_refused_ = false;
  return std::exchange(refused_, {});
}

absl::Status PartitionIngest::Take(KafkaRecord record, v1::Interaction interaction) {
  if (!keep_records_) {
    record.key.reset();
    record.value.reset();
  }
  return Send({.record = std::move(record)}, std::move(interaction));
}

absl::Status PartitionIngest::SendGathered() {
  kept_bytes_ = 0;
  return sender_.SendGathered();
}

absl::Status PartitionIngest::PassOver(int64_t end, NoInteraction why) {
  while (next_ < end) {
    absl::Status status = Send({.is_interaction = false, .why = why, .record = {}}, {});
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status PartitionIngest::Send(Sent sent, v1::Interaction interaction) {
  kept_bytes_ += KeptBytes(sent.record);
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    window_.push_back(std::move(sent));
  }
  absl::Status status = sender_.Send(static_cast<uint64_t>(next_++), std::move(interaction));
  if (!status.ok() || kept_bytes_ < kKeptBytesMax) return status;
  return SendGathered();
}

void PartitionIngest::Settle(int64_t first_sequence, size_t count,
                             const v1::IngestResponse& response) {
  std::map<size_t, const std::string*> refusals;
  for (const auto& refusal : response.refusals()) {
    refusals.emplace(static_cast<size_t>(refusal.index()), &refusal.status().message());
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  uint64_t known_duplicates = 0;
  for (size_t i = 0; i < count && !window_.empty(); ++i) {
    Sent sent = std::move(window_.front());
    window_.pop_front();
    const bool is_new = first_sequence + static_cast<int64_t>(i) > known_;
    const auto refusal = refusals.find(i);
    if (sent.is_interaction && refusal != refusals.end()) {
      if (is_new) ++counts_.refused;
      refused_.push_back({std::move(sent.record), *refusal->second});
      has_refused_ = true;
    } else if (sent.is_interaction) {
      if (!is_new) ++known_duplicates;
    } else if (is_new) {
      ++(sent.why == NoInteraction::kBad          ? counts_.bad
         : sent.why == NoInteraction::kPassedOver ? counts_.passed_over
                                                  : counts_.empty);
    }
  }
  counts_.accepted += static_cast<uint64_t>(response.accepted_count());
  const auto duplicates = static_cast<uint64_t>(response.duplicate_count());
  counts_.duplicates += duplicates - std::min(known_duplicates, duplicates);
  settled_ = std::max(settled_, first_sequence + static_cast<int64_t>(count) - 1);
}

}  // namespace groundswell
