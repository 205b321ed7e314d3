#include "index/walks/random_walk_source.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "index/best_admitted.h"

namespace groundswell {
RandomWalkSource::RandomWalkSource(const InteractionAdjacency& adjacency, Options options)
    : options_(std::move(options)), walk_(adjacency, options_.walk) {}

RandomWalkSource::~RandomWalkSource() = default;

std::unique_ptr<RandomWalkSource::Scratch> RandomWalkSource::TakeScratch() const {
  MutexLock lock(mutex_);
  if (free_.empty()) return std::make_unique<Scratch>();
  std::unique_ptr<Scratch> scratch = std::move(free_.back());
  free_.pop_back();
  return scratch;
}

void RandomWalkSource::FindStarts(const CandidateQuery& query,
                                  std::vector<WalkStart>& starts) const {
  starts.clear();
  if (query.recent.empty()) return;
  const double half_life_us = std::chrono::duration<double, std::micro>(options_.half_life).count();
  const int64_t newest_us = query.recent.front().time_us;
  for (const RecentItem& recent :
       query.recent.first(std::min(options_.starts_max, query.recent.size()))) {
    const auto age_us = static_cast<double>(newest_us - recent.time_us);
    const auto weight =
        static_cast<double>(std::min<Count>(recent.weight, NeighborLists::kWeightMax));
    starts.push_back({.item = recent.item, .weight = weight * std::exp2(-age_us / half_life_us)});
  }
}

absl::StatusOr<std::vector<Candidate>> RandomWalkSource::Retrieve(
    const CandidateQuery& query) const {
  std::unique_ptr<Scratch> scratch = TakeScratch();
  FindStarts(query, scratch->starts);
  const WalkSummary summary = walk_.Run(scratch->starts, query.seed, query.deadline, scratch->walk);
  if (options_.on_walk) options_.on_walk(summary);
  std::vector<Candidate> best =
      BestAdmitted(scratch->walk.visited, query.filter, query.count, kFromWalk);
  MutexLock lock(mutex_);
  free_.push_back(std::move(scratch));
  return best;
}

}  // namespace groundswell
