// KafkaOrder: the order of the requests of several servers, in a topic of one partition. A
// request's position is its offset there.
//
// What is submitted stays in a list here until it is read back from the topic. A producer that
// reports an error is given up, and another one gets the whole list in its order: so a request may
// be in the topic twice, but never one without those that were submitted before it.
#ifndef GROUNDSWELL_GRAPH_KAFKA_KAFKA_ORDER_H_
#define GROUNDSWELL_GRAPH_KAFKA_KAFKA_ORDER_H_

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "graph/log/request_order.h"
#include "graph/log/shared_log.h"
#include "graph/mutex.h"
#include "kafka/kafka_properties.h"

struct rd_kafka_message_s;  // librdkafka's

namespace groundswell {

class KafkaOrder final : public RequestOrder {
 public:
  // Of an encoded request; a topic must take a little more.
  static constexpr size_t kRequestBytesMax = size_t{4} << 20;

  struct Options {
    KafkaProperties properties;
    std::string topic;
    size_t queue_max = 20'000;                  // entries that wait to be read back
    std::chrono::milliseconds timeout{10'000};  // of a question to the brokers
  };

  // Reads behind `from`. Unavailable when no broker answers; NotFound without the topic;
  // FailedPrecondition when it has more partitions than one; OutOfRange when it begins behind what
  // is to be read; DataLoss when it ends before, or is another log than `from` says.
  static absl::StatusOr<std::unique_ptr<KafkaOrder>> Open(const Options& options,
                                                          const SharedLog& from);
  ~KafkaOrder() override;

  absl::Status Submit(AppendRequest request) override;
  absl::StatusOr<std::vector<Ordered>> Read(int64_t position, size_t entries_max,
                                            TimePoint until) override;
  absl::StatusOr<int64_t> End(TimePoint until) override;
  int64_t LastKnownEnd() const override;
  absl::Status Cut(int64_t position) override;
  // What was submitted is waited for, some seconds.
  void Close() override;
  size_t queued() const override;
  bool is_durable() const override { return true; }

 private:
  struct Handles;  // librdkafka's
  struct Submitted {
    std::string record;
    size_t entries = 0;  // at least 1
  };
  struct Kept {  // until it is cut
    AppendRequest request;
    bool is_own = false;
    uint32_t checksum = 0;
  };

  KafkaOrder(const Options& options, const SharedLog& from, std::unique_ptr<Handles> handles);
  absl::Status CheckFrom(const SharedLog& from);
  absl::Status WhyGone();
  // Whether something came within `wait`. After an error there is only that.
  absl::StatusOr<bool> Fetch(std::chrono::milliseconds wait);
  absl::StatusOr<bool> FetchNext(std::chrono::milliseconds wait);
  absl::Status Keep(int64_t position, std::string_view record);
  absl::StatusOr<bool> IsOwn(uint64_t number);
  absl::Status Damaged(int64_t position, const rd_kafka_message_s& message) const;
  bool IsDrained() const;
  // Closed for so long that nothing is waited for any more.
  bool IsOverdue() const;

  void SendLoop();
  bool RunProducer();
  void SendWaiting() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void OnDelivery(uint64_t number, int error);

  const Options options_;
  const LogId log_id_;
  const uint64_t incarnation_;
  const std::unique_ptr<Handles> handles_;

  // The reader's alone:
  absl::Status broken_;
  bool is_gone_ = false;   // what would come next is not there: see WhyGone
  std::deque<Kept> kept_;  // behind `cut_`
  int64_t cut_ = 0;
  std::atomic<int64_t> read_end_;  // the last of `kept_`

  mutable Mutex mutex_;
  CondVar changed_;
  std::deque<Submitted> submitted_ ABSL_GUARDED_BY(mutex_);  // and not read back
  uint64_t first_number_ ABSL_GUARDED_BY(mutex_) = 1;        // of the first of them
  size_t sent_ ABSL_GUARDED_BY(mutex_) = 0;                  // of them, to the producer of now
  uint64_t delivered_ ABSL_GUARDED_BY(mutex_) = 0;  // the newest number that is in the topic
  size_t queued_ ABSL_GUARDED_BY(mutex_) = 0;
  int producer_error_ ABSL_GUARDED_BY(mutex_) = 0;  // of librdkafka; then it is given up
  TimePoint closed_until_ ABSL_GUARDED_BY(mutex_) = TimePoint::max();  // not closed
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread sender_;  // last: it uses everything above
};

}  // namespace groundswell

#endif  // GROUNDSWELL_GRAPH_KAFKA_KAFKA_ORDER_H_
