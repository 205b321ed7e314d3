#include "index/walks/random_walk_source.h"

#include <utility>

#include "index/best_admitted.h"

namespace groundswell {
RandomWalkSource::RandomWalkSource(const InteractionAdjacency& adjacency, Options options)
    : options_(std::move(options)), walk_(adjacency, options_.walk) {}

std::vector<Candidate> RandomWalkSource::Retrieve(const CandidateQuery& query,
                                                  Scratch& scratch) const {
  FindWalkStarts(query.recent, options_.starts_max, options_.half_life, scratch.starts);
  const WalkSummary summary = walk_.Run(scratch.starts, query.seed, query.deadline, scratch.walk);
  if (options_.on_walk) options_.on_walk(summary);
  return BestAdmitted(std::span<const VisitedItem>(scratch.walk.visited), query.filter, query.count,
                      kFromWalk);
}

}  // namespace groundswell
