#include "kafka/librdkafka.h"

#include <fmt/format.h>

#include <array>

namespace groundswell {
namespace {

using std::chrono::milliseconds;

constexpr size_t kErrorBytes = 512;

// librdkafka's own text names values.
absl::Status SetProperty(const KafkaProperty& property, rd_kafka_conf_t& conf) {
  std::array<char, kErrorBytes> error{};
  switch (rd_kafka_conf_set(&conf, property.key.c_str(), property.value.c_str(), error.data(),
                            error.size())) {
    case RD_KAFKA_CONF_OK:
      return absl::OkStatus();
    case RD_KAFKA_CONF_UNKNOWN:
      return absl::InvalidArgumentError(
          fmt::format("{}: librdkafka knows no property \"{}\" (see its CONFIGURATION.md)",
                      property.origin, property.key));
    default:
      return absl::InvalidArgumentError(
          fmt::format("{}: librdkafka does not take this value of \"{}\" (see its "
                      "CONFIGURATION.md)",
                      property.origin, property.key));
  }
}

}  // namespace

absl::Status KafkaUnavailable(std::string_view what, rd_kafka_resp_err_t error) {
  return absl::UnavailableError(fmt::format("{}: {}", what, rd_kafka_err2str(error)));
}

absl::StatusOr<KafkaConf> MakeKafkaConf(const KafkaProperties& properties,
                                        const KafkaProperties& ours, KafkaLog log) {
  KafkaConf conf(rd_kafka_conf_new(), &rd_kafka_conf_destroy);
  rd_kafka_conf_set_log_cb(conf.get(), log);
  for (const KafkaProperties* some : {&ours, &properties}) {
    for (const KafkaProperty& property : *some) {
      if (absl::Status s = SetProperty(property, *conf); !s.ok()) return s;
    }
  }
  return conf;
}

absl::StatusOr<KafkaHandle> MakeKafkaHandle(rd_kafka_type_t type, KafkaConf conf) {
  std::array<char, kErrorBytes> error{};
  rd_kafka_t* const handle = rd_kafka_new(type, conf.get(), error.data(), error.size());
  if (handle == nullptr) {
    return absl::InvalidArgumentError(
        fmt::format("the properties do not go together: {}", error.data()));
  }
  // The handle has it now.
  static_cast<void>(conf.release());  // NOLINT(bugprone-unused-return-value)
  return KafkaHandle(handle, &rd_kafka_destroy);
}

absl::StatusOr<KafkaTopicShape> AskTopicShape(rd_kafka_t& handle, rd_kafka_topic_t& topic,
                                              milliseconds timeout) {
  const rd_kafka_metadata_t* metadata = nullptr;
  const rd_kafka_resp_err_t error =
      rd_kafka_metadata(&handle, 0, &topic, &metadata, static_cast<int>(timeout.count()));
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return KafkaUnavailable("no broker answers", error);
  const bool is_told = metadata->topic_cnt > 0;
  const rd_kafka_resp_err_t of_topic =
      is_told ? metadata->topics[0].err : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
  KafkaTopicShape shape;
  if (is_told) shape.partitions = metadata->topics[0].partition_cnt;
  if (shape.partitions > 0) shape.replicas = metadata->topics[0].partitions[0].replica_cnt;
  rd_kafka_metadata_destroy(metadata);
  if (of_topic == RD_KAFKA_RESP_ERR_NO_ERROR) return shape;
  const std::string text =
      fmt::format("topic \"{}\": {}", rd_kafka_topic_name(&topic), rd_kafka_err2str(of_topic));
  if (of_topic == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) return absl::NotFoundError(text);
  if (of_topic == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED) {
    return absl::PermissionDeniedError(text);
  }
  return absl::UnavailableError(text);
}

// `which` is the beginning or the end. Not by rd_kafka_query_watermark_offsets, which asks for both
// at once: in version 2.0.2, where the broker's thread is late, it asks twice for the end.
absl::StatusOr<int64_t> AskKafkaOffset(rd_kafka_t& handle, const std::string& topic,
                                       int32_t partition, int64_t which, milliseconds timeout) {
  const std::unique_ptr<rd_kafka_topic_partition_list_t,
                        decltype(&rd_kafka_topic_partition_list_destroy)>
      list(rd_kafka_topic_partition_list_new(1), &rd_kafka_topic_partition_list_destroy);
  rd_kafka_topic_partition_t& asked =
      *rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), partition);
  asked.offset = which;
  rd_kafka_resp_err_t error =
      rd_kafka_offsets_for_times(&handle, list.get(), static_cast<int>(timeout.count()));
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) error = asked.err;
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR && asked.offset >= 0) return asked.offset;
  return KafkaUnavailable(fmt::format("cannot ask for the offsets of {}/{}", topic, partition),
                          error);
}

}  // namespace groundswell
