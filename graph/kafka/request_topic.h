// The topic that an order of requests is kept in: how it is made, and what it must be like so that
// nothing acknowledged is lost in it.
#ifndef GROUNDSWELL_GRAPH_KAFKA_REQUEST_TOPIC_H_
#define GROUNDSWELL_GRAPH_KAFKA_REQUEST_TOPIC_H_

#include <chrono>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "graph/log/shared_log.h"
#include "kafka/kafka_properties.h"

namespace groundswell {

// A topic that keeps less is refused: a server that is started anew needs what came meanwhile.
inline constexpr std::chrono::hours kRetentionMin{1};

struct RequestTopic {
  KafkaProperties properties;
  std::string name;
  int32_t in_sync_min = 2;  // replicas that must have what is acknowledged
  std::chrono::milliseconds timeout{30'000};
};

// The properties that decide whether something is lost, and so are not for an operator to set.
// InvalidArgument names the first that is there.
absl::Status CheckNotOurs(const KafkaProperties& properties);

// Makes the topic with one partition, and its first record, of a new log, which is returned.
// AlreadyExists when there is a topic of this name; Unavailable, and what the brokers say.
absl::StatusOr<SharedLog> CreateRequestTopic(const RequestTopic& topic, int32_t replicas,
                                             std::chrono::milliseconds retention);
// Writes the first record of a new log into a topic that has none.
absl::StatusOr<SharedLog> BeginRequestTopic(const RequestTopic& topic);

// FailedPrecondition, with the command that mends it, when the topic's settings could lose what was
// acknowledged; Unavailable when no broker answers.
absl::Status CheckRequestTopic(const RequestTopic& topic);

}  // namespace groundswell

#endif  // GROUNDSWELL_GRAPH_KAFKA_REQUEST_TOPIC_H_
