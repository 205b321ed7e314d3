#include "graph/macro_graph.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace groundswell {

bool MacroGraph::ItemEdge::operator<(const ItemEdge& other) const {
  if (item != other.item) return item < other.item;
  if (last != other.last) return last > other.last;
  return user > other.user;
}

MacroGraph::MacroGraph(MacroShape shape, std::vector<MacroNode> cluster_of_item)
    : cluster_of_item_(std::move(cluster_of_item)),
      items_(shape, cluster_of_item_.size()),
      user_one_hop_(shape.item_clusters),
      one_hop_change_(shape.user_clusters),
      two_hop_change_(shape.item_clusters) {}

void MacroGraph::OneHopOf(const UserState& user, std::span<Count> one_hop) const {
  std::fill(one_hop.begin(), one_hop.end(), 0);
  for (const Edge& edge : user.edges) one_hop[cluster_of_item_[ToInt(edge.item)]] += edge.count;
}

void MacroGraph::LoadUser(const UserState& user) {
  OneHopOf(user, user_one_hop_);
  for (const Edge& edge : user.edges) {
    std::fill(one_hop_change_.begin(), one_hop_change_.end(), 0);
    one_hop_change_[user.cluster] = edge.count;
    for (size_t q = 0; q < two_hop_change_.size(); ++q) {
      two_hop_change_[q] = edge.count * user_one_hop_[q];
    }
    items_.Change(edge.item, {.one_hop = one_hop_change_, .two_hop = two_hop_change_});
    total_count_ += edge.count;
    loading_.push_back({.item = edge.item, .last = edge.last, .user = user.index});
  }
}

void MacroGraph::FinishLoading() {
  std::sort(loading_.begin(), loading_.end());
  item_edges_ = absl::btree_set<ItemEdge>(loading_.begin(), loading_.end());
  loading_ = {};
  for (uint32_t item = 0; item < items_.size(); ++item) {
    ReadNewestUsers(ItemIndex{item}, newest_users_);
    items_.Change(ItemIndex{item}, {.newest_users = &newest_users_});
  }
}

void MacroGraph::ReadNewestUsers(ItemIndex item, std::vector<UserIndex>& out) const {
  out.clear();
  const ItemEdge newest{.item = item,
                        .last = {.time_us = std::numeric_limits<int64_t>::max(),
                                 .offset = std::numeric_limits<Offset>::max()},
                        .user = UserIndex{std::numeric_limits<uint32_t>::max()}};
  for (auto at = item_edges_.lower_bound(newest); at != item_edges_.end() && at->item == item;
       ++at) {
    if (out.size() == items_.shape().recent_len) break;
    out.push_back(at->user);
  }
}

ApplyOutcome MacroGraph::Apply(UserState& user, ItemIndex item, Count weight, Recency when) {
  const auto at = std::lower_bound(user.edges.begin(), user.edges.end(), item,
                                   [](const Edge& edge, ItemIndex i) { return edge.item < i; });
  const bool existed = at != user.edges.end() && at->item == item;
  const Count before = existed ? at->count : 0;
  const Count after = before + weight;
  if (after < 0) return ApplyOutcome::kBelowZero;
  if (total_count_ + weight > kTotalCountMax) return ApplyOutcome::kOverflow;
  total_count_ += weight;

  const MacroNode item_node = cluster_of_item_[ToInt(item)];
  OneHopOf(user, user_one_hop_);
  for (const Edge& edge : user.edges) items_.Prefetch(edge.item);
  for (const Edge& edge : user.edges) {
    // The item's own row changes once, below, so that no reader sees half of the event in it.
    if (edge.item != item) items_.AddTwoHop(edge.item, item_node, weight * edge.count);
  }

  Recency last = when;
  if (existed) {
    item_edges_.erase({.item = item, .last = at->last, .user = user.index});
    last = weight > 0 ? std::max(at->last, when) : at->last;
  }
  if (after > 0) item_edges_.insert({.item = item, .last = last, .user = user.index});
  ReadNewestUsers(item, newest_users_);

  std::fill(one_hop_change_.begin(), one_hop_change_.end(), 0);
  one_hop_change_[user.cluster] = weight;
  for (size_t q = 0; q < two_hop_change_.size(); ++q)
    two_hop_change_[q] = weight * user_one_hop_[q];
  two_hop_change_[item_node] += weight * weight + weight * before;
  items_.Change(
      item,
      {.one_hop = one_hop_change_, .two_hop = two_hop_change_, .newest_users = &newest_users_});

  if (after == 0) {
    user.edges.erase(at);
  } else if (existed) {
    at->count = static_cast<uint32_t>(after);
    at->last = last;
  } else {
    user.edges.insert(at, {.item = item, .count = static_cast<uint32_t>(after), .last = last});
  }
  return ApplyOutcome::kApplied;
}

void MacroGraph::GatherUser(const UserState& user, std::span<Count> one_hop,
                            std::span<Count> two_hop) const {
  OneHopOf(user, one_hop);
  std::fill(two_hop.begin(), two_hop.end(), 0);
  for (const Edge& edge : user.edges) items_.Prefetch(edge.item);
  for (const Edge& edge : user.edges) items_.AddOneHopTo(edge.item, edge.count, two_hop);
}

}  // namespace groundswell
