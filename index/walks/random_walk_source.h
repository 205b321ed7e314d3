// RandomWalkSource: the items that random walks from the user's newest items (walk_starts.h) meet
// most often.
#ifndef GROUNDSWELL_INDEX_WALKS_RANDOM_WALK_SOURCE_H_
#define GROUNDSWELL_INDEX_WALKS_RANDOM_WALK_SOURCE_H_

#include <chrono>
#include <cstddef>
#include <functional>
#include <vector>

#include "graph/fold/interaction_adjacency.h"
#include "index/candidate_source.h"
#include "index/walks/random_walk.h"

namespace groundswell {

// Thread-safe, each call with a scratch of its own.
class RandomWalkSource {
 public:
  struct Options {
    WalkOptions walk;
    size_t starts_max = 20;  // newest items that walks start from
    std::chrono::seconds half_life = std::chrono::hours(6);
    // Told of every call; from the calling threads.
    std::function<void(const WalkSummary&)> on_walk;
  };

  // Memory of one call at a time; grown by the first calls, then reused.
  struct Scratch {
    std::vector<WalkStart> starts;
    WalkScratch walk;
  };

  // `adjacency` must outlive it.
  RandomWalkSource(const InteractionAdjacency& adjacency, Options options);

  // Uses the filter, the count, the recent items, the seed and the deadline of the query. Score:
  // V[p] of random_walk.h, ties in ascending order of item. Nothing for a user without items. Walks
  // that the deadline cuts off give what they met until then.
  std::vector<Candidate> Retrieve(const CandidateQuery& query, Scratch& scratch) const;

 private:
  const Options options_;
  const RandomWalk walk_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_INDEX_WALKS_RANDOM_WALK_SOURCE_H_
