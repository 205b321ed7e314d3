// LineRate: how many lines of a log may come in a second, and how many were left out.
#ifndef GROUNDSWELL_SERVER_PROCESS_LINE_RATE_H_
#define GROUNDSWELL_SERVER_PROCESS_LINE_RATE_H_

#include <chrono>
#include <cstdint>
#include <mutex>
#include <utility>

namespace groundswell {

// Thread-safe.
class LineRate {
 public:
  explicit LineRate(uint64_t per_second) : per_second_(per_second) {}

  // Whether a line is logged now. `left_out`: how many were not since the last that was; else 0.
  bool Takes(std::chrono::steady_clock::time_point now, uint64_t& left_out) {
    const std::lock_guard<std::mutex> lock(mutex_);
    left_out = 0;
    if (now - begin_ >= std::chrono::seconds(1)) {
      begin_ = now;
      taken_ = 0;
    }
    if (taken_ == per_second_) {
      ++left_out_;
      return false;
    }
    ++taken_;
    left_out = std::exchange(left_out_, 0);
    return true;
  }

 private:
  const uint64_t per_second_;
  std::mutex mutex_;
  std::chrono::steady_clock::time_point begin_;  // of the second that is counted
  uint64_t taken_ = 0;                           // in it
  uint64_t left_out_ = 0;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_PROCESS_LINE_RATE_H_
