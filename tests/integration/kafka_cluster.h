// A real Kafka for one test, by scripts/kafka, and what a test does with it.
#ifndef GROUNDSWELL_TESTS_INTEGRATION_KAFKA_CLUSTER_H_
#define GROUNDSWELL_TESTS_INTEGRATION_KAFKA_CLUSTER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/temporary_directory.h"

namespace groundswell {

// What a record says; read back, with the partition and offset that it got.
struct TopicRecord {
  int32_t partition = 0;
  std::optional<std::string> value;
  int64_t timestamp_ms = 1'322'000'000'000;
  std::string key = {};
  int64_t offset = -1;
  std::map<std::string, std::string> headers = {};
};

// One broker on loopback, which ends with this process. Everything throws what fails.
class KafkaCluster {
 public:
  // Why no broker can run here; empty: one can.
  static std::string WhyNot();

  KafkaCluster();
  ~KafkaCluster();
  KafkaCluster(const KafkaCluster&) = delete;
  KafkaCluster& operator=(const KafkaCluster&) = delete;

  const std::string& brokers() const { return brokers_; }
  void CreateTopic(const std::string& topic, int partitions,
                   const std::map<std::string, std::string>& config = {});
  void AddPartitions(const std::string& topic, int partitions);
  void DeleteTopic(const std::string& topic);
  // Deletes what is before that offset, as a topic's retention does.
  void DeleteRecords(const std::string& topic, int32_t partition, int64_t before);

  // Writes them and waits until they are there; transactions in the middle of which others may be
  // aborted.
  enum class Transaction { kNone, kCommit, kAbort };
  void Write(const std::string& topic, const std::vector<TopicRecord>& records,
             Transaction transaction = Transaction::kNone);
  // All committed records of partition 0.
  std::vector<TopicRecord> Read(const std::string& topic);

  // As a power cut does, and on again.
  void Kill();
  void StartAgain();

 private:
  struct Handles;

  TemporaryDirectory directory_;
  std::string brokers_;
  std::unique_ptr<Handles> handles_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_TESTS_INTEGRATION_KAFKA_CLUSTER_H_
