// Scoring: what the snapshot's rankers give items for a user, by the graph as it is now.
#ifndef GROUNDSWELL_SERVER_PIPELINE_SCORING_H_
#define GROUNDSWELL_SERVER_PIPELINE_SCORING_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "graph/fold/applier.h"
#include "graph/ids.h"
#include "index/candidate_source.h"
#include "models/explanations.h"
#include "models/item_cache.h"
#include "models/ranker.h"
#include "server/pipeline/features.h"
#include "server/pipeline/live_state.h"
#include "server/pipeline/prepared_items.h"
#include "server/pipeline/vector_features.h"
#include "server/process/metrics.h"

namespace groundswell {

// Thread-safe; each thread has its own scratch.
class Scoring {
 public:
  // Candidates scored between two looks at the clock: a multiple of what dense products are padded
  // to (models/math/kernels.h).
  static constexpr size_t kBlock = 120;

  struct Scratch {
    std::vector<std::unique_ptr<RankerScratch>> rankers;  // one per ranker of the snapshot
    FeatureBuffers features;
    VectorBuffers vectors;
    PreparedItemBuffers prepared_items;
    ExplanationBuffers explanations;
    std::vector<ItemIndex> items;
    std::vector<float> logits;
  };

  // What one user's items were given, and of what; holds until the scratch scores again.
  struct Scores {
    std::span<const float> logits;  // in the order of the items
    UserFeatures user;
    // Positions in the user's edges: of user.recent_items, then of what gives its time alone.
    std::span<const uint32_t> newest_edges;
  };

  // Asked between two pieces of the work; no: it ends.
  using HasTime = absl::FunctionRef<bool()>;

  // The vectors that rankers read: as they are now, or as they were trained, whatever came since.
  enum class Vectors { kNow, kTrained };

  // What it points to must outlive it; without `metrics` nothing is counted. `item_cache_bytes`: of
  // each ranker that prepares items.
  Scoring(const LiveState& state, PipelineMetrics* metrics, size_t item_cache_bytes,
          Vectors vectors = Vectors::kNow);

  Scratch NewScratch() const;
  // Takes the caches' memory, so that no request waits for the kernel to find it.
  void TouchCaches();

  // DeadlineExceeded when the time does not suffice, FailedPrecondition when the ranker has no
  // score for the user. `now_us` is the request's time, which some models read.
  absl::StatusOr<Scores> Score(const Ranker& ranker, const OverlaidUser& user, int64_t now_us,
                               std::span<const Candidate> items, HasTime has_time,
                               Scratch& scratch) const;

  // Explains the scores that `items` were given, past items by their ItemIndex. False when the time
  // does not suffice. REQUIRES: `scores` are of this ranker and this user, and still hold.
  bool Explain(const Ranker& ranker, const UserState& user, const Scores& scores,
               std::span<const Candidate> items, HasTime has_time, Scratch& scratch,
               Explanations& explanations) const;

 private:
  // Of items as `items_now` has them, which may be null for a shape that reads no vectors.
  ItemFeatures FeaturesOf(const RankerShape& shape, std::span<const ItemIndex> items,
                          const EmbeddingIndex::View* items_now, Scratch& scratch) const;
  // For such a shape.
  std::optional<EmbeddingIndex::View> VectorsFor(const RankerShape& shape) const;
  void ScoreBlock(const Ranker& ranker, std::span<const ItemIndex> block,
                  const EmbeddingIndex::View* items_now, Scratch& scratch,
                  std::span<float> logits) const;
  // Finite weights may overflow on the way. What comes of it orders nothing and is in no answer:
  // such an item is as one that the model knows nothing of, and counted.
  void SinkOverflown(std::span<float> logits) const;
  size_t NumberOf(const Ranker& ranker) const;

  const LiveState& state_;
  PipelineMetrics* const metrics_;  // may be null
  const Vectors vectors_;
  std::vector<std::unique_ptr<ItemCache>> item_caches_;  // one per ranker; some keep nothing
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_PIPELINE_SCORING_H_
