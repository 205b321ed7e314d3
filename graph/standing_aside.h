// How work that nobody waits for leaves the cores to the calls that are being answered.
//
// Priorities do not suffice where cores are few: a woken thread may wait for milliseconds until the
// one that runs has had its slice, whatever its nice value, and a thread of so low a priority that
// this does not happen would never run beside enough calls, whatever it holds that they wait for.
// So the work itself stands aside, between two pieces of it.
#ifndef GROUNDSWELL_GRAPH_STANDING_ASIDE_H_
#define GROUNDSWELL_GRAPH_STANDING_ASIDE_H_

#include <atomic>
#include <chrono>
#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "graph/mutex.h"

namespace groundswell {

// Counts the calls that are being answered. Any thread may use it.
class CallsInFlight {
 public:
  // More calls than `room` leave no core to other work.
  explicit CallsInFlight(int64_t room) : room_(room) {}

  void Begin() { count_.fetch_add(1); }
  void End() ABSL_LOCKS_EXCLUDED(mutex_);

  bool LeaveNoCore() const { return count_.load(std::memory_order_relaxed) > room_; }
  // Waits until they leave a core, at most until `deadline`.
  void AwaitCore(std::chrono::steady_clock::time_point deadline) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  const int64_t room_;
  std::atomic<int64_t> count_{0};
  std::atomic<int64_t> waiting_{0};
  Mutex mutex_;
  CondVar changed_;
};

// When one thread works beside the calls; that thread's alone.
class StandingAside {
 public:
  StandingAside() = default;  // never
  // For at most `longest` at a time (0: never), and over time for three times as long as the thread
  // works: calls that never end take three quarters of it. `calls` must outlive this.
  StandingAside(CallsInFlight& calls, std::chrono::microseconds longest)
      : calls_(longest.count() > 0 ? &calls : nullptr), longest_(longest), credit_(longest) {}

  // To be called between two pieces of work, without a lock that a call may wait for.
  void BetweenPieces() {
    if (calls_ != nullptr && calls_->LeaveNoCore()) StandAside();
  }

 private:
  void StandAside();

  CallsInFlight* calls_ = nullptr;
  std::chrono::nanoseconds longest_{0};
  std::chrono::nanoseconds credit_{0};  // how long the thread may stand aside now
  std::chrono::steady_clock::time_point works_since_{};
};

}  // namespace groundswell

#endif  // GROUNDSWELL_GRAPH_STANDING_ASIDE_H_
