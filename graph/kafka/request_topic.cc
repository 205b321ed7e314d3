#include "graph/kafka/request_topic.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string_view>
#include <utility>

#include "graph/kafka/kafka_log.h"
#include "graph/log/request_record.h"
#include "kafka/librdkafka.h"

namespace groundswell {
namespace {

using std::chrono::milliseconds;

constexpr int64_t kMessageBytesMin = 5'000'000;  // a whole request, and what is around it

using Event = std::unique_ptr<rd_kafka_event_t, decltype(&rd_kafka_event_destroy)>;

absl::StatusOr<KafkaHandle> MakeAdmin(const RequestTopic& topic) {
  auto conf = MakeKafkaConf(
      topic.properties, {{"enable.idempotence", "true", ""}, {"message.max.bytes", "5000000", ""}},
      LogOfKafka);
  if (!conf.ok()) return conf.status();
  return MakeKafkaHandle(RD_KAFKA_PRODUCER, *std::move(conf));
}

// Calls one of librdkafka's admin functions and waits for its result.
Event Administer(rd_kafka_t& handle, milliseconds timeout,
                 const std::function<void(rd_kafka_queue_t*)>& call) {
  const KafkaQueue queue(rd_kafka_queue_new(&handle), &rd_kafka_queue_destroy);
  call(queue.get());
  return {rd_kafka_queue_poll(queue.get(), static_cast<int>(timeout.count())),
          &rd_kafka_event_destroy};
}

absl::Status StatusOf(const Event& event, const RequestTopic& topic) {
  if (event == nullptr) return absl::UnavailableError("no broker answers in time");
  const rd_kafka_resp_err_t error = rd_kafka_event_error(event.get());
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return absl::OkStatus();
  return absl::UnavailableError(
      fmt::format("topic \"{}\": {}", topic.name, rd_kafka_event_error_string(event.get())));
}

absl::StatusOr<std::map<std::string, std::string>> ReadSettings(rd_kafka_t& handle,
                                                                const RequestTopic& topic) {
  rd_kafka_ConfigResource_t* asked =
      rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic.name.c_str());
  const Event event = Administer(handle, topic.timeout, [&](rd_kafka_queue_t* queue) {
    rd_kafka_DescribeConfigs(&handle, &asked, 1, nullptr, queue);
  });
  rd_kafka_ConfigResource_destroy(asked);
  if (absl::Status s = StatusOf(event, topic); !s.ok()) return s;
  size_t count = 0;
  const rd_kafka_ConfigResource_t** told = rd_kafka_DescribeConfigs_result_resources(
      rd_kafka_event_DescribeConfigs_result(event.get()), &count);
  if (count != 1 || rd_kafka_ConfigResource_error(told[0]) != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return absl::UnavailableError(
        fmt::format("the settings of topic \"{}\" cannot be read: {}", topic.name,
                    count == 1 ? rd_kafka_ConfigResource_error_string(told[0]) : "no answer"));
  }
  std::map<std::string, std::string> settings;
  const rd_kafka_ConfigEntry_t** entries = rd_kafka_ConfigResource_configs(told[0], &count);
  for (size_t i = 0; i < count; ++i) {
    const char* const value = rd_kafka_ConfigEntry_value(entries[i]);
    settings[rd_kafka_ConfigEntry_name(entries[i])] = value == nullptr ? "" : value;
  }
  return settings;
}

int64_t NumberIn(const std::map<std::string, std::string>& settings, const std::string& name) {
  const auto at = settings.find(name);
  return at == settings.end() ? 0 : std::strtoll(at->second.c_str(), nullptr, 10);
}

absl::Status Refused(const RequestTopic& topic, std::string_view name, std::string_view value,
                     std::string_view why, std::string_view right) {
  return absl::FailedPreconditionError(fmt::format(
      "topic \"{0}\" has {1}={2}: {3}. Set it right: kafka-configs.sh --bootstrap-server BROKERS "
      "--alter --entity-type topics --entity-name {0} --add-config {1}={4}",
      topic.name, name, value, why, right));
}

absl::Status CheckSettings(const std::map<std::string, std::string>& settings,
                           const RequestTopic& topic) {
  const auto text = [&settings](const std::string& name) {
    const auto at = settings.find(name);
    return at == settings.end() ? std::string() : at->second;
  };
  if (NumberIn(settings, "min.insync.replicas") < topic.in_sync_min) {
    return Refused(topic, "min.insync.replicas", text("min.insync.replicas"),
                   fmt::format("what fewer than {} machines have may be lost with one of them "
                               "(log.kafka_in_sync_min)",
                               topic.in_sync_min),
                   std::to_string(topic.in_sync_min));
  }
  if (text("unclean.leader.election.enable") != "false") {
    return Refused(topic, "unclean.leader.election.enable", text("unclean.leader.election.enable"),
                   "a leader that lacks acknowledged requests could be elected", "false");
  }
  if (text("cleanup.policy") != "delete") {
    return Refused(topic, "cleanup.policy", text("cleanup.policy"),
                   "compaction takes requests out of the midst of the log", "delete");
  }
  const int64_t retention_ms = NumberIn(settings, "retention.ms");
  if (retention_ms >= 0 && milliseconds(retention_ms) < kRetentionMin) {
    return Refused(topic, "retention.ms", text("retention.ms"),
                   fmt::format("a server that was away for longer could not go on; at least {} h",
                               kRetentionMin.count()),
                   "86400000");
  }
  if (NumberIn(settings, "retention.bytes") >= 0) {
    return Refused(topic, "retention.bytes", text("retention.bytes"),
                   "many requests at once would drive out those that servers have not read", "-1");
  }
  if (NumberIn(settings, "max.message.bytes") < kMessageBytesMin) {
    return Refused(topic, "max.message.bytes", text("max.message.bytes"),
                   "a large request would not be taken", std::to_string(kMessageBytesMin));
  }
  if (text("message.timestamp.type") != "LogAppendTime") {
    return Refused(topic, "message.timestamp.type", text("message.timestamp.type"),
                   "by the clock of a server that is wrong, requests would be deleted too early",
                   "LogAppendTime");
  }
  return absl::OkStatus();
}

LogId RandomLogId() {
  LogId id;
  std::random_device device;
  std::ranges::generate(id, [&device] { return static_cast<uint8_t>(device()); });
  return id;
}

}  // namespace

absl::Status CheckNotOurs(const KafkaProperties& properties) {
  constexpr std::array<std::string_view, 15> kOurs = {"acks",
                                                      "request.required.acks",
                                                      "allow.auto.create.topics",
                                                      "check.crcs",
                                                      "delivery.timeout.ms",
                                                      "enable.gapless.guarantee",
                                                      "max.in.flight",
                                                      "max.in.flight.requests.per.connection",
                                                      "message.timeout.ms",
                                                      "fetch.message.max.bytes",
                                                      "max.partition.fetch.bytes",
                                                      "message.max.bytes",
                                                      "message.send.max.retries",
                                                      "retries",
                                                      "transactional.id"};
  for (const KafkaProperty& property : properties) {
    if (std::ranges::find(kOurs, property.key) == kOurs.end()) continue;
    return absl::InvalidArgumentError(fmt::format(
        "{} sets \"{}\", which must be left out: the log of several servers depends on it",
        property.origin, property.key));
  }
  return absl::OkStatus();
}

absl::StatusOr<SharedLog> BeginRequestTopic(const RequestTopic& topic) {
  auto conf = MakeKafkaConf(topic.properties,
                            {{"enable.idempotence", "true", ""},
                             {"message.timeout.ms", std::to_string(topic.timeout.count()), ""}},
                            LogOfKafka);
  if (!conf.ok()) return conf.status();
  struct Delivered {
    rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR__TIMED_OUT;
    int64_t offset = -1;
  } delivered;
  rd_kafka_conf_set_opaque(conf->get(), &delivered);
  rd_kafka_conf_set_dr_msg_cb(
      conf->get(), [](rd_kafka_t*, const rd_kafka_message_t* message, void* opaque) {
        *static_cast<Delivered*>(opaque) = {.error = message->err, .offset = message->offset};
      });
  const absl::StatusOr<KafkaHandle> producer = MakeKafkaHandle(RD_KAFKA_PRODUCER, *std::move(conf));
  if (!producer.ok()) return producer.status();
  SharedLog log{.id = RandomLogId()};
  std::string record = EncodeFirstRecord(log.id);
  const auto decoded = DecodeRequestRecord(record);
  if (!decoded.ok()) return decoded.status();
  log.checksum = decoded->checksum;
  const rd_kafka_resp_err_t error =
      rd_kafka_producev(producer->get(), RD_KAFKA_V_TOPIC(topic.name.c_str()),
                        RD_KAFKA_V_PARTITION(0), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                        RD_KAFKA_V_VALUE(record.data(), record.size()), RD_KAFKA_V_END);
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
    rd_kafka_flush(producer->get(), static_cast<int>(topic.timeout.count()));
  } else {
    delivered.error = error;
  }
  if (delivered.error == RD_KAFKA_RESP_ERR_NO_ERROR && delivered.offset == 0) return log;
  if (delivered.error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return KafkaUnavailable(fmt::format("topic \"{}\" does not take its first record", topic.name),
                            delivered.error);
  }
  return absl::FailedPreconditionError(
      fmt::format("topic \"{}\" was not empty: give another name", topic.name));
}

absl::StatusOr<SharedLog> CreateRequestTopic(const RequestTopic& topic, int32_t replicas,
                                             milliseconds retention) {
  const absl::StatusOr<KafkaHandle> admin = MakeAdmin(topic);
  if (!admin.ok()) return admin.status();
  std::array<char, 512> why{};
  rd_kafka_NewTopic_t* created =
      rd_kafka_NewTopic_new(topic.name.c_str(), 1, replicas, why.data(), why.size());
  if (created == nullptr) return absl::InvalidArgumentError(why.data());
  for (const auto& [name, value] : std::map<std::string, std::string>{
           {"cleanup.policy", "delete"},
           {"max.message.bytes", std::to_string(kMessageBytesMin)},
           {"message.timestamp.type", "LogAppendTime"},
           {"min.insync.replicas", std::to_string(topic.in_sync_min)},
           {"retention.bytes", "-1"},
           {"retention.ms", std::to_string(retention.count())},
           {"segment.ms", "600000"},  // what may go, goes soon
           {"unclean.leader.election.enable", "false"}}) {
    rd_kafka_NewTopic_set_config(created, name.c_str(), value.c_str());
  }
  const Event event = Administer(**admin, topic.timeout, [&](rd_kafka_queue_t* queue) {
    rd_kafka_CreateTopics(admin->get(), &created, 1, nullptr, queue);
  });
  rd_kafka_NewTopic_destroy(created);
  if (absl::Status s = StatusOf(event, topic); !s.ok()) return s;
  size_t count = 0;
  const rd_kafka_topic_result_t** results =
      rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event.get()), &count);
  const rd_kafka_resp_err_t error =
      count == 1 ? rd_kafka_topic_result_error(results[0]) : RD_KAFKA_RESP_ERR_UNKNOWN;
  if (error == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) {
    return absl::AlreadyExistsError(
        fmt::format("there is a topic \"{}\" already; give another name", topic.name));
  }
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return absl::UnavailableError(
        fmt::format("topic \"{}\" is not made: {}", topic.name,
                    count == 1 ? rd_kafka_topic_result_error_string(results[0]) : "no answer"));
  }
  return BeginRequestTopic(topic);
}

absl::Status CheckRequestTopic(const RequestTopic& topic) {
  const absl::StatusOr<KafkaHandle> admin = MakeAdmin(topic);
  if (!admin.ok()) return admin.status();
  const auto settings = ReadSettings(**admin, topic);
  if (!settings.ok()) return settings.status();
  return CheckSettings(*settings, topic);
}

}  // namespace groundswell
