// LiveState: one snapshot, the macro graph folded over it, and the candidate sources that follow
// it: the world that a request sees.
#ifndef GROUNDSWELL_SERVER_PIPELINE_LIVE_STATE_H_
#define GROUNDSWELL_SERVER_PIPELINE_LIVE_STATE_H_

#include <array>
#include <cstddef>
#include <memory>
#include <utility>

#include "blend/features.h"
#include "blend/published_weights.h"
#include "graph/fold/applier.h"
#include "graph/fold/interaction_adjacency.h"
#include "graph/state/catalogue.h"
#include "graph/state/macro_graph.h"
#include "graph/store/generation.h"
#include "graph/upkeep/checkpoint.h"
#include "index/popular/fading_counts.h"
#include "index/popular/item_ages.h"
#include "index/popular/popularity_source.h"
#include "index/popular/trending_items.h"
#include "index/vectors/embedding_index.h"
#include "index/vectors/live_vectors.h"
#include "index/vectors/new_item_vectors.h"
#include "models/snapshot/examples.h"
#include "models/snapshot/snapshot.h"
#include "server/pipeline/ranked_list.h"

namespace groundswell {

class BlendLearner;
class ListQuality;

// The scales of LiveState::fading_counts, in seconds: those that the blend reads
// (blend/features.h); popular items are ordered by the longest.
inline constexpr std::array<double, kBlendScales.size()> kBlendHalfLivesS = {300, 3'600, 86'400,
                                                                             604'800, 2'592'000};
inline constexpr size_t kPopularScale = kBlendHalfLivesS.size() - 1;

// Members are used from any thread; the graph and the catalogue are written by the applier alone,
// and the popularity order by whoever refreshes it.
struct LiveState {
  explicit LiveState(Generation which) : generation(std::move(which)) {}

  const Generation generation;
  std::shared_ptr<const Snapshot> snapshot;
  ExampleAgreement examples;            // of this machine's arithmetic, as loaded
  PublishedBlendWeights blend_weights;  // what orders lists, as it is learned
  std::shared_ptr<Catalogue> catalogue;
  std::unique_ptr<MacroGraph> graph;
  LoadedItemSide loaded;   // where the graph came from
  GraphState graph_state;  // as loaded: the graph contains everything up to its applied_offset
  std::unique_ptr<EmbeddingIndex> embedding_index;
  PopularitySource popularity;
  // These follow the graph; the applier changes them.
  std::unique_ptr<FadingCounts> fading_counts;
  std::unique_ptr<ItemAges> item_ages;
  std::unique_ptr<TrendingItems> trending;
  std::unique_ptr<InteractionAdjacency> adjacency;
  std::unique_ptr<LiveVectors> live_vectors;
  std::unique_ptr<NewItemVectors> new_item_vectors;
  std::shared_ptr<const ItemClusterCategories> item_cluster_categories;  // as loaded
  std::shared_ptr<BlendLearner> blend_learner;                           // the applier's
  std::shared_ptr<ListQuality> list_quality;  // of the interactions that it learns from
  std::unique_ptr<Applier> applier;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_PIPELINE_LIVE_STATE_H_
