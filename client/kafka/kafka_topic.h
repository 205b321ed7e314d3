// KafkaTopic reads a topic's partitions from given offsets; DeadLetterTopic writes to another what
// could not be taken. No consumer group: nothing is committed, nothing is rebalanced.
#ifndef GROUNDSWELL_CLIENT_KAFKA_KAFKA_TOPIC_H_
#define GROUNDSWELL_CLIENT_KAFKA_KAFKA_TOPIC_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kafka/kafka_properties.h"

namespace groundswell {

struct KafkaRecord {
  int32_t partition = 0;
  int64_t offset = 0;
  int64_t timestamp_ms = -1;  // since 1970; -1: it has none
  std::optional<std::string> key;
  std::optional<std::string> value;  // nullopt: a tombstone
};

// What is next of a partition: a record; or, without one, that everything before `offset` was read
// and nothing follows yet.
struct KafkaEvent {
  int32_t partition = 0;
  int64_t offset = 0;
  std::optional<KafkaRecord> record;
};

// For one thread.
class KafkaTopic {
 public:
  // The offsets that a partition has: `first` up to, and without, `end`.
  struct Range {
    int64_t first = 0;
    int64_t end = 0;
  };

  // Connects. InvalidArgument for a property that librdkafka does not take, Unavailable when no
  // broker answers within `timeout`, NotFound when there is no such topic.
  static absl::StatusOr<std::unique_ptr<KafkaTopic>> Open(const KafkaProperties& properties,
                                                          const std::string& topic,
                                                          std::chrono::milliseconds timeout);
  ~KafkaTopic();
  KafkaTopic(const KafkaTopic&) = delete;
  KafkaTopic& operator=(const KafkaTopic&) = delete;

  const std::string& name() const;
  // Of the brokers, as they made it when they were formatted.
  const std::string& cluster_id() const;
  // Those that there are now: 0, 1, ... Errors as Open.
  absl::StatusOr<int32_t> CountPartitions();
  // Asks the partition's leader.
  absl::StatusOr<Range> QueryRange(int32_t partition);
  // What the last fetch told; nullopt before one.
  std::optional<int64_t> LastKnownEnd(int32_t partition);

  // From now on Next has this partition's events, from `offset` on. Once per partition.
  absl::Status Begin(int32_t partition, int64_t offset);
  // Committed records alone, in the order of each partition's offsets, which need not follow on
  // each other; nullopt when nothing came for so long. FailedPrecondition for an offset that the
  // topic does not have any longer, NotFound once the topic is gone, DataLoss for a damaged batch.
  absl::StatusOr<std::optional<KafkaEvent>> Next(std::chrono::milliseconds wait);

 private:
  struct State;
  explicit KafkaTopic(std::unique_ptr<State> state);
  const std::unique_ptr<State> state_;
};

// For one thread.
class DeadLetterTopic {
 public:
  // Errors as KafkaTopic::Open.
  static absl::StatusOr<std::unique_ptr<DeadLetterTopic>> Open(const KafkaProperties& properties,
                                                               const std::string& topic,
                                                               std::chrono::milliseconds timeout);
  ~DeadLetterTopic();
  DeadLetterTopic(const DeadLetterTopic&) = delete;
  DeadLetterTopic& operator=(const DeadLetterTopic&) = delete;

  // Key and value as they were, with the headers groundswell.topic, .partition, .offset and
  // .reason; not yet durable. One that is too large for the topic is written without its value, as
  // the header groundswell.left_out says.
  absl::Status Write(const KafkaRecord& record, const std::string& source_topic,
                     const std::string& reason);
  // Waits until all replicas in sync have what was written; Unavailable when they would not.
  absl::Status Flush();

 private:
  struct State;
  explicit DeadLetterTopic(std::unique_ptr<State> state);
  const std::unique_ptr<State> state_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_CLIENT_KAFKA_KAFKA_TOPIC_H_
