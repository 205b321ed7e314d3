#include "server/rpc/api_time.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>

#include "server/rpc/status_details.h"

namespace groundswell {

using google::protobuf::util::TimeUtil;

google::protobuf::Timestamp ToTimestamp(int64_t time_us) {
  return TimeUtil::MicrosecondsToTimestamp(std::clamp(time_us, kApiTimeUsMin, kApiTimeUsMax));
}

std::string TimeText(int64_t time_us) { return TimeUtil::ToString(ToTimestamp(time_us)); }

absl::StatusOr<int64_t> WriteTime(const TrustedClock& clock) {
  const TrustedClock::Reading reading = clock.Read();
  if (reading.trusted) return reading.now_us;
  return WithReason(
      absl::UnavailableError("nothing is recorded: " + TrustedClock::JumpedBecause(reading)),
      "CLOCK_JUMPED");
}

}  // namespace groundswell
