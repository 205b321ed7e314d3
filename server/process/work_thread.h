// WorkThread: one thread for what would hold up the thread of all connections.
#ifndef GROUNDSWELL_SERVER_PROCESS_WORK_THREAD_H_
#define GROUNDSWELL_SERVER_PROCESS_WORK_THREAD_H_

#include <deque>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "graph/mutex.h"

namespace groundswell {

// Thread-safe.
class WorkThread {
 public:
  using Work = absl::AnyInvocable<void()>;

  // `name`: as NameThread. Throws std::system_error when there is no thread to be had.
  explicit WorkThread(const char* name);
  // As Finish.
  ~WorkThread();
  WorkThread(const WorkThread&) = delete;
  WorkThread& operator=(const WorkThread&) = delete;

  // Done in the order in which it comes, by whoever bounds how much that is. What it throws is
  // logged, and the next is done. Dropped after Finish.
  void Post(Work work) ABSL_LOCKS_EXCLUDED(mutex_);

  // Waits for what was posted, and ends the thread.
  void Finish() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void Loop();

  const char* const name_;
  Mutex mutex_;
  CondVar changed_;
  std::deque<Work> waiting_ ABSL_GUARDED_BY(mutex_);
  bool finishing_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // last: it uses everything above
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_PROCESS_WORK_THREAD_H_
