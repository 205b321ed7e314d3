// SlowCallLog: calls that took long, and where their time went: a line in the log for each, and the
// newest of them kept to be asked for.
#ifndef GROUNDSWELL_SERVER_RECOMMEND_SLOW_CALL_LOG_H_
#define GROUNDSWELL_SERVER_RECOMMEND_SLOW_CALL_LOG_H_

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "graph/mutex.h"
#include "server/pipeline/query.h"
#include "server/process/line_rate.h"
#include "server/process/metrics.h"
#include "server/rpc/trace_context.h"

namespace groundswell {

// One call that ended.
struct EndedCall {
  Method method;
  std::string_view request_id;  // as the caller gave it; may be empty
  const std::optional<TraceContext>& trace;
  absl::StatusCode code;
  std::chrono::nanoseconds total;
  std::chrono::nanoseconds queued;
  const StageDurations& stages;
};

// One that is kept.
struct SlowCall {
  Method method{};
  std::string request_id;  // its first bytes; may be empty
  std::string trace_id;    // may be empty
  absl::StatusCode code{};
  std::chrono::system_clock::time_point end_time;
  std::chrono::nanoseconds total{};
  std::chrono::nanoseconds queued{};
  StageDurations stages;
};

// Thread-safe.
class SlowCallLog {
 public:
  // Older ones make room.
  static constexpr size_t kCallsKept = 200;
  // Lines in a second, so that an overload does not fill the disk; how many were left out stands in
  // the next line.
  static constexpr int kLinesPerSecond = 10;

  // Calls of `threshold` and more are logged; 0: none.
  explicit SlowCallLog(std::chrono::nanoseconds threshold) : threshold_(threshold) {}

  void Observe(const EndedCall& call) ABSL_LOCKS_EXCLUDED(mutex_);

  struct Newest {
    std::vector<SlowCall> calls;  // newest first
    int64_t total_count = 0;      // of all that were observed to be slow
  };
  // At most `limit` calls.
  Newest ReadNewest(size_t limit) const ABSL_LOCKS_EXCLUDED(mutex_);

  std::chrono::nanoseconds threshold() const { return threshold_; }

 private:
  void Keep(const EndedCall& call) ABSL_LOCKS_EXCLUDED(mutex_);

  const std::chrono::nanoseconds threshold_;
  mutable Mutex mutex_;
  // A ring: the call number n, from 0, is at n modulo kCallsKept.
  std::vector<SlowCall> kept_ ABSL_GUARDED_BY(mutex_);
  int64_t total_count_ ABSL_GUARDED_BY(mutex_) = 0;
  LineRate lines_{kLinesPerSecond};
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_RECOMMEND_SLOW_CALL_LOG_H_
