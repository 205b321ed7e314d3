#include "index/walks/random_walk_source.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "index/best_admitted.h"

namespace groundswell {
RandomWalkSource::RandomWalkSource(const InteractionAdjacency& adjacency, Options options)
    : options_(std::move(options)), walk_(adjacency, options_.walk) {}

void RandomWalkSource::FindStarts(const CandidateQuery& query,
                                  std::vector<WalkStart>& starts) const {
  starts.clear();
  if (query.recent.empty()) return;
  const double half_life_us = std::chrono::duration<double, std::micro>(options_.half_life).count();
  const int64_t newest_us = query.recent.front().time_us;
  for (const RecentItem& recent :
       query.recent.first(std::min(options_.starts_max, query.recent.size()))) {
    // Against the user's newest item, not the clock: an idle user's walks stay as they were.
    const auto age_us = static_cast<double>(newest_us - recent.time_us);
    // As high as the adjacency's own weights go: the walks' steps cannot tell more apart either.
    const auto weight =
        static_cast<double>(std::min<Count>(recent.weight, NeighborLists::kWeightMax));
    starts.push_back({.item = recent.item, .weight = weight * std::exp2(-age_us / half_life_us)});
  }
}

std::vector<Candidate> RandomWalkSource::Retrieve(const CandidateQuery& query,
                                                  Scratch& scratch) const {
  FindStarts(query, scratch.starts);
  const WalkSummary summary = walk_.Run(scratch.starts, query.seed, query.deadline, scratch.walk);
  if (options_.on_walk) options_.on_walk(summary);
  return BestAdmitted(std::span<const VisitedItem>(scratch.walk.visited), query.filter, query.count,
                      kFromWalk);
}

}  // namespace groundswell
