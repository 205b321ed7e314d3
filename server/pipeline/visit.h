// When a user is in a visit: what decides the context of the blend and the user's vector.
#ifndef GROUNDSWELL_SERVER_PIPELINE_VISIT_H_
#define GROUNDSWELL_SERVER_PIPELINE_VISIT_H_

#include <cstdint>

#include "graph/ids.h"

namespace groundswell {

// One who took something less than so long ago, by the time of events, is in a visit.
constexpr int64_t kVisitUs = 1'800 * kMicrosPerSecond;

constexpr bool IsInVisit(int64_t newest_item_us, int64_t now_us) {
  return now_us - newest_item_us < kVisitUs;
}

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_PIPELINE_VISIT_H_
