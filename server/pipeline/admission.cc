#include "server/pipeline/admission.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "scheduling/thread_scheduling.h"
#include "server/rpc/status_details.h"

namespace groundswell {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// Weight of the newest duration in the moving average: 1/16.
constexpr int64_t kAverageOver = 16;
constexpr milliseconds kRetryMin{1};
constexpr milliseconds kRetryMax{1'000};

size_t ThreadsOrCores(size_t threads) {
  return threads > 0 ? threads : std::max<size_t>(1, std::thread::hardware_concurrency());
}

}  // namespace

Admission::Admission(const Options& options) : options_(options) {
  const size_t count = ThreadsOrCores(options.threads);
  threads_.reserve(count);
  shared_.reserve(count);
  try {
    for (size_t number = 0; number < count; ++number) {
      threads_.emplace_back([this, number] { Run({.number = number, .siblings = this}); });
    }
  } catch (...) {  // there are no more to be had; those there are must end before they go
    Drain();
    throw;
  }
}

Admission::~Admission() { Drain(); }

absl::Status Admission::Submit(Work work) {
  bool full = false;
  {
    const MutexLock lock(mutex_);
    if (draining_) {
      return WithReason(absl::UnavailableError("the server is shutting down; ask another one"),
                        "DRAINING");
    }
    full = queue_.size() >= options_.queue_max;
    if (!full) queue_.push_back(std::move(work));
  }
  if (full) return Overloaded("the request queue", RetryAfter());
  changed_.NotifyOne();  // without the lock: whoever wakes up needs it
  return absl::OkStatus();
}

void Admission::Drain() {
  {
    const MutexLock lock(mutex_);
    draining_ = true;
    changed_.NotifyAll();
  }
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

size_t Admission::queue_depth() const {
  const MutexLock lock(mutex_);
  return queue_.size();
}

void Admission::Run(ComputeThread self) {
  NameThread("compute");
  RequestShortSlices();
  for (;;) {
    Work work;
    {
      const MutexLock lock(mutex_);
      for (;;) {
        // First: a request that runs waits for it, and those in the queue have not begun.
        if (RunSharedPart()) continue;
        if (!queue_.empty()) break;
        if (draining_) return;
        ++idle_;
        changed_.Wait(mutex_);
        --idle_;
      }
      work = std::move(queue_.front());
      queue_.pop_front();
      self.pressure = PressureBehind(queue_.size());
    }
    const auto begin = steady_clock::now();
    try {
      std::move(work)(self);
    } catch (const std::exception& e) {
      spdlog::error("a compute thread: {}", e.what());
    }
    const int64_t took = std::chrono::nanoseconds(steady_clock::now() - begin).count();
    // Concurrent updates may lose one another: an average does not mind.
    const int64_t average = work_ns_.load(std::memory_order_relaxed);
    work_ns_.store(average + (took - average) / kAverageOver, std::memory_order_relaxed);
  }
}

Pressure Admission::PressureBehind(size_t waiting) const {
  const auto reaches = [waiting](size_t limit) { return limit > 0 && waiting >= limit; };
  if (reaches(options_.no_ranking_at)) return Pressure::kNoRanking;
  return reaches(options_.fewer_candidates_at) ? Pressure::kFewerCandidates : Pressure::kNone;
}

bool Admission::RunSharedPart() {
  if (shared_.empty()) return false;
  SharedPart& part = *shared_.back();
  shared_.pop_back();
  mutex_.unlock();
  try {
    part.run();
  } catch (...) {
    part.thrown = std::current_exception();
  }
  mutex_.lock();
  // Under the lock, and nothing behind it: it lies on the stack of whoever waits, who may go on.
  part.done = true;
  part_done_.NotifyAll();
  return true;
}

bool Admission::Share(SharedPart& part) {
  {
    const MutexLock lock(mutex_);
    // Whoever is idle was perhaps woken already for what waits, and has not come to it.
    if (idle_ <= shared_.size() + queue_.size()) return false;
    shared_.push_back(&part);
  }
  changed_.NotifyOne();
  return true;
}

bool Admission::TakeBack(SharedPart& part) {
  const MutexLock lock(mutex_);
  const auto at = std::find(shared_.begin(), shared_.end(), &part);
  if (at != shared_.end()) {
    shared_.erase(at);
    return true;
  }
  while (!part.done) part_done_.Wait(mutex_);
  return false;
}

void RunSideBySide(ComputeThread self, absl::FunctionRef<void()> own,
                   absl::FunctionRef<void()> side) {
  Admission::SharedPart part{.run = side};
  const bool shared = self.siblings != nullptr && self.siblings->Share(part);
  try {
    own();
  } catch (...) {
    if (shared) static_cast<void>(self.siblings->TakeBack(part));  // it lies on this stack
    throw;
  }
  if (!shared || self.siblings->TakeBack(part)) return side();
  if (part.thrown != nullptr) std::rethrow_exception(part.thrown);
}

milliseconds Admission::RetryAfter() const {
  const int64_t wait_ns = work_ns_.load(std::memory_order_relaxed) *
                          static_cast<int64_t>(options_.queue_max) /
                          static_cast<int64_t>(thread_count());
  return std::clamp(std::chrono::ceil<milliseconds>(std::chrono::nanoseconds(wait_ns)), kRetryMin,
                    kRetryMax);
}

}  // namespace groundswell
