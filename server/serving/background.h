// BackgroundThread: one thread for work that lasts and is not in a hurry: checkpoints, backups,
// redaction, activation. One job after the other.
#ifndef GROUNDSWELL_SERVER_SERVING_BACKGROUND_H_
#define GROUNDSWELL_SERVER_SERVING_BACKGROUND_H_

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <stop_token>
#include <thread>

#include "absl/status/status.h"
#include "graph/mutex.h"

namespace groundswell {

// Thread-safe.
class BackgroundThread {
 public:
  // A long job asks now and then whether to stop, and one that waits is woken by a callback.
  using Job = std::function<void(const std::stop_token&)>;

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

  // Every job that was taken is run; those that begin after this are told to stop.
  void Stop();

 private:
  void Loop();

  const Options options_;
  std::stop_source stop_;
  Mutex mutex_;
  CondVar changed_;
  std::deque<Job> jobs_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;  // last: it uses everything above
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_SERVING_BACKGROUND_H_
