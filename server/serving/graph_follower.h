// What follows the graph: at once, with every change of an edge, and lagging, at most once per
// interval.
#ifndef GROUNDSWELL_SERVER_SERVING_GRAPH_FOLLOWER_H_
#define GROUNDSWELL_SERVER_SERVING_GRAPH_FOLLOWER_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>

#include "absl/status/status.h"
#include "graph/fold/applier.h"
#include "graph/ids.h"
#include "graph/state/user_state.h"
#include "index/popular/fading_counts.h"
#include "index/popular/item_ages.h"
#include "index/popular/trending_items.h"
#include "server/pipeline/retrieval.h"
#include "server/process/periodic_thread.h"
#include "server/serving/serving_state.h"

namespace groundswell {

// Counts a user in, whose edges are all new to the counts: so they are loaded, and computed anew.
// `category_of_item`: the number of each item's category.
void CountEdges(const UserState& user, std::span<const uint32_t> category_of_item,
                FadingCounts& fading_counts, ItemAges& item_ages, TrendingItems& trending);

// Makes what hangs on the graph follow it from here on. `state` must outlive the applier.
void FollowGraph(const LiveState& state, Applier::Options& options);

// Has the state's blend go on from what the store holds of it, and, if it `learns`, learn from the
// log from here on; else it stays as it is. Where the store holds nothing, or nothing that this
// version reads, it begins with the snapshot's weights and says so. After FollowGraph; `state`
// likewise.
absl::Status FollowWithBlend(LiveState& state, const Retrieval::Options& retrieval, bool learns,
                             Applier::Options& options);

// Publishes the popularity order of the graph as it is now.
void RefreshPopularity(LiveState& state);

// Makes what lags behind the graph anew whenever it moved: the order of popularity, and vectors of
// new items.
class GraphFollower {
 public:
  // Both must outlive this object; `serving` holds a state.
  GraphFollower(const ServingCell& serving, PipelineMetrics& metrics,
                std::chrono::milliseconds interval);

 private:
  void Follow();

  const ServingCell& serving_;
  PipelineMetrics& metrics_;
  Offset published_ = 0;   // the thread's alone
  PeriodicThread thread_;  // last: it uses everything above
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_SERVING_GRAPH_FOLLOWER_H_
