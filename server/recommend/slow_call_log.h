// SlowCallLog: calls that took long, and where their time went.
#ifndef GROUNDSWELL_SERVER_RECOMMEND_SLOW_CALL_LOG_H_
#define GROUNDSWELL_SERVER_RECOMMEND_SLOW_CALL_LOG_H_

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

#include "absl/status/status.h"
#include "graph/mutex.h"
#include "server/pipeline/query.h"
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

// Thread-safe.
class SlowCallLog {
 public:
  // Lines in a second, so that an overload does not fill the disk; how many were left out stands in
  // the next line.
  static constexpr int kLinesPerSecond = 10;

  // Calls of `threshold` and more are logged; 0: none.
  explicit SlowCallLog(std::chrono::nanoseconds threshold) : threshold_(threshold) {}

  void Observe(const EndedCall& call);

 private:
  // How many calls were left out before this one; nullopt: it is left out too.
  std::optional<int64_t> TakeLine(std::chrono::steady_clock::time_point now);

  const std::chrono::nanoseconds threshold_;
  Mutex mutex_;
  std::chrono::steady_clock::time_point second_begin_ ABSL_GUARDED_BY(mutex_);
  int lines_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t left_out_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_RECOMMEND_SLOW_CALL_LOG_H_
