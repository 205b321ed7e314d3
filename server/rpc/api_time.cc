#include "server/rpc/api_time.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>

namespace groundswell {

using google::protobuf::util::TimeUtil;

google::protobuf::Timestamp ToTimestamp(int64_t time_us) {
  return TimeUtil::MicrosecondsToTimestamp(std::clamp(time_us, kApiTimeUsMin, kApiTimeUsMax));
}

std::string TimeText(int64_t time_us) { return TimeUtil::ToString(ToTimestamp(time_us)); }

}  // namespace groundswell
