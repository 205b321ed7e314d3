// Stored times as the API tells them, and the time of what is to be stored.
#ifndef GROUNDSWELL_SERVER_RPC_API_TIME_H_
#define GROUNDSWELL_SERVER_RPC_API_TIME_H_

#include <google/protobuf/timestamp.pb.h>

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "server/process/trusted_clock.h"

namespace groundswell {

// The times that the API can tell: from the year 1 to the end of the year 9999.
inline constexpr int64_t kApiTimeUsMin = -62'135'596'800'000'000;
inline constexpr int64_t kApiTimeUsMax = 253'402'300'799'999'999;

// What ingest.event_ahead_max_s may be at most: no server takes an interaction of a time so many
// seconds after its clock.
inline constexpr int64_t kEventAheadMaxS = 86'400;

// `time_us`: microseconds since 1970-01-01 UTC. What the API cannot tell becomes the nearest that
// it can: protobuf's own conversion ends the process for it.
google::protobuf::Timestamp ToTimestamp(int64_t time_us);
// As ToTimestamp, for people: "2011-11-22T22:13:20Z".
std::string TimeText(int64_t time_us);

// When a write comes, in microseconds since 1970; Unavailable, reason CLOCK_JUMPED, while the clock
// is not trusted: what it says would be stored for good, and what it refuses be passed over.
absl::StatusOr<int64_t> WriteTime(const TrustedClock& clock);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_RPC_API_TIME_H_
