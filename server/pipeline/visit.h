// When a user is in a visit: what decides the context of the blend and the user's vector.
#ifndef GROUNDSWELL_SERVER_PIPELINE_VISIT_H_
#define GROUNDSWELL_SERVER_PIPELINE_VISIT_H_

#include <cstdint>

namespace groundswell {

// One who took something less than so long ago, by the time of events, is in a visit.
constexpr int64_t kVisitUs = int64_t{1'800} * 1'000'000;

constexpr bool IsInVisit(int64_t newest_item_us, int64_t now_us) {
  return now_us - newest_item_us < kVisitUs;
}

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_PIPELINE_VISIT_H_
