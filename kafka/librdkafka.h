// librdkafka's handles with owners, and what every use of it shares.
#ifndef GROUNDSWELL_KAFKA_LIBRDKAFKA_H_
#define GROUNDSWELL_KAFKA_LIBRDKAFKA_H_

#include <librdkafka/rdkafka.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kafka/kafka_properties.h"

namespace groundswell {

using KafkaConf = std::unique_ptr<rd_kafka_conf_t, decltype(&rd_kafka_conf_destroy)>;
using KafkaHandle = std::unique_ptr<rd_kafka_t, decltype(&rd_kafka_destroy)>;
using KafkaTopicHandle = std::unique_ptr<rd_kafka_topic_t, decltype(&rd_kafka_topic_destroy)>;
using KafkaQueue = std::unique_ptr<rd_kafka_queue_t, decltype(&rd_kafka_queue_destroy)>;
using KafkaMessage = std::unique_ptr<rd_kafka_message_t, decltype(&rd_kafka_message_destroy)>;

// What librdkafka has to say goes there.
using KafkaLog = void (*)(const rd_kafka_t*, int level, const char* facility, const char* message);

// `properties` in place of `ours`. InvalidArgument, without the value, for one that librdkafka does
// not take.
absl::StatusOr<KafkaConf> MakeKafkaConf(const KafkaProperties& properties,
                                        const KafkaProperties& ours, KafkaLog log);
// InvalidArgument when the properties do not go together.
absl::StatusOr<KafkaHandle> MakeKafkaHandle(rd_kafka_type_t type, KafkaConf conf);

// `what`: what is not possible.
absl::Status KafkaUnavailable(std::string_view what, rd_kafka_resp_err_t error);

struct KafkaTopicShape {
  int32_t partitions = 0;
  int32_t replicas = 0;  // of the first partition
};
// NotFound when there is no such topic, PermissionDenied, Unavailable when no broker answers.
absl::StatusOr<KafkaTopicShape> AskTopicShape(rd_kafka_t& handle, rd_kafka_topic_t& topic,
                                              std::chrono::milliseconds timeout);

// `which` is RD_KAFKA_OFFSET_BEGINNING or RD_KAFKA_OFFSET_END, which is one behind the newest.
absl::StatusOr<int64_t> AskKafkaOffset(rd_kafka_t& handle, const std::string& topic,
                                       int32_t partition, int64_t which,
                                       std::chrono::milliseconds timeout);

}  // namespace groundswell

#endif  // GROUNDSWELL_KAFKA_LIBRDKAFKA_H_
