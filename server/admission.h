// Admission: the compute threads, and the bounded queue before them.
//
// A request is run whole by one compute thread. What does not fit the queue is refused at the door,
// with a hint when to try again, instead of waiting for its deadline inside. Work that expired or
// was cancelled while it waited is for the work itself to notice, first thing.
#ifndef GROUNDSWELL_SERVER_ADMISSION_H_
#define GROUNDSWELL_SERVER_ADMISSION_H_

#include <atomic>
#include <chrono>
#include <cstddef>
#include <deque>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "graph/mutex.h"

namespace groundswell {

// Which thread runs the work; index per-thread scratch memory with it.
struct ComputeThread {
  size_t number = 0;  // 0 .. thread_count() - 1
};

class Admission {
 public:
  // Runs once; must not throw.
  using Work = absl::AnyInvocable<void(ComputeThread)>;

  // `threads` 0: one per core.
  Admission(size_t threads, size_t queue_max);
  // Drains.
  ~Admission();
  Admission(const Admission&) = delete;
  Admission& operator=(const Admission&) = delete;

  // Queues `work`, in order of arrival. ResourceExhausted with RetryInfo when `queue_max` works
  // wait already; Unavailable, reason DRAINING, after Drain began. Refused work is destroyed unrun.
  // Never blocks.
  absl::Status Submit(Work work) ABSL_LOCKS_EXCLUDED(mutex_);

  // Refuses new work, runs what is queued, and returns when all threads ended. From one thread,
  // which is not a compute thread; a second call does nothing.
  void Drain() ABSL_LOCKS_EXCLUDED(mutex_);

  size_t thread_count() const { return threads_.size(); }
  // Works waiting now.
  size_t queue_depth() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void Run(ComputeThread self);
  // How long the queue as it is takes to drain, by the recent duration of works.
  std::chrono::milliseconds RetryAfter() const;

  const size_t queue_max_;
  std::atomic<int64_t> work_ns_{1'000'000};  // moving average of a work's duration
  mutable Mutex mutex_;
  CondVar changed_;
  std::deque<Work> queue_ ABSL_GUARDED_BY(mutex_);
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_ADMISSION_H_
