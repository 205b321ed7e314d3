#include "client/kafka/kafka_topic.h"

#include <fmt/format.h>

#include <array>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "kafka/librdkafka.h"
#include "program/standard_error.h"
#include "program/terminal_text.h"

namespace groundswell {
namespace {

using std::chrono::milliseconds;

// Of records that wait to be taken, a partition; librdkafka's own default is 64 MiB.
constexpr const char* kQueuedKib = "4096";
constexpr int kDeadLettersInFlight = 1'000;
// Of a key that stays in a letter whose value was left out.
constexpr size_t kKeyBytesKept = 1'000;
// Until a dead letter that no broker takes ends the command; librdkafka's own default is 5 minutes.
constexpr const char* kDeliveryTimeoutMs = "60000";

using Headers = std::unique_ptr<rd_kafka_headers_t, decltype(&rd_kafka_headers_destroy)>;

void Log(const rd_kafka_t* /*handle*/, int /*level*/, const char* facility, const char* message) {
  // A producer's settings in one file with a consumer's.
  if (std::string_view(facility) == "CONFWARN") return;
  PrintToStandardError("groundswell: Kafka: {}\n", TerminalLines(message));
}

std::optional<std::string> BytesOf(const void* bytes, size_t size) {
  if (bytes == nullptr) return std::nullopt;
  return std::string(static_cast<const char*>(bytes), size);
}

KafkaRecord ToRecord(const rd_kafka_message_t& message) {
  rd_kafka_timestamp_type_t type = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
  const int64_t timestamp = rd_kafka_message_timestamp(&message, &type);
  return {.partition = message.partition,
          .offset = message.offset,
          .timestamp_ms = type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE ? -1 : timestamp,
          .key = BytesOf(message.key, message.key_len),
          .value = BytesOf(message.payload, message.len)};
}

// Of one that is not passed over.
absl::Status ToStatus(const rd_kafka_message_t& message) {
  const std::string text = fmt::format(
      "{}/{}: {}", message.rkt == nullptr ? "the topic" : rd_kafka_topic_name(message.rkt),
      message.partition, rd_kafka_message_errstr(&message));
  switch (message.err) {
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
      return absl::FailedPreconditionError(text);
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
      return absl::NotFoundError(text);
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
      return absl::PermissionDeniedError(text);
    case RD_KAFKA_RESP_ERR__BAD_MSG:
    case RD_KAFKA_RESP_ERR__BAD_COMPRESSION:
    case RD_KAFKA_RESP_ERR_INVALID_MSG:
      return absl::DataLossError(text);
    default:
      return absl::UnavailableError(text);
  }
}

struct Letter {
  std::optional<std::string> key;
  std::optional<std::string> value;
  Headers headers;
};

void AddHeader(Letter& letter, const char* name, const std::string& value) {
  rd_kafka_header_add(letter.headers.get(), name, -1, value.data(),
                      static_cast<ssize_t>(value.size()));
}

// Without what makes it too large for the topic; the record's place in its own topic stays.
void LeaveValueOut(Letter& letter) {
  AddHeader(letter, "groundswell.left_out",
            fmt::format("the value of {} bytes: more than message.max.bytes of --properties, or "
                        "max.message.bytes of the topic, allows",
                        letter.value->size()));
  letter.value.reset();
  if (letter.key.has_value() && letter.key->size() > kKeyBytesKept) letter.key.reset();
}

absl::Status NotWritten(const std::string& topic, rd_kafka_resp_err_t error) {
  return KafkaUnavailable(
      fmt::format(
          "the dead-letter topic {} did not take a record{}", topic,
          error == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE
              ? " (raise message.max.bytes of --properties and the topic's max.message.bytes)"
              : ""),
      error);
}

// Has the headers of a letter that was taken.
rd_kafka_resp_err_t Produce(rd_kafka_t& handle, const std::string& topic, Letter& letter) {
  const auto size = [](const auto& bytes) { return bytes.has_value() ? bytes->size() : 0; };
  // librdkafka copies both.
  char* const value = letter.value.has_value() ? letter.value->data() : nullptr;
  const char* const key = letter.key.has_value() ? letter.key->data() : nullptr;
  const rd_kafka_resp_err_t error = rd_kafka_producev(
      &handle, RD_KAFKA_V_TOPIC(topic.c_str()), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
      RD_KAFKA_V_VALUE(value, size(letter.value)), RD_KAFKA_V_KEY(key, size(letter.key)),
      RD_KAFKA_V_HEADERS(letter.headers.get()), RD_KAFKA_V_END);
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
    static_cast<void>(letter.headers.release());  // NOLINT(bugprone-unused-return-value)
  }
  return error;
}

// One that came back.
Letter ToLetter(const rd_kafka_message_t& message) {
  rd_kafka_headers_t* headers = nullptr;
  rd_kafka_message_headers(&message, &headers);
  return {.key = BytesOf(message.key, message.key_len),
          .value = BytesOf(message.payload, message.len),
          .headers =
              Headers(headers == nullptr ? rd_kafka_headers_new(1) : rd_kafka_headers_copy(headers),
                      &rd_kafka_headers_destroy)};
}

// What librdkafka mends by itself.
bool Passes(rd_kafka_resp_err_t error) {
  return error == RD_KAFKA_RESP_ERR__TRANSPORT || error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN ||
         error == RD_KAFKA_RESP_ERR__TIMED_OUT || error == RD_KAFKA_RESP_ERR__RESOLVE;
}

}  // namespace

struct KafkaTopic::State {
  std::string name;
  std::string cluster_id;
  milliseconds timeout;
  KafkaHandle handle;
  KafkaQueue queue;
  KafkaTopicHandle topic;
  std::set<int32_t> begun;
};

KafkaTopic::KafkaTopic(std::unique_ptr<State> state) : state_(std::move(state)) {}

KafkaTopic::~KafkaTopic() {
  for (const int32_t partition : state_->begun) {
    rd_kafka_consume_stop(state_->topic.get(), partition);
  }
  state_->topic.reset();
  state_->queue.reset();
}

absl::StatusOr<std::unique_ptr<KafkaTopic>> KafkaTopic::Open(const KafkaProperties& properties,
                                                             const std::string& topic,
                                                             milliseconds timeout) {
  auto conf = MakeKafkaConf(properties,
                            {{"enable.partition.eof", "true", ""},
                             {"auto.offset.reset", "error", ""},
                             {"isolation.level", "read_committed", ""},
                             {"allow.auto.create.topics", "false", ""},
                             {"queued.max.messages.kbytes", kQueuedKib, ""}},
                            Log);
  if (!conf.ok()) return conf.status();
  absl::StatusOr<KafkaHandle> handle = MakeKafkaHandle(RD_KAFKA_CONSUMER, *std::move(conf));
  if (!handle.ok()) return handle.status();
  KafkaQueue queue(rd_kafka_queue_new(handle->get()), &rd_kafka_queue_destroy);
  KafkaTopicHandle opened(rd_kafka_topic_new(handle->get(), topic.c_str(), nullptr),
                          &rd_kafka_topic_destroy);
  if (opened == nullptr) {
    return absl::InvalidArgumentError(fmt::format("\"{}\" cannot be a topic", topic));
  }
  const auto shape = AskTopicShape(**handle, *opened, timeout);
  if (!shape.ok()) return shape.status();
  char* const id = rd_kafka_clusterid(handle->get(), static_cast<int>(timeout.count()));
  if (id == nullptr) return absl::UnavailableError("the brokers do not tell their cluster's id");
  auto state = std::make_unique<State>(
      State{topic, id, timeout, *std::move(handle), std::move(queue), std::move(opened), {}});
  rd_kafka_mem_free(state->handle.get(), id);
  return std::unique_ptr<KafkaTopic>(new KafkaTopic(std::move(state)));
}

const std::string& KafkaTopic::name() const { return state_->name; }
const std::string& KafkaTopic::cluster_id() const { return state_->cluster_id; }

absl::StatusOr<int32_t> KafkaTopic::CountPartitions() {
  const auto shape = AskTopicShape(*state_->handle, *state_->topic, state_->timeout);
  if (!shape.ok()) return shape.status();
  return shape->partitions;
}

absl::StatusOr<KafkaTopic::Range> KafkaTopic::QueryRange(int32_t partition) {
  const auto first = AskKafkaOffset(*state_->handle, state_->name, partition,
                                    RD_KAFKA_OFFSET_BEGINNING, state_->timeout);
  if (!first.ok()) return first.status();
  const auto end = AskKafkaOffset(*state_->handle, state_->name, partition, RD_KAFKA_OFFSET_END,
                                  state_->timeout);
  if (!end.ok()) return end.status();
  return Range{.first = *first, .end = *end};
}

std::optional<int64_t> KafkaTopic::LastKnownEnd(int32_t partition) {
  int64_t first = RD_KAFKA_OFFSET_INVALID;
  int64_t end = RD_KAFKA_OFFSET_INVALID;
  rd_kafka_get_watermark_offsets(state_->handle.get(), state_->name.c_str(), partition, &first,
                                 &end);
  return end < 0 ? std::nullopt : std::optional(end);
}

absl::Status KafkaTopic::Begin(int32_t partition, int64_t offset) {
  if (rd_kafka_consume_start_queue(state_->topic.get(), partition, offset, state_->queue.get()) !=
      0) {
    return KafkaUnavailable(fmt::format("cannot read {}/{}", state_->name, partition),
                            rd_kafka_last_error());
  }
  state_->begun.insert(partition);
  return absl::OkStatus();
}

absl::StatusOr<std::optional<KafkaEvent>> KafkaTopic::Next(milliseconds wait) {
  rd_kafka_poll(state_->handle.get(), 0);
  const KafkaMessage message(
      rd_kafka_consume_queue(state_->queue.get(), static_cast<int>(wait.count())),
      &rd_kafka_message_destroy);
  if (message == nullptr || Passes(message->err)) return std::nullopt;
  KafkaEvent event{.partition = message->partition, .offset = message->offset, .record = {}};
  if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) return event;
  if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) return ToStatus(*message);
  event.record = ToRecord(*message);
  return event;
}

struct DeadLetterTopic::State {
  std::string name;
  rd_kafka_resp_err_t failure = RD_KAFKA_RESP_ERR_NO_ERROR;  // of a delivery
  std::vector<Letter> too_large;  // for the broker, and without their values now
  KafkaHandle handle{nullptr, &rd_kafka_destroy};

  void OnDelivery(const rd_kafka_message_t& message) {
    if (message.err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE && message.payload != nullptr) {
      LeaveValueOut(too_large.emplace_back(ToLetter(message)));
    } else if (message.err != RD_KAFKA_RESP_ERR_NO_ERROR) {
      failure = message.err;
    }
  }
  void WaitForDeliveries() const {
    // Ends: each delivery has its own limit (delivery.timeout.ms).
    while (rd_kafka_flush(handle.get(), 1'000) == RD_KAFKA_RESP_ERR__TIMED_OUT) {
    }
  }
};

DeadLetterTopic::DeadLetterTopic(std::unique_ptr<State> state) : state_(std::move(state)) {}
DeadLetterTopic::~DeadLetterTopic() = default;

absl::StatusOr<std::unique_ptr<DeadLetterTopic>> DeadLetterTopic::Open(
    const KafkaProperties& properties, const std::string& topic, milliseconds timeout) {
  auto conf = MakeKafkaConf(properties,
                            {{"enable.idempotence", "true", ""},
                             // So that the size of one says nothing of others.
                             {"batch.num.messages", "1", ""},
                             {"delivery.timeout.ms", kDeliveryTimeoutMs, ""}},
                            Log);
  if (!conf.ok()) return conf.status();
  auto state = std::make_unique<State>();
  state->name = topic;
  rd_kafka_conf_set_opaque(conf->get(), state.get());
  rd_kafka_conf_set_dr_msg_cb(conf->get(),
                              [](rd_kafka_t*, const rd_kafka_message_t* message, void* opaque) {
                                static_cast<State*>(opaque)->OnDelivery(*message);
                              });
  absl::StatusOr<KafkaHandle> handle = MakeKafkaHandle(RD_KAFKA_PRODUCER, *std::move(conf));
  if (!handle.ok()) return handle.status();
  state->handle = *std::move(handle);
  const KafkaTopicHandle opened(rd_kafka_topic_new(state->handle.get(), topic.c_str(), nullptr),
                                &rd_kafka_topic_destroy);
  if (opened == nullptr) {
    return absl::InvalidArgumentError(fmt::format("\"{}\" cannot be a topic", topic));
  }
  const auto shape = AskTopicShape(*state->handle, *opened, timeout);
  if (!shape.ok()) return shape.status();
  return std::unique_ptr<DeadLetterTopic>(new DeadLetterTopic(std::move(state)));
}

absl::Status DeadLetterTopic::Write(const KafkaRecord& record, const std::string& source_topic,
                                    const std::string& reason) {
  if (rd_kafka_outq_len(state_->handle.get()) >= kDeadLettersInFlight) {
    if (absl::Status s = Flush(); !s.ok()) return s;
  }
  Letter letter{.key = record.key,
                .value = record.value,
                .headers = Headers(rd_kafka_headers_new(5), &rd_kafka_headers_destroy)};
  AddHeader(letter, "groundswell.topic", source_topic);
  AddHeader(letter, "groundswell.partition", std::to_string(record.partition));
  AddHeader(letter, "groundswell.offset", std::to_string(record.offset));
  AddHeader(letter, "groundswell.reason", reason);
  rd_kafka_resp_err_t error = Produce(*state_->handle, state_->name, letter);
  if (error == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE && letter.value.has_value()) {
    LeaveValueOut(letter);
    error = Produce(*state_->handle, state_->name, letter);
  }
  return error == RD_KAFKA_RESP_ERR_NO_ERROR ? absl::OkStatus() : NotWritten(state_->name, error);
}

absl::Status DeadLetterTopic::Flush() {
  state_->WaitForDeliveries();
  for (Letter& letter : std::exchange(state_->too_large, {})) {
    const rd_kafka_resp_err_t error = Produce(*state_->handle, state_->name, letter);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return NotWritten(state_->name, error);
  }
  state_->WaitForDeliveries();
  const rd_kafka_resp_err_t failure = std::exchange(state_->failure, RD_KAFKA_RESP_ERR_NO_ERROR);
  return failure == RD_KAFKA_RESP_ERR_NO_ERROR ? absl::OkStatus()
                                               : NotWritten(state_->name, failure);
}

}  // namespace groundswell
