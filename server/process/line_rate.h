// LineRate: how many lines of a log may come in a second, and how many were left out.
#ifndef GROUNDSWELL_SERVER_PROCESS_LINE_RATE_H_
#define GROUNDSWELL_SERVER_PROCESS_LINE_RATE_H_

#include <chrono>
#include <cstdint>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "graph/mutex.h"

namespace groundswell {

// Thread-safe.
class LineRate {
 public:
  explicit LineRate(int64_t per_second) : per_second_(per_second) {}

  // How many lines were left out since the last that was logged; nullopt: this one is left out too.
  std::optional<int64_t> Take(std::chrono::steady_clock::time_point now)
      ABSL_LOCKS_EXCLUDED(mutex_) {
    const MutexLock lock(mutex_);
    if (now - begin_ >= std::chrono::seconds(1)) {
      begin_ = now;
      taken_ = 0;
    }
    if (taken_ == per_second_) {
      ++left_out_;
      return std::nullopt;
    }
    ++taken_;
    return std::exchange(left_out_, 0);
  }

 private:
  const int64_t per_second_;
  Mutex mutex_;
  std::chrono::steady_clock::time_point begin_ ABSL_GUARDED_BY(mutex_);  // of the second
  int64_t taken_ ABSL_GUARDED_BY(mutex_) = 0;                            // in it
  int64_t left_out_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_PROCESS_LINE_RATE_H_
