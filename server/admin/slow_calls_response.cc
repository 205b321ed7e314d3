#include "server/admin/slow_calls_response.h"

#include <fmt/format.h>

#include <chrono>
#include <string>

#include "google/protobuf/util/time_util.h"
#include "server/recommend/list_response.h"
#include "server/rpc/status_details.h"

namespace groundswell {

absl::StatusOr<size_t> CheckSlowCallLimit(int32_t limit) {
  if (limit < 0 || static_cast<size_t>(limit) > SlowCallLog::kCallsKept) {
    return InvalidField("limit", std::to_string(limit),
                        fmt::format("must be 1 to {}, or 0 for all", SlowCallLog::kCallsKept));
  }
  return limit == 0 ? SlowCallLog::kCallsKept : static_cast<size_t>(limit);
}

void WriteSlowCalls(const SlowCallLog& slow_calls, size_t limit,
                    v1::ListSlowCallsResponse& response) {
  using google::protobuf::util::TimeUtil;
  const SlowCallLog::Newest newest = slow_calls.ReadNewest(limit);
  for (const SlowCall& slow : newest.calls) {
    v1::SlowCall& call = *response.add_calls();
    call.set_method(NameOf(slow.method));
    call.set_request_id(slow.request_id);
    call.set_trace_id(slow.trace_id);
    call.set_code(absl::StatusCodeToString(slow.code));
    *call.mutable_end_time() = TimeUtil::MicrosecondsToTimestamp(
        std::chrono::duration_cast<std::chrono::microseconds>(slow.end_time.time_since_epoch())
            .count());
    WriteTimings(slow.queued, slow.stages, slow.total, *call.mutable_timings());
  }
  response.set_total_count(newest.total_count);
  *response.mutable_threshold() = TimeUtil::NanosecondsToDuration(slow_calls.threshold().count());
}

}  // namespace groundswell
