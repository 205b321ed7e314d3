// KafkaIngestMetrics: what a TopicIngest does, for Prometheus.
#ifndef GROUNDSWELL_CLIENT_KAFKA_INGEST_METRICS_H_
#define GROUNDSWELL_CLIENT_KAFKA_INGEST_METRICS_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/kafka/topic_ingest.h"

namespace groundswell {

// Serves /metrics by HTTP for as long as it lives. For one thread.
class KafkaIngestMetrics {
 public:
  // `address` is HOST:PORT, as the server's settings have it; port 0: any, see address().
  // Unavailable when it cannot be listened on.
  static absl::StatusOr<std::unique_ptr<KafkaIngestMetrics>> Listen(const std::string& address,
                                                                    const std::string& topic);
  ~KafkaIngestMetrics();

  void Update(const std::vector<PartitionProgress>& progress, const TopicIngest::Totals& totals);
  // Where it listens.
  const std::string& address() const;

 private:
  struct State;
  explicit KafkaIngestMetrics(std::unique_ptr<State> state);
  const std::unique_ptr<State> state_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_CLIENT_KAFKA_INGEST_METRICS_H_
