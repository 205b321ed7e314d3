// LocalOrder: the order of one machine's requests, a queue in memory. It is durable by what was
// taken of it: a request that was not, nobody was told of.
#ifndef GROUNDSWELL_GRAPH_LOG_LOCAL_ORDER_H_
#define GROUNDSWELL_GRAPH_LOG_LOCAL_ORDER_H_

#include <deque>

#include "absl/base/thread_annotations.h"
#include "graph/log/request_order.h"
#include "graph/mutex.h"

namespace groundswell {

class LocalOrder final : public RequestOrder {
 public:
  // `queue_max`: entries that may wait to be read.
  explicit LocalOrder(size_t queue_max) : queue_max_(queue_max) {}

  absl::Status Submit(AppendRequest request) override;
  absl::StatusOr<std::vector<Ordered>> Read(int64_t position, size_t entries_max,
                                            TimePoint until) override;
  absl::StatusOr<int64_t> End(TimePoint until) override;
  int64_t LastKnownEnd() const override;
  absl::Status Cut(int64_t position) override;
  void Close() override;
  size_t queued() const override;
  bool is_durable() const override { return false; }

 private:
  int64_t EndLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return cut_ + static_cast<int64_t>(requests_.size());
  }

  const size_t queue_max_;
  mutable Mutex mutex_;
  CondVar changed_;
  std::deque<AppendRequest> requests_ ABSL_GUARDED_BY(mutex_);  // behind `cut_`
  int64_t cut_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t read_ ABSL_GUARDED_BY(mutex_) = 0;  // the newest position that was read
  size_t queued_ ABSL_GUARDED_BY(mutex_) = 0;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_GRAPH_LOG_LOCAL_ORDER_H_
