// Admission: the compute threads, and the bounded queue before them.
//
// A request is run whole by one compute thread. What does not fit the queue is refused at the door,
// with a hint when to try again, instead of waiting for its deadline inside. Work that expired or
// was cancelled while it waited is for the work itself to notice, first thing.
#ifndef GROUNDSWELL_SERVER_PIPELINE_ADMISSION_H_
#define GROUNDSWELL_SERVER_PIPELINE_ADMISSION_H_

#include <atomic>
#include <chrono>
#include <cstddef>
#include <deque>
#include <exception>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "graph/mutex.h"

namespace groundswell {

class Admission;

// How much waits behind a work, and so how dear its answer may be.
enum class Pressure {
  kNone,
  kFewerCandidates,  // answer with less
  kNoRanking,        // and in the order of retrieval
};

// Which thread runs the work; index per-thread scratch memory with it.
struct ComputeThread {
  size_t number = 0;  // 0 .. thread_count() - 1
  Pressure pressure = Pressure::kNone;
  Admission* siblings = nullptr;  // whose thread it is; null: it has none to share work with
};

// Runs both and returns when both are done: `side` on a compute thread that has nothing to do, if
// there is one and it gets to it before this one is done with `own`; else here, after `own`. No
// request waits in the queue for it. What either throws, this throws once neither runs. Does not
// allocate.
void RunSideBySide(ComputeThread self, absl::FunctionRef<void()> own,
                   absl::FunctionRef<void()> side);

class Admission {
 public:
  // Runs once. What it throws is logged, as the last resort: a call must be finished all the same.
  using Work = absl::AnyInvocable<void(ComputeThread)>;

  struct Options {
    size_t threads = 0;  // 0: one per core
    size_t queue_max = 256;
    // Works that wait, from which on those that begin are under pressure; 0: never.
    size_t fewer_candidates_at = 0;
    size_t no_ranking_at = 0;
  };

  explicit Admission(const Options& options);
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
  friend void RunSideBySide(ComputeThread self, absl::FunctionRef<void()> own,
                            absl::FunctionRef<void()> side);
  // A part of a work that its thread shares; lies on that thread's stack.
  struct SharedPart {
    absl::FunctionRef<void()> run;
    bool done = false;               // guarded by mutex_
    std::exception_ptr thrown = {};  // by `run`; before `done`
  };

  void Run(ComputeThread self);
  // Runs a part that another thread shares, if there is one.
  bool RunSharedPart() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Offers `part` to a thread that has nothing to do. False when there is none.
  bool Share(SharedPart& part) ABSL_LOCKS_EXCLUDED(mutex_);
  // Takes a part back that no thread has begun, and answers true; else waits until it is done.
  bool TakeBack(SharedPart& part) ABSL_LOCKS_EXCLUDED(mutex_);
  // How long the queue as it is takes to drain, by the recent duration of works.
  std::chrono::milliseconds RetryAfter() const;

  Pressure PressureBehind(size_t waiting) const;

  const Options options_;
  std::atomic<int64_t> work_ns_{1'000'000};  // moving average of a work's duration
  mutable Mutex mutex_;
  CondVar changed_;
  CondVar part_done_;
  std::deque<Work> queue_ ABSL_GUARDED_BY(mutex_);
  std::vector<SharedPart*> shared_ ABSL_GUARDED_BY(mutex_);  // not begun yet
  size_t idle_ ABSL_GUARDED_BY(mutex_) = 0;                  // threads that wait for anything
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_PIPELINE_ADMISSION_H_
