// ServingState: one snapshot, the macro graph folded over it, and everything that answers from the
// two.
#ifndef GROUNDSWELL_SERVER_SERVING_SERVING_STATE_H_
#define GROUNDSWELL_SERVER_SERVING_SERVING_STATE_H_

#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "absl/status/statusor.h"
#include "graph/fold/applier.h"
#include "graph/fold/interaction_adjacency.h"
#include "graph/mutex.h"
#include "graph/state/catalogue.h"
#include "graph/state/macro_graph.h"
#include "graph/store/generation.h"
#include "graph/store/store.h"
#include "graph/upkeep/checkpoint.h"
#include "index/popular/fading_counts.h"
#include "index/popular/popularity_source.h"
#include "index/popular/trending_items.h"
#include "index/vectors/embedding_index.h"
#include "index/vectors/live_vectors.h"
#include "index/vectors/new_item_vectors.h"
#include "models/snapshot/examples.h"
#include "models/snapshot/snapshot.h"
#include "server/recommend/ranked_lists.h"

namespace groundswell {

class Pipeline;

// Members are used from any thread; the graph and the catalogue are written by the applier alone,
// and the popularity order by whoever refreshes it.
struct ServingState {
  explicit ServingState(Generation which);
  ~ServingState();

  const Generation generation;
  std::shared_ptr<const Snapshot> snapshot;
  ExampleAgreement examples;  // of this machine's arithmetic, as loaded
  std::shared_ptr<Catalogue> catalogue;
  std::unique_ptr<MacroGraph> graph;
  LoadedItemSide loaded;   // where the graph came from
  GraphState graph_state;  // as loaded: the graph contains everything up to its applied_offset
  std::unique_ptr<EmbeddingIndex> embedding_source;
  PopularitySource popularity;
  // These follow the graph; the applier changes them.
  std::unique_ptr<FadingCounts> fading_counts;
  std::unique_ptr<TrendingItems> trending;
  std::unique_ptr<InteractionAdjacency> adjacency;
  std::unique_ptr<LiveVectors> live_vectors;
  std::unique_ptr<NewItemVectors> new_item_vectors;
  std::shared_ptr<const ItemNodeCategories> item_node_categories;  // as loaded
  std::unique_ptr<Applier> applier;
  std::unique_ptr<Pipeline> pipeline;
};

struct LoadOptions {
  EmbeddingIndex::Options index;
  size_t index_threads = 1;         // that build the index
  std::function<bool()> cancelled;  // asked while the index is built; may be empty
  size_t new_items_max = 0;         // room for items that are created later
  double trending_half_life_s = 21'600;
  double popularity_half_life_s = 2'592'000;
  size_t neighbors_max = 4'096;  // of a user or an item that the adjacency keeps
  LoadFrom from = LoadFrom::kCheckpoint;
};

// Loads everything from the store but the applier and the pipeline: snapshot files, catalogue, the
// item side of the graph; scores the snapshot's examples; and builds the index. `progress` is told
// what is being loaded.
absl::StatusOr<std::unique_ptr<ServingState>> LoadServingState(const Generation& generation,
                                                               const LoadOptions& options,
                                                               const LoadProgress& progress);

// How the snapshot assigns macro nodes to users and items that it does not know.
Applier::Clustering ClusteringOf(std::shared_ptr<const Snapshot> snapshot);

// Makes what hangs on the graph follow it from here on. `state` must outlive the applier.
void FollowGraph(const ServingState& state, Applier::Options& options);

// Publishes the popularity order of the graph as it is now.
void RefreshPopularity(ServingState& state);

// Holds the state that serves. A request takes it once and sees one world to its end.
// Thread-safe.
class ServingCell {
 public:
  std::shared_ptr<ServingState> Get() const {
    MutexLock lock(mutex_);
    return state_;
  }
  // Returns what was held.
  std::shared_ptr<ServingState> Exchange(std::shared_ptr<ServingState> state) {
    MutexLock lock(mutex_);
    state_.swap(state);
    return state;
  }

 private:
  mutable Mutex mutex_;
  std::shared_ptr<ServingState> state_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_SERVING_SERVING_STATE_H_
