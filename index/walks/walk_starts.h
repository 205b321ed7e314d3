// The user's newest items as starts, of random walks and of PageRank.
#ifndef GROUNDSWELL_INDEX_WALKS_WALK_STARTS_H_
#define GROUNDSWELL_INDEX_WALKS_WALK_STARTS_H_

#include <chrono>
#include <cstddef>
#include <span>
#include <vector>

#include "graph/ids.h"
#include "index/candidate_source.h"

namespace groundswell {

struct WalkStart {
  ItemIndex item{};
  double weight = 1;  // w_q, at least 0
};

// The first `starts_max` of `recent` (newest first), in its order; of an item of weight A[u,q]
// whose newest interaction was t_q
//
//   w_q = min(A[u,q], NeighborLists::kStepWeightMax) 2^(-(t_newest - t_q) / half_life)
//
// so time is event time, and an idle user's starts are as they were. What `starts` held is dropped.
void FindWalkStarts(std::span<const RecentItem> recent, size_t starts_max,
                    std::chrono::seconds half_life, std::vector<WalkStart>& starts);

}  // namespace groundswell

#endif  // GROUNDSWELL_INDEX_WALKS_WALK_STARTS_H_
