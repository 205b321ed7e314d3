// TopicIngest: a topic that somebody else writes, into the server's log, exactly once.
//
// The server is all that knows how far it is: of each partition there is a producer, whose sequence
// stands where the partition does (partition_ingest, partition_begin). So nothing is committed to
// Kafka, nothing is kept here, and a killed one goes on where the server is, from any machine.
#ifndef GROUNDSWELL_CLIENT_KAFKA_TOPIC_INGEST_H_
#define GROUNDSWELL_CLIENT_KAFKA_TOPIC_INGEST_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "client/client.h"
#include "client/events/grouped_reasons.h"
#include "client/kafka/kafka_topic.h"
#include "client/kafka/partition_begin.h"
#include "client/kafka/partition_ingest.h"
#include "client/kafka/record_mapping.h"

namespace groundswell {

// How far a partition is.
struct PartitionProgress {
  int32_t partition = 0;
  int64_t position = 0;  // offsets before it are dealt with
  int64_t end = 0;       // of the topic, as was last heard
  PartitionCounts counts;

  int64_t lag() const { return end > position ? end - position : 0; }
};

// The first that is an error; but any other than Cancelled, which tells of a stop, before that.
absl::Status FirstFault(const absl::Status& first, const absl::Status& second);

class TopicIngest {
 public:
  enum class Begin { kEarliest, kLatest };
  struct Options {
    std::string name;  // tells sources of one topic apart; may be empty
    // Where a topic begins that the server knows nothing of; with `partitions`, each of them that
    // it knows nothing of.
    Begin begin = Begin::kEarliest;
    std::vector<int32_t> partitions;  // empty: all, and those that come
    bool skip_bad_records = false;    // else they end it
    bool skip_lost_records = false;   // else offsets that are gone and were not taken end it
    bool to_end = false;              // end where the topic's partitions ended at the start
    size_t batch_size = 500;
    size_t inflight_max = 8;  // batches
    std::chrono::milliseconds retry_for{600'000};
    std::chrono::milliseconds report_interval{10'000};
    std::function<bool()> stopped = [] { return false; };
    std::function<void(const std::vector<PartitionProgress>&)> on_report;
    // Told once when the start waits for a server or a broker.
    std::function<void(const absl::Status& why)> on_wait;
  };
  struct Totals {
    // Offsets that the topic lost before they were taken, and that skip_lost_records passed over.
    uint64_t lost = 0;
    uint64_t dead_letters = 0;
    GroupedReasons reasons;  // of bad and refused records
  };

  // All references must outlive it; `dead_letters` may be null.
  TopicIngest(Client& client, KafkaTopic& topic, const RecordMapping& mapping,
              DeadLetterTopic* dead_letters, Options options);

  // Runs until stopped, the end with `to_end`, or an error: FailedPrecondition for a topic that is
  // not what the server knows of it, InvalidArgument for a bad record. What was acknowledged before
  // stays so.
  absl::Status Run();

  std::vector<PartitionProgress> Progress() const;
  const Totals& totals() const { return totals_; }

  // Of the topic, and of each of its partitions the producer: "kafka/CLUSTER/TOPIC/PARTITION".
  const std::string& source() const { return source_; }

 private:
  struct Partition {
    std::unique_ptr<PartitionIngest> ingest;
    int64_t end = 0;           // last heard of
    int64_t end_at_start = 0;  // for to_end
    bool at_end = false;       // everything that was committed is read
  };

  absl::Status Start();
  absl::Status AddPartitions(Begin begin);
  // Writes where it begins when that is not known: of a partition that is read here alone, which
  // nobody else may read at the time.
  absl::Status AddPartition(int32_t partition, Begin begin);
  bool IsWanted(int32_t partition) const;
  absl::StatusOr<int64_t> BeginOf(int32_t partition, const KafkaTopic::Range& range, Begin begin,
                                  int64_t last_sequence);
  absl::Status CheckRange(int32_t partition, int64_t position, const KafkaTopic::Range& range);
  absl::Status ReadOn();
  absl::Status Take(KafkaEvent event);
  absl::Status TakeRecord(PartitionIngest& ingest, KafkaRecord record);
  absl::Status TakeBad(PartitionIngest& ingest, const KafkaRecord& record, const absl::Status& why);
  absl::Status SettleRefused(PartitionIngest& ingest);
  // What is done beside taking records, now and then.
  absl::Status Turn();
  absl::Status Finish();
  bool IsAtEnd() const;
  std::string ProducerOf(int32_t partition) const;

  KafkaTopic& topic_;
  Client& client_;
  const RecordMapping& mapping_;
  DeadLetterTopic* const dead_letters_;
  const Options options_;
  const std::string source_;
  const ProducerSequences sequences_;
  std::map<int32_t, Partition> partitions_;
  std::vector<std::pair<int32_t, int64_t>> to_begin_;  // partitions, and where to read them from
  Totals totals_;
  std::chrono::steady_clock::time_point next_report_;
  std::chrono::steady_clock::time_point next_look_for_partitions_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_CLIENT_KAFKA_TOPIC_INGEST_H_
