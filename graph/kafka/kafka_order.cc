#include "graph/kafka/kafka_order.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <random>
#include <string_view>
#include <utility>

#include "graph/kafka/kafka_log.h"
#include "graph/log/request_record.h"
#include "kafka/librdkafka.h"
#include "scheduling/thread_scheduling.h"

namespace groundswell {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// How soon a thread that waits for the brokers sees that it is to end.
constexpr milliseconds kSlice{100};
// Before another producer takes the place of one that failed.
constexpr milliseconds kProducerPause{500};
// What was submitted before Close is waited for so long.
constexpr std::chrono::seconds kClosing{5};

uint64_t RandomNumber() {
  std::random_device device;
  return uint64_t{device()} << 32 | device();
}

absl::StatusOr<KafkaHandle> MakeConsumer(const KafkaProperties& properties) {
  auto conf = MakeKafkaConf(properties,
                            {{"enable.partition.eof", "true", ""},
                             {"auto.offset.reset", "error", ""},
                             {"allow.auto.create.topics", "false", ""},
                             {"check.crcs", "true", ""},
                             {"fetch.message.max.bytes", "8388608", ""},
                             {"queued.max.messages.kbytes", "16384", ""}},
                            LogOfKafka);
  if (!conf.ok()) return conf.status();
  return MakeKafkaHandle(RD_KAFKA_CONSUMER, *std::move(conf));
}

bool IsGone(rd_kafka_resp_err_t error) {
  return error == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET ||
         error == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE;
}

bool IsDamage(rd_kafka_resp_err_t error) {
  return error == RD_KAFKA_RESP_ERR__BAD_MSG || error == RD_KAFKA_RESP_ERR_INVALID_MSG ||
         error == RD_KAFKA_RESP_ERR__BAD_COMPRESSION;
}

std::string_view BytesIn(const rd_kafka_message_t& message) {
  return {static_cast<const char*>(message.payload), message.payload == nullptr ? 0 : message.len};
}

}  // namespace

struct KafkaOrder::Handles {
  ~Handles() {
    if (is_reading) rd_kafka_consume_stop(topic.get(), 0);
    topic.reset();
  }
  KafkaHandle consumer{nullptr, &rd_kafka_destroy};
  KafkaTopicHandle topic{nullptr, &rd_kafka_topic_destroy};
  bool is_reading = false;
  // The sender's to make and to give up, and else used with mutex_ held.
  KafkaHandle producer{nullptr, &rd_kafka_destroy};
};

absl::StatusOr<std::unique_ptr<KafkaOrder>> KafkaOrder::Open(const Options& options,
                                                             const SharedLog& from) {
  absl::StatusOr<KafkaHandle> consumer = MakeConsumer(options.properties);
  if (!consumer.ok()) return consumer.status();
  auto handles = std::make_unique<Handles>();
  handles->consumer = *std::move(consumer);
  handles->topic.reset(rd_kafka_topic_new(handles->consumer.get(), options.topic.c_str(), nullptr));
  if (handles->topic == nullptr) {
    return absl::InvalidArgumentError(fmt::format("\"{}\" cannot be a topic", options.topic));
  }
  const auto shape = AskTopicShape(*handles->consumer, *handles->topic, options.timeout);
  if (!shape.ok()) return shape.status();
  if (shape->partitions != 1) {
    return absl::FailedPreconditionError(fmt::format(
        "topic \"{}\" has {} partitions; the order of requests is that of one: make another topic "
        "with `groundswell-server create-log`",
        options.topic, shape->partitions));
  }
  std::unique_ptr<KafkaOrder> order(new KafkaOrder(options, from, std::move(handles)));
  if (absl::Status s = order->CheckFrom(from); !s.ok()) return s;
  order->sender_ = std::thread([sending = order.get()] { sending->SendLoop(); });
  return order;
}

KafkaOrder::KafkaOrder(const Options& options, const SharedLog& from,
                       std::unique_ptr<Handles> handles)
    : options_(options),
      log_id_(from.id),
      incarnation_(RandomNumber()),
      handles_(std::move(handles)),
      cut_(from.position),
      read_end_(from.position) {}

KafkaOrder::~KafkaOrder() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  changed_.NotifyAll();
  if (sender_.joinable()) sender_.join();
}

// Without a look at what was read last, it would go on silently in a topic that was made anew, or
// is another cluster's, once that is long enough.
absl::Status KafkaOrder::CheckFrom(const SharedLog& from) {
  const auto begin = AskKafkaOffset(*handles_->consumer, options_.topic, 0,
                                    RD_KAFKA_OFFSET_BEGINNING, options_.timeout);
  if (!begin.ok()) return begin.status();
  const auto end =
      AskKafkaOffset(*handles_->consumer, options_.topic, 0, RD_KAFKA_OFFSET_END, options_.timeout);
  if (!end.ok()) return end.status();
  if (*begin > from.position + 1 || *end <= from.position) return WhyGone();
  const int64_t first = std::max(*begin, from.position);
  if (rd_kafka_consume_start(handles_->topic.get(), 0, first) != 0) {
    return KafkaUnavailable(fmt::format("cannot read topic \"{}\"", options_.topic),
                            rd_kafka_last_error());
  }
  handles_->is_reading = true;
  // The retention may just have taken it; every record says of which log it is.
  if (first > from.position) return absl::OkStatus();
  const TimePoint patience = steady_clock::now() + options_.timeout;
  while (steady_clock::now() < patience) {
    const KafkaMessage message(
        rd_kafka_consume(handles_->topic.get(), 0, static_cast<int>(kSlice.count())),
        &rd_kafka_message_destroy);
    if (message == nullptr || message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) continue;
    if (IsGone(message->err)) return WhyGone();
    if (IsDamage(message->err)) return Damaged(from.position, *message);
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) continue;
    const auto record = DecodeRequestRecord(BytesIn(*message));
    if (record.ok() && message->offset == from.position && record->log_id == log_id_ &&
        record->checksum == from.checksum) {
      return absl::OkStatus();
    }
    return absl::DataLossError(fmt::format(
        "topic \"{}\" is not the log {} of this database: at offset {} it has something else than "
        "was taken from there. Name the topic and the brokers of that log, or restore a backup of "
        "a server that is on this topic",
        options_.topic, ToHex(log_id_), from.position));
  }
  return absl::UnavailableError(
      fmt::format("topic \"{}\" cannot be read: its leader does not answer", options_.topic));
}

absl::Status KafkaOrder::WhyGone() {
  const int64_t position = read_end_;
  const auto begin = AskKafkaOffset(*handles_->consumer, options_.topic, 0,
                                    RD_KAFKA_OFFSET_BEGINNING, options_.timeout);
  if (!begin.ok()) return begin.status();
  if (*begin > position + 1) {
    return absl::OutOfRangeError(fmt::format(
        "topic \"{}\" begins at offset {}, and this server has taken it up to {}: what was between "
        "is gone by its retention. Restore a backup of a server that is further "
        "(`groundswell-server restore --replace`)",
        options_.topic, *begin, position));
  }
  return absl::DataLossError(fmt::format(
      "topic \"{}\" ends before offset {}, up to which this server has taken it: it was made anew, "
      "or its brokers have lost what they had acknowledged. Name the topic of the log {}; where it "
      "is lost, make another one from the server that is furthest (`groundswell-server create-log "
      "--replace`), and the others from its backup",
      options_.topic, position, ToHex(log_id_)));
}

absl::Status KafkaOrder::Submit(AppendRequest request) {
  // One without entries waits as any other does.
  const size_t count = std::max<size_t>(request.entries.size(), 1);
  MutexLock lock(mutex_);
  if (closed_until_ != TimePoint::max()) return absl::FailedPreconditionError("the log is closed");
  if (queued_ + count > options_.queue_max) {
    return absl::ResourceExhaustedError(
        fmt::format("{} interactions already wait for the brokers of topic \"{}\"; at most {} may "
                    "(ingest.queue_max)",
                    queued_, options_.topic, options_.queue_max));
  }
  std::string record = EncodeRequestRecord(
      log_id_, {.incarnation = incarnation_, .number = first_number_ + submitted_.size()}, request);
  if (record.size() > kRequestBytesMax) {
    return absl::InvalidArgumentError(
        fmt::format("the request has {} bytes; at most {} fit a record of the log: send it in "
                    "several",
                    record.size(), kRequestBytesMax));
  }
  queued_ += count;
  submitted_.push_back({.record = std::move(record), .entries = count});
  SendWaiting();
  return absl::OkStatus();
}

void KafkaOrder::SendWaiting() {
  rd_kafka_t* const producer = handles_->producer.get();
  while (producer != nullptr && producer_error_ == 0 && sent_ < submitted_.size()) {
    std::string& record = submitted_[sent_].record;
    const rd_kafka_resp_err_t error = rd_kafka_producev(
        producer, RD_KAFKA_V_TOPIC(options_.topic.c_str()), RD_KAFKA_V_PARTITION(0),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_VALUE(record.data(), record.size()),
        // NOLINTNEXTLINE(performance-no-int-to-ptr): librdkafka hands it back
        RD_KAFKA_V_OPAQUE(reinterpret_cast<void*>(first_number_ + sent_)), RD_KAFKA_V_END);
    if (error == RD_KAFKA_RESP_ERR__QUEUE_FULL) return;  // the sender tries again
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
      producer_error_ = error;
      return;
    }
    ++sent_;
  }
}

void KafkaOrder::OnDelivery(uint64_t number, int error) {
  {
    MutexLock lock(mutex_);
    if (error == 0) {
      delivered_ = std::max(delivered_, number);
    } else if (producer_error_ == 0) {
      producer_error_ = error;
    }
  }
  changed_.NotifyAll();
}

void KafkaOrder::SendLoop() {
  NameThread("log-sender");
  while (!RunProducer()) {
    MutexLock lock(mutex_);
    const TimePoint until = steady_clock::now() + kProducerPause;
    while (!stopping_ && steady_clock::now() < until) changed_.WaitUntil(mutex_, until);
  }
}

// From its making until it fails; true when the order ends.
bool KafkaOrder::RunProducer() {
  auto conf = MakeKafkaConf(options_.properties,
                            {{"enable.idempotence", "true", ""},
                             {"acks", "all", ""},
                             {"message.timeout.ms", "0", ""},
                             {"message.max.bytes", "5000000", ""},
                             {"queue.buffering.max.kbytes", "65536", ""},
                             {"linger.ms", "1", ""},
                             // What is behind a batch that was refused must not get into the topic.
                             {"enable.gapless.guarantee", "true", ""},
                             {"max.in.flight.requests.per.connection", "1", ""}},
                            LogOfKafka);
  if (conf.ok()) {
    rd_kafka_conf_set_opaque(conf->get(), this);
    rd_kafka_conf_set_dr_msg_cb(conf->get(),
                                [](rd_kafka_t*, const rd_kafka_message_t* message, void* opaque) {
                                  static_cast<KafkaOrder*>(opaque)->OnDelivery(
                                      reinterpret_cast<uint64_t>(message->_private), message->err);
                                });
  }
  absl::StatusOr<KafkaHandle> made = conf.ok()
                                         ? MakeKafkaHandle(RD_KAFKA_PRODUCER, *std::move(conf))
                                         : absl::StatusOr<KafkaHandle>(conf.status());
  if (!made.ok()) {
    spdlog::error("the log cannot be written: {}", std::string(made.status().message()));
    MutexLock lock(mutex_);
    return stopping_;
  }
  rd_kafka_t* const producer = made->get();
  int error = 0;
  bool stops = false;
  {
    MutexLock lock(mutex_);
    handles_->producer = *std::move(made);
    producer_error_ = 0;
    sent_ = 0;
    SendWaiting();
  }
  while (error == 0 && !stops) {
    rd_kafka_poll(producer, static_cast<int>(kSlice.count()));
    MutexLock lock(mutex_);
    SendWaiting();
    error = producer_error_;
    stops = stopping_;
  }
  KafkaHandle given_up(nullptr, &rd_kafka_destroy);
  {
    MutexLock lock(mutex_);
    given_up = std::move(handles_->producer);
    sent_ = 0;
  }
  if (error != 0) {
    spdlog::warn("topic \"{}\" did not take a request: {}; all that wait are sent again",
                 options_.topic, rd_kafka_err2str(static_cast<rd_kafka_resp_err_t>(error)));
  }
  rd_kafka_purge(given_up.get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
  return stops;
}

absl::StatusOr<bool> KafkaOrder::Fetch(milliseconds wait) {
  absl::StatusOr<bool> came = broken_.ok() ? FetchNext(wait) : broken_;
  if (!came.ok() && broken_.ok()) {
    broken_ = came.status();
    spdlog::error("this server reads its log no further: {}", std::string(broken_.message()));
  }
  return came;
}

absl::Status KafkaOrder::Damaged(int64_t position, const rd_kafka_message_s& message) const {
  return absl::DataLossError(fmt::format("topic \"{}\" is damaged at offset {}: {}", options_.topic,
                                         position, rd_kafka_message_errstr(&message)));
}

absl::StatusOr<bool> KafkaOrder::FetchNext(milliseconds wait) {
  if (is_gone_) {  // nothing more comes; why is asked until a broker answers
    absl::Status why = WhyGone();
    if (!absl::IsUnavailable(why)) return why;
    std::this_thread::sleep_for(wait);
    return false;
  }
  const KafkaMessage message(
      rd_kafka_consume(handles_->topic.get(), 0, static_cast<int>(wait.count())),
      &rd_kafka_message_destroy);
  if (message == nullptr) return false;
  if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) return false;
  if (IsGone(message->err)) {
    is_gone_ = true;
    return false;
  }
  if (IsDamage(message->err)) return Damaged(read_end_ + 1, *message);
  if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {  // librdkafka mends it, or goes on trying
    spdlog::warn("topic \"{}\" cannot be read: {}", options_.topic,
                 rd_kafka_message_errstr(message.get()));
    return false;
  }
  if (absl::Status s = Keep(message->offset, BytesIn(*message)); !s.ok()) return s;
  return true;
}

absl::Status KafkaOrder::Keep(int64_t position, std::string_view record) {
  if (position != read_end_ + 1) {
    return absl::DataLossError(fmt::format("topic \"{}\" has offset {} behind {}", options_.topic,
                                           position, read_end_.load()));
  }
  absl::StatusOr<RequestRecord> decoded = DecodeRequestRecord(record);
  if (!decoded.ok()) {
    return absl::DataLossError(fmt::format("topic \"{}\", offset {}: {}", options_.topic, position,
                                           std::string(decoded.status().message())));
  }
  if (decoded->log_id != log_id_) {
    return absl::DataLossError(
        fmt::format("topic \"{}\" has a request of the log {} at offset {}, in the midst of {}",
                    options_.topic, ToHex(decoded->log_id), position, ToHex(log_id_)));
  }
  Kept kept{.request = std::move(decoded->request), .checksum = decoded->checksum};
  if (decoded->sender.incarnation == incarnation_) {
    const auto own = IsOwn(decoded->sender.number);
    if (!own.ok()) return own.status();
    kept.is_own = *own;
  }
  kept_.push_back(std::move(kept));
  read_end_ = position;
  return absl::OkStatus();
}

// Whether the number is not read for a second time.
absl::StatusOr<bool> KafkaOrder::IsOwn(uint64_t number) {
  MutexLock lock(mutex_);
  if (number < first_number_) return false;
  if (number > first_number_ || submitted_.empty()) {
    return absl::DataLossError(fmt::format(
        "topic \"{}\" has this server's request {} but not {}: its brokers have lost what they had "
        "acknowledged",
        options_.topic, number, first_number_));
  }
  ++first_number_;
  queued_ -= submitted_.front().entries;
  submitted_.pop_front();
  if (sent_ > 0) --sent_;
  return true;
}

bool KafkaOrder::IsDrained() const {
  MutexLock lock(mutex_);
  if (closed_until_ == TimePoint::max()) return false;
  return submitted_.empty() || steady_clock::now() >= closed_until_;
}

bool KafkaOrder::IsOverdue() const {
  MutexLock lock(mutex_);
  return steady_clock::now() >= closed_until_;
}

absl::StatusOr<std::vector<RequestOrder::Ordered>> KafkaOrder::Read(int64_t position,
                                                                    size_t entries_max,
                                                                    TimePoint until) {
  if (position < cut_) {
    return absl::OutOfRangeError(
        fmt::format("the requests behind {} were cut, up to {}", position, cut_));
  }
  if (position > read_end_) {
    const auto end = End(until);
    if (!end.ok()) return end.status();
    if (*end < position) {
      return absl::DataLossError(
          fmt::format("topic \"{}\" ends at {}, before {}", options_.topic, *end, position));
    }
  }
  // Also while what others wrote is still read, which may be the log of a day.
  if (IsOverdue()) return absl::FailedPreconditionError("the log is closed");
  while (read_end_ <= position) {
    if (read_end_ == position && IsDrained()) {
      return absl::FailedPreconditionError("the log is closed, and everything was read");
    }
    const TimePoint now = steady_clock::now();
    if (now >= until) return std::vector<Ordered>{};
    const auto left =
        std::chrono::ceil<milliseconds>(std::min<TimePoint::duration>(until - now, kSlice));
    if (const auto came = Fetch(left); !came.ok()) return came.status();
  }
  size_t entries = 0;
  std::vector<Ordered> ordered;
  for (int64_t next = position + 1;; ++next) {
    if (next > read_end_) {  // what is here already, without waiting
      const auto came = Fetch(milliseconds(0));
      // What was read before an error is taken first.
      if (!came.ok() || !*came) break;
    }
    const Kept& kept = kept_[static_cast<size_t>(next - cut_ - 1)];
    entries += std::max<size_t>(kept.request.entries.size(), 1);
    if (!ordered.empty() && entries > entries_max) break;
    ordered.push_back({.position = next,
                       .request = &kept.request,
                       .is_own = kept.is_own,
                       .checksum = kept.checksum});
  }
  return ordered;
}

absl::StatusOr<int64_t> KafkaOrder::End(TimePoint until) {
  {
    MutexLock lock(mutex_);
    const uint64_t last = first_number_ + submitted_.size() - 1;
    // What was read back is in it, whether or not that was reported.
    while (delivered_ < last && first_number_ <= last) {
      if (stopping_ || steady_clock::now() >= until) {
        return absl::UnavailableError(
            fmt::format("the brokers of topic \"{}\" do not acknowledge", options_.topic));
      }
      changed_.WaitUntil(mutex_, std::min(until, steady_clock::now() + kSlice));
    }
  }
  const auto left = std::min<TimePoint::duration>(until - steady_clock::now(), options_.timeout);
  const auto end =
      AskKafkaOffset(*handles_->consumer, options_.topic, 0, RD_KAFKA_OFFSET_END,
                     std::max(std::chrono::duration_cast<milliseconds>(left), milliseconds(1)));
  if (!end.ok()) return end.status();
  return *end - 1;
}

int64_t KafkaOrder::LastKnownEnd() const {
  int64_t begin = RD_KAFKA_OFFSET_INVALID;
  int64_t end = RD_KAFKA_OFFSET_INVALID;
  rd_kafka_get_watermark_offsets(handles_->consumer.get(), options_.topic.c_str(), 0, &begin, &end);
  return std::max(end - 1, read_end_.load());
}

absl::Status KafkaOrder::Cut(int64_t position) {
  if (position > read_end_) {
    return absl::InvalidArgumentError(
        fmt::format("cannot cut up to {}: read is what is up to {}", position, read_end_.load()));
  }
  for (; cut_ < position; ++cut_) kept_.pop_front();
  return absl::OkStatus();
}

void KafkaOrder::Close() {
  MutexLock lock(mutex_);
  closed_until_ = std::min(closed_until_, steady_clock::now() + kClosing);
}

size_t KafkaOrder::queued() const {
  MutexLock lock(mutex_);
  return queued_;
}

}  // namespace groundswell
