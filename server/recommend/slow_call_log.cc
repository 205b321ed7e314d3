#include "server/recommend/slow_call_log.h"

#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "server/process/logging.h"

namespace groundswell {
namespace {

// Of what a caller may send as an id.
constexpr size_t kLoggedIdBytesMax = 64;

double Milliseconds(std::chrono::nanoseconds duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

}  // namespace

void SlowCallLog::Observe(const EndedCall& call) {
  if (threshold_.count() == 0 || call.total < threshold_) return;
  const std::optional<int64_t> left_out = TakeLine(std::chrono::steady_clock::now());
  if (!left_out.has_value()) return;
  nlohmann::ordered_json fields;
  fields["method"] = NameOf(call.method);
  fields["code"] = absl::StatusCodeToString(call.code);
  if (!call.request_id.empty()) fields["request_id"] = call.request_id.substr(0, kLoggedIdBytesMax);
  if (call.trace.has_value()) fields["trace_id"] = call.trace->trace_id;
  fields["total_ms"] = Milliseconds(call.total);
  for (const auto& [stage, duration] :
       {std::pair("queue_ms", call.queued), std::pair("user_state_ms", call.stages.user_state),
        std::pair("retrieval_ms", call.stages.retrieval), std::pair("rank_ms", call.stages.rank),
        std::pair("explain_ms", call.stages.explain),
        std::pair("arrange_ms", call.stages.arrange)}) {
    fields[stage] = Milliseconds(duration);
  }
  if (*left_out > 0) fields["left_out"] = *left_out;
  LogEvent(spdlog::level::warn, "slow call", fields);
}

std::optional<int64_t> SlowCallLog::TakeLine(std::chrono::steady_clock::time_point now) {
  const MutexLock lock(mutex_);
  if (now - second_begin_ >= std::chrono::seconds(1)) {
    second_begin_ = now;
    lines_ = 0;
  }
  if (lines_ == kLinesPerSecond) {
    ++left_out_;
    return std::nullopt;
  }
  ++lines_;
  return std::exchange(left_out_, 0);
}

}  // namespace groundswell
