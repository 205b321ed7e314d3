// Stored times as the API tells them.
#ifndef GROUNDSWELL_SERVER_RPC_API_TIME_H_
#define GROUNDSWELL_SERVER_RPC_API_TIME_H_

#include <google/protobuf/timestamp.pb.h>

#include <cstdint>
#include <string>

namespace groundswell {

// The times that the API can tell: from the year 1 to the end of the year 9999.
inline constexpr int64_t kApiTimeUsMin = -62'135'596'800'000'000;
inline constexpr int64_t kApiTimeUsMax = 253'402'300'799'999'999;

// `time_us`: microseconds since 1970-01-01 UTC. What the API cannot tell becomes the nearest that
// it can: protobuf's own conversion ends the process for it.
google::protobuf::Timestamp ToTimestamp(int64_t time_us);
// As ToTimestamp, for people: "2011-11-22T22:13:20Z".
std::string TimeText(int64_t time_us);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_RPC_API_TIME_H_
