#include "client/events/retryable.h"

#include <google/protobuf/util/time_util.h>
#include <google/rpc/error_details.pb.h>

namespace groundswell {

bool IsForNow(const google::rpc::Status& refusal) {
  return refusal.code() == static_cast<int>(absl::StatusCode::kResourceExhausted) ||
         refusal.code() == static_cast<int>(absl::StatusCode::kUnavailable);
}

std::optional<std::chrono::milliseconds> RetryDelayOf(const google::rpc::Status& refusal) {
  for (const google::protobuf::Any& detail : refusal.details()) {
    google::rpc::RetryInfo info;
    if (!detail.UnpackTo(&info)) continue;
    return std::chrono::milliseconds(
        google::protobuf::util::TimeUtil::DurationToMilliseconds(info.retry_delay()));
  }
  return std::nullopt;
}

}  // namespace groundswell
