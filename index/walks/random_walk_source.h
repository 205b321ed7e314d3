// RandomWalkSource: the items that random walks from the user's newest items meet most often.
//
// A start q, the user's item of weight A[u,q] whose newest interaction was t_q, has
//
//   w_q = min(A[u,q], kWeightMax) 2^(-(t_newest - t_q) / half_life)
//
// so time is event time, and an idle user's walks are as they were.
#ifndef GROUNDSWELL_INDEX_WALKS_RANDOM_WALK_SOURCE_H_
#define GROUNDSWELL_INDEX_WALKS_RANDOM_WALK_SOURCE_H_

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "graph/fold/interaction_adjacency.h"
#include "graph/mutex.h"
#include "index/candidate_source.h"
#include "index/walks/random_walk.h"

namespace groundswell {

class RandomWalkSource final : public CandidateSource {
 public:
  struct Options {
    WalkOptions walk;
    size_t starts_max = 20;  // newest items that walks start from
    std::chrono::seconds half_life = std::chrono::hours(6);
    // Told of every call; from the calling threads.
    std::function<void(const WalkSummary&)> on_walk;
  };

  // `adjacency` must outlive it.
  RandomWalkSource(const InteractionAdjacency& adjacency, Options options);
  ~RandomWalkSource() override;

  std::string_view name() const override { return "random_walk"; }

  // Uses the filter, the count, the recent items, the seed and the deadline of the query. Score:
  // V[p] of random_walk.h, ties in ascending order of item. Nothing for a user without items. Walks
  // that the deadline cuts off give what they met until then.
  absl::StatusOr<std::vector<Candidate>> Retrieve(const CandidateQuery& query) const override;

 private:
  struct Scratch {
    std::vector<WalkStart> starts;
    WalkScratch walk;
  };

  std::unique_ptr<Scratch> TakeScratch() const;
  void FindStarts(const CandidateQuery& query, std::vector<WalkStart>& starts) const;

  const Options options_;
  const RandomWalk walk_;
  // As many as there were calls at once; the lock is held for a push or a pop.
  mutable Mutex mutex_;
  mutable std::vector<std::unique_ptr<Scratch>> free_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace groundswell

#endif  // GROUNDSWELL_INDEX_WALKS_RANDOM_WALK_SOURCE_H_
