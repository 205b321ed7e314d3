// ServingState: one snapshot, the macro graph folded over it, and the candidate sources made from
// it.
#ifndef GROUNDSWELL_SERVER_SERVING_STATE_H_
#define GROUNDSWELL_SERVER_SERVING_STATE_H_

#include <functional>
#include <memory>
#include <string_view>

#include "absl/status/statusor.h"
#include "graph/catalogue.h"
#include "graph/macro_graph.h"
#include "graph/store.h"
#include "index/faiss_source.h"
#include "index/popularity_source.h"
#include "models/snapshot.h"

namespace groundswell {

// Members are used from any thread; the graph is written by the applier alone, and the popularity
// order by whoever refreshes it.
struct ServingState {
  std::shared_ptr<const Snapshot> snapshot;
  Catalogue catalogue;
  std::unique_ptr<MacroGraph> graph;
  std::unique_ptr<FaissSource> embedding_source;
  PopularitySource popularity;
  GraphState graph_state;  // as loaded: the graph contains everything up to its applied_offset
};

// Loads everything from the store: snapshot files, catalogue, the item side of the graph (folded
// from the users' edges), and builds the index. `progress` is told what is being loaded.
absl::StatusOr<std::unique_ptr<ServingState>> LoadServingState(
    const GraphStore& store, const FaissSource::Options& index_options,
    const std::function<void(std::string_view step)>& progress);

// Publishes the popularity order of the graph as it is now.
void RefreshPopularity(ServingState& state);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_SERVING_STATE_H_
