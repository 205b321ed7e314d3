// PeriodicThread: a thread that looks after something again and again.
#ifndef GROUNDSWELL_SERVER_PROCESS_PERIODIC_THREAD_H_
#define GROUNDSWELL_SERVER_PROCESS_PERIODIC_THREAD_H_

#include <chrono>
#include <functional>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "graph/mutex.h"

namespace groundswell {

class PeriodicThread {
 public:
  // A look that lasts asks now and then whether to go on; false: the thread is being stopped.
  using KeepGoing = std::function<bool()>;
  // Returns how long to wait until the next look. What it throws is logged, and the next look is
  // after kWaitAfterError.
  using Look = std::function<std::chrono::milliseconds(const KeepGoing&)>;

  static constexpr std::chrono::seconds kWaitAfterError{1};

  // How the thread is called, at most 15 characters, and how far it stands back behind others.
  struct Scheduling {
    const char* name;
    int niceness = 0;
  };

  // The first look is after `first_wait`. What `look` refers to must outlive this object.
  PeriodicThread(Scheduling scheduling, std::chrono::milliseconds first_wait, Look look);
  // Waits for the look in progress.
  ~PeriodicThread();

 private:
  void Loop(Scheduling scheduling, std::chrono::milliseconds wait);
  // False when it is to stop.
  bool WaitFor(std::chrono::milliseconds wait) ABSL_LOCKS_EXCLUDED(mutex_);
  bool stopping() const ABSL_LOCKS_EXCLUDED(mutex_);

  const Look look_;
  mutable Mutex mutex_;
  CondVar changed_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // last: it uses everything above
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_PROCESS_PERIODIC_THREAD_H_
