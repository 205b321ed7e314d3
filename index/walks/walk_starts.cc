#include "index/walks/walk_starts.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "graph/state/neighbor_lists.h"

namespace groundswell {

void FindWalkStarts(std::span<const RecentItem> recent, size_t starts_max,
                    std::chrono::seconds half_life, std::vector<WalkStart>& starts) {
  starts.clear();
  if (recent.empty()) return;
  const double half_life_us = std::chrono::duration<double, std::micro>(half_life).count();
  const int64_t newest_us = recent.front().time_us;
  for (const RecentItem& one : recent.first(std::min(starts_max, recent.size()))) {
    // Against the user's newest item, not the clock: an idle user's starts stay as they were.
    const auto age_us = static_cast<double>(newest_us - one.time_us);
    // As high as the adjacency's own weights go: steps cannot tell more apart either.
    const auto weight =
        static_cast<double>(std::min<Count>(one.weight, NeighborLists::kStepWeightMax));
    starts.push_back({.item = one.item, .weight = weight * std::exp2(-age_us / half_life_us)});
  }
}

}  // namespace groundswell
