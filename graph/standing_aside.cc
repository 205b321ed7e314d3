#include "graph/standing_aside.h"

#include <algorithm>

namespace groundswell {

using std::chrono::steady_clock;

namespace {
constexpr int kAsidePerWork = 3;  // how often the time of its work a thread may stand aside
}  // namespace

void CallsInFlight::End() {
  // Whoever waits sees the new count, or is seen here: both are sequentially consistent.
  if (count_.fetch_sub(1) != room_ + 1 || waiting_.load() == 0) return;
  const MutexLock lock(mutex_);
  changed_.NotifyAll();
}

void CallsInFlight::AwaitCore(steady_clock::time_point deadline) {
  const MutexLock lock(mutex_);
  waiting_.fetch_add(1);
  while (count_.load() > room_ && steady_clock::now() < deadline) {
    changed_.WaitUntil(mutex_, deadline);
  }
  waiting_.fetch_sub(1);
}

void StandingAside::StandAside() {
  const steady_clock::time_point begin = steady_clock::now();
  credit_ = std::min(longest_, credit_ + kAsidePerWork * (begin - works_since_));
  works_since_ = begin;
  // Not for moments: going to sleep and waking up would be all that is done.
  if (credit_ < longest_ / 2) return;
  calls_->AwaitCore(begin + credit_);
  works_since_ = steady_clock::now();
  credit_ -= works_since_ - begin;
}

}  // namespace groundswell
