// From the live graph to what a ranker reads. Serving and the replay that makes training rows both
// use this, so a model sees the same features in both.
#ifndef GROUNDSWELL_SERVER_PIPELINE_FEATURES_H_
#define GROUNDSWELL_SERVER_PIPELINE_FEATURES_H_

#include <cstdint>
#include <span>
#include <vector>

#include "graph/ids.h"
#include "graph/state/macro_graph.h"
#include "graph/state/user_state.h"
#include "models/ranker.h"

namespace groundswell {

// Memory of one thread for the features of one request; grows to the largest block and stays.
struct FeatureBuffers {
  std::vector<Count> user_one_hop;
  std::vector<Count> user_two_hop;
  std::vector<uint32_t> newest_edges;
  std::vector<uint32_t> recent_items;
  std::vector<int64_t> recent_times;
  std::vector<uint32_t> item_rows;
  std::vector<Count> item_one_hop;
  std::vector<Count> item_two_hop;
  std::vector<uint32_t> recent_users;
};

// The row of an index in an embedding table whose row 0 is "unknown": users and items that came
// after the model was trained have no row of their own.
constexpr uint32_t EmbeddingRow(uint32_t index, size_t table_rows) {
  return index + 1 < table_rows ? index + 1 : 0;
}

// The features of `user` that the shape reads; the spans point into `buffers` and hold until its
// next use for a user. `now_us` is the time that they are asked for. `own_two_hop` is what the
// items' rows do not have of this user (OverlaidUser). REQUIRES: the shape's P and Q are the
// graph's or 0, and its recent_users at most the graph's recent_len.
UserFeatures GatherUserFeatures(const MacroGraph& graph, const RankerShape& shape,
                                const UserState& user, int64_t now_us, FeatureBuffers& buffers,
                                Count own_two_hop = 0);

// The features of `items` that the shape reads; the spans hold until the buffers' next use for
// items. No row of the graph is read for a shape that reads neither counts nor newest users.
ItemFeatures GatherItemFeatures(const MacroGraph& graph, const RankerShape& shape,
                                std::span<const ItemIndex> items, FeatureBuffers& buffers);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_PIPELINE_FEATURES_H_
