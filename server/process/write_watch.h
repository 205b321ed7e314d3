// WriteWatch: for how long writes to the database have not come back, or were refused although the
// disk takes them, and what follows: a server that is not ready, and then one that has to be
// started again.
//
// Thread-safe.
#ifndef GROUNDSWELL_SERVER_PROCESS_WRITE_WATCH_H_
#define GROUNDSWELL_SERVER_PROCESS_WRITE_WATCH_H_

#include <chrono>
#include <cstdint>
#include <string>

#include "absl/base/thread_annotations.h"
#include "graph/mutex.h"
#include "graph/store/write_health.h"

namespace groundswell {

class WriteWatch {
 public:
  struct Limits {
    std::chrono::milliseconds stall_max;     // storage.write_stall_s
    std::chrono::milliseconds recovery_max;  // storage.recovery_max_s; 0: for ever
  };

  // `health` must outlive it.
  WriteWatch(const WriteHealth& health, Limits limits) : health_(health), limits_(limits) {}

  // Takes what is seen now for what was since the last look, `passed` ago.
  void Look(std::chrono::milliseconds passed) ABSL_LOCKS_EXCLUDED(mutex_);

  // Why the server is not ready; empty: nothing hangs.
  std::string StalledBecause() const ABSL_LOCKS_EXCLUDED(mutex_);
  // Why only another start can help; empty: it may still recover.
  std::string HopelessBecause() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  const WriteHealth& health_;
  const Limits limits_;
  mutable Mutex mutex_;
  uint64_t write_ ABSL_GUARDED_BY(mutex_) = 0;  // the oldest at the last look
  std::chrono::milliseconds stalled_ ABSL_GUARDED_BY(mutex_){0};
  std::chrono::milliseconds stuck_ ABSL_GUARDED_BY(mutex_){0};
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_PROCESS_WRITE_WATCH_H_
