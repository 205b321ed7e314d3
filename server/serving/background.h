// BackgroundThread: one thread for work that lasts and is not in a hurry: checkpoints, backups,
// redaction, activation. One job after the other.
#ifndef GROUNDSWELL_SERVER_SERVING_BACKGROUND_H_
#define GROUNDSWELL_SERVER_SERVING_BACKGROUND_H_

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <thread>

#include "absl/status/status.h"
#include "graph/mutex.h"

namespace groundswell {

// Thread-safe.
class BackgroundThread {
 public:
  // A long job asks now and then whether to go on; false: the thread is being stopped.
  using KeepGoing = std::function<bool()>;
  using Job = std::function<void(const KeepGoing&)>;

  struct Options {
    size_t queue_max = 64;
    // Run whenever this much time has passed; 0: never.
    std::chrono::seconds interval{0};
    Job periodic;
  };

  explicit BackgroundThread(Options options);
  ~BackgroundThread();

  // Queues a job. ResourceExhausted when too many wait, Unavailable once it is stopping.
  absl::Status Submit(Job job);

  // Every job that was taken is run; those that begin after this are told not to go on.
  void Stop();

 private:
  void Loop();
  bool stopping() const;

  const Options options_;
  mutable Mutex mutex_;
  CondVar changed_;
  std::deque<Job> jobs_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // last: it uses everything above
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_SERVING_BACKGROUND_H_
