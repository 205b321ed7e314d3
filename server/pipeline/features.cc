#include "server/pipeline/features.h"

#include <algorithm>
#include <limits>

namespace groundswell {
namespace {

constexpr uint32_t kNobody = std::numeric_limits<uint32_t>::max();

// What a model reads of time. REQUIRES: buffers.newest_edges are those of the shape.
void GatherTimes(const UserState& user, int64_t now_us, FeatureBuffers& buffers,
                 UserFeatures& features) {
  buffers.recent_times.clear();
  for (const uint32_t at : buffers.newest_edges) {
    buffers.recent_times.push_back(user.edges[at].last.time_us);
  }
  features.recent_times_us = buffers.recent_times;
  features.now_us = now_us;
  const auto first = std::min_element(
      user.edges.begin(), user.edges.end(),
      [](const Edge& a, const Edge& b) { return a.last.time_us < b.last.time_us; });
  if (first != user.edges.end()) features.first_time_us = first->last.time_us;
}

}  // namespace

UserFeatures GatherUserFeatures(const MacroGraph& graph, const RankerShape& shape,
                                const UserState& user, int64_t now_us, FeatureBuffers& buffers,
                                Count own_two_hop) {
  buffers.user_one_hop.resize(shape.item_clusters);
  buffers.user_two_hop.resize(shape.user_clusters);
  if (shape.user_clusters > 0 || shape.item_clusters > 0) {
    graph.GatherUser(user, buffers.user_one_hop, buffers.user_two_hop);
  }
  if (own_two_hop != 0 && shape.user_clusters > 0) {
    buffers.user_two_hop[user.cluster] += own_two_hop;
  }

  NewestEdges(user, std::max(shape.recent_items, shape.recent_times), buffers.newest_edges);
  buffers.recent_items.clear();
  const size_t items = std::min(shape.recent_items, buffers.newest_edges.size());
  for (const uint32_t at : std::span(buffers.newest_edges).first(items)) {
    buffers.recent_items.push_back(EmbeddingRow(ToInt(user.edges[at].item), shape.item_rows));
  }
  UserFeatures features{.row = EmbeddingRow(ToInt(user.index), shape.user_rows),
                        .one_hop = buffers.user_one_hop,
                        .two_hop = buffers.user_two_hop,
                        .recent_items = buffers.recent_items};
  if (shape.recent_times > 0) GatherTimes(user, now_us, buffers, features);
  return features;
}

ItemFeatures GatherItemFeatures(const MacroGraph& graph, const RankerShape& shape,
                                std::span<const ItemIndex> items, FeatureBuffers& buffers) {
  const size_t kept = shape.recent_users > 0 ? graph.items().shape().recent_len : 0;
  buffers.item_rows.resize(items.size());
  buffers.item_one_hop.resize(items.size() * shape.user_clusters);
  buffers.item_two_hop.resize(items.size() * shape.item_clusters);
  buffers.recent_users.resize(shape.recent_users == 0 ? 0 : items.size() * kept);
  if (shape.user_clusters + shape.item_clusters + shape.recent_users > 0) {
    graph.items().ReadRows(items, buffers.item_one_hop, buffers.item_two_hop, buffers.recent_users,
                           kNobody);
  }
  for (size_t i = 0; i < items.size(); ++i) {
    buffers.item_rows[i] = EmbeddingRow(ToInt(items[i]), shape.item_rows);
    // The graph keeps as many newest users as the largest model reads; a smaller one reads a
    // prefix.
    for (size_t j = 0; j < shape.recent_users; ++j) {
      const uint32_t user = buffers.recent_users[i * kept + j];
      buffers.recent_users[i * shape.recent_users + j] =
          user == kNobody ? 0 : EmbeddingRow(user, shape.user_rows);
    }
  }
  return ItemFeatures{
      .rows = buffers.item_rows,
      .one_hop = buffers.item_one_hop,
      .two_hop = buffers.item_two_hop,
      .recent_users = std::span(buffers.recent_users).first(items.size() * shape.recent_users)};
}

}  // namespace groundswell
