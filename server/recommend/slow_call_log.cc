#include "server/recommend/slow_call_log.h"

#include <algorithm>
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

// The first of it, no character of UTF-8 cut in two.
std::string_view LoggedId(std::string_view id) {
  if (id.size() <= kLoggedIdBytesMax) return id;
  size_t bytes = kLoggedIdBytesMax;
  while (bytes > 0 && (static_cast<uint8_t>(id[bytes]) & 0xC0) == 0x80) --bytes;
  return id.substr(0, bytes);
}

}  // namespace

void SlowCallLog::Observe(const EndedCall& call) {
  if (threshold_.count() == 0 || call.total < threshold_) return;
  Keep(call);
  const std::optional<int64_t> left_out = lines_.Take(std::chrono::steady_clock::now());
  if (!left_out.has_value()) return;
  nlohmann::ordered_json fields;
  fields["method"] = NameOf(call.method);
  fields["code"] = absl::StatusCodeToString(call.code);
  if (!call.request_id.empty()) fields["request_id"] = LoggedId(call.request_id);
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

void SlowCallLog::Keep(const EndedCall& call) {
  SlowCall kept{.method = call.method,
                .request_id = std::string(LoggedId(call.request_id)),
                .trace_id = call.trace.has_value() ? call.trace->trace_id : "",
                .code = call.code,
                .end_time = std::chrono::system_clock::now(),
                .total = call.total,
                .queued = call.queued,
                .stages = call.stages};
  const MutexLock lock(mutex_);
  if (kept_.size() < kCallsKept) {
    kept_.push_back(std::move(kept));
  } else {
    kept_[static_cast<size_t>(total_count_) % kCallsKept] = std::move(kept);
  }
  ++total_count_;
}

SlowCallLog::Newest SlowCallLog::ReadNewest(size_t limit) const {
  const MutexLock lock(mutex_);
  Newest newest{.calls = {}, .total_count = total_count_};
  const size_t count = std::min(limit, kept_.size());
  for (size_t back = 1; back <= count; ++back) {
    newest.calls.push_back(kept_[(static_cast<size_t>(total_count_) - back) % kCallsKept]);
  }
  return newest;
}

}  // namespace groundswell
