// What an operator is told of slow calls.
#ifndef GROUNDSWELL_SERVER_ADMIN_SLOW_CALLS_RESPONSE_H_
#define GROUNDSWELL_SERVER_ADMIN_SLOW_CALLS_RESPONSE_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/statusor.h"
#include "groundswell/v1/admin.pb.h"
#include "server/recommend/slow_call_log.h"

namespace groundswell {

// 0 becomes all that are kept; InvalidArgument where it is negative or more than those.
absl::StatusOr<size_t> CheckSlowCallLimit(int32_t limit);

// The newest `limit`, into an empty response.
void WriteSlowCalls(const SlowCallLog& slow_calls, size_t limit,
                    v1::ListSlowCallsResponse& response);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_ADMIN_SLOW_CALLS_RESPONSE_H_
