#include "graph/state/macro_graph.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

namespace groundswell {
namespace {

constexpr Recency kNewest{.time_us = std::numeric_limits<int64_t>::max(),
                          .offset = std::numeric_limits<Offset>::max()};

size_t ShardsOf(size_t items) { return (items + kItemsPerShard - 1) / kItemsPerShard; }

// When the newest interaction with the item was, once `weight` is taken back from `edges`.
std::optional<Recency> NewestAfter(std::span<const Edge> edges, Count weight) {
  for (size_t at = edges.size(); at > 0; --at) {
    if (edges[at - 1].count > weight) return edges[at - 1].last;
    weight -= edges[at - 1].count;
  }
  return std::nullopt;
}

}  // namespace

MacroGraph::MacroGraph(MacroShape shape, std::span<const Cluster> cluster_of_item,
                       size_t spare_items)
    : capacity_(cluster_of_item.size() + spare_items),
      item_count_(cluster_of_item.size()),
      cluster_of_item_(std::make_unique<std::atomic<Cluster>[]>(capacity_)),
      items_(shape, capacity_),
      item_edges_(ShardsOf(capacity_)),
      user_one_hop_(shape.item_clusters),
      one_hop_change_(shape.user_clusters),
      two_hop_change_(shape.item_clusters) {
  std::copy(cluster_of_item.begin(), cluster_of_item.end(), cluster_of_item_.get());
}

void MacroGraph::AddItem(Cluster cluster) {
  const size_t index = item_count();
  cluster_of_item_[index].store(cluster, std::memory_order_relaxed);
  item_count_.store(index + 1, std::memory_order_release);
}

void MacroGraph::OneHopOf(const UserState& user, std::span<Count> one_hop) const {
  std::fill(one_hop.begin(), one_hop.end(), 0);
  for (const Edge& edge : user.edges) one_hop[ClusterOf(edge.item)] += edge.count;
}

void MacroGraph::LoadUser(const UserState& user) {
  OneHopOf(user, user_one_hop_);
  ForEachItem(user, [&](ItemIndex item, std::span<const Edge> edges) {
    const Count count = SumOf(edges);
    std::fill(one_hop_change_.begin(), one_hop_change_.end(), 0);
    one_hop_change_[user.cluster] = count;
    for (size_t q = 0; q < two_hop_change_.size(); ++q) {
      two_hop_change_[q] = count * user_one_hop_[q];
    }
    items_.Change(item, {.one_hop = one_hop_change_, .two_hop = two_hop_change_});
    total_count_ += count;
    loading_.push_back({.item = item, .last = edges.back().last, .user = user.index});
  });
}

void MacroGraph::LoadShard(const ItemShard& shard) {
  const size_t p = items_.shape().user_clusters;
  const size_t width = p + items_.shape().item_clusters;
  const std::span<const Count> counts = shard.counts;
  auto item = static_cast<uint32_t>(shard.number * kItemsPerShard);
  for (size_t at = 0; at < counts.size(); at += width, ++item) {
    const auto row = counts.subspan(at, width);
    items_.Change(ItemIndex{item}, {.one_hop = row.first(p), .two_hop = row.subspan(p)});
    for (const Count count : row.first(p)) total_count_ += count;
  }
  item_edges_[shard.number] = ItemEdges(shard.edges.begin(), shard.edges.end());
}

void MacroGraph::FinishLoading() {
  std::sort(loading_.begin(), loading_.end());
  for (auto begin = loading_.begin(); begin != loading_.end();) {
    const size_t shard = ToInt(begin->item) / kItemsPerShard;
    const auto end = std::find_if(begin, loading_.end(), [shard](const ItemEdge& edge) {
      return ToInt(edge.item) / kItemsPerShard != shard;
    });
    item_edges_[shard] = ItemEdges(begin, end);
    begin = end;
  }
  loading_ = {};
  for (uint32_t item = 0; item < item_count(); ++item) {
    ReadNewestUsers(ItemIndex{item}, items_.shape().recent_len, newest_users_);
    if (!newest_users_.empty()) {
      items_.Change(ItemIndex{item}, {.newest_users = &newest_users_});
    }
  }
}

void MacroGraph::ReadNewestUsers(ItemIndex item, size_t limit, std::vector<UserIndex>& out) const {
  out.clear();
  const ItemEdges& edges = EdgesOf(item);
  const ItemEdge newest{
      .item = item, .last = kNewest, .user = UserIndex{std::numeric_limits<uint32_t>::max()}};
  for (auto at = edges.lower_bound(newest); at != edges.end() && at->item == item; ++at) {
    if (out.size() == limit) break;
    out.push_back(at->user);
  }
}

void MacroGraph::ShiftItem(const UserState& user, ItemIndex item, Count weight,
                           const Recency* before, const Recency* after) {
  const Cluster item_cluster = ClusterOf(item);
  items_.Prefetch(item);
  for (size_t i = 0; i < std::min(kPrefetchAhead, user.edges.size()); ++i) {
    items_.PrefetchTwoHop(user.edges[i].item, item_cluster);
  }
  OneHopOf(user, user_one_hop_);
  Count own = 0;
  ForEachItem(user, [&](ItemIndex other, std::span<const Edge> edges) {
    const auto behind = static_cast<size_t>(&edges.back() - user.edges.data()) + kPrefetchAhead;
    if (behind < user.edges.size()) items_.PrefetchTwoHop(user.edges[behind].item, item_cluster);
    const Count count = SumOf(edges);
    if (other == item) {
      // The item's own row changes once, below, so that no reader sees half of the event in it.
      own = count;
    } else {
      CaptureBeforeChange(other);
      items_.AddTwoHop(other, item_cluster, weight * count);
    }
  });
  CaptureBeforeChange(item);
  ItemEdges& edges = EdgesOf(item);
  if (before != nullptr) edges.erase({.item = item, .last = *before, .user = user.index});
  if (after != nullptr) edges.insert({.item = item, .last = *after, .user = user.index});
  ReadNewestUsers(item, items_.shape().recent_len, newest_users_);

  // The user's part of H2_i is A[u,i] H1_u. With a = A[u,i] and H1_u as they were, it changes by
  // (a + w) (H1_u + w e) - a H1_u = w H1_u + (w^2 + w a) e, e the item's own cluster.
  std::fill(one_hop_change_.begin(), one_hop_change_.end(), 0);
  one_hop_change_[user.cluster] = weight;
  for (size_t q = 0; q < two_hop_change_.size(); ++q)
    two_hop_change_[q] = weight * user_one_hop_[q];
  two_hop_change_[item_cluster] += weight * weight + weight * own;
  items_.Change(
      item,
      {.one_hop = one_hop_change_, .two_hop = two_hop_change_, .newest_users = &newest_users_});
  total_count_ += weight;
}

void MacroGraph::Apply(UserState& user, ItemIndex item, Count weight, Recency when,
                       EdgeDetail detail) {
  const std::span<const Edge> present = user.EdgesTo(item);
  std::optional<Recency> before;
  if (!present.empty()) before = present.back().last;
  std::optional<Recency> after =
      weight > 0 ? std::max(before.value_or(when), when) : NewestAfter(present, -weight);
  ShiftItem(user, item, weight, before.has_value() ? &*before : nullptr,
            after.has_value() ? &*after : nullptr);

  AddToEdges(user, item, weight, when, detail);
}

void MacroGraph::RemoveEdge(UserState& user, size_t position) {
  const Edge removed = user.edges[position];
  const std::span<const Edge> present = user.EdgesTo(removed.item);
  const Recency before = present.back().last;
  const Recency* after = &before;
  if (present.size() == 1) {
    after = nullptr;
  } else if (removed.last == before) {
    after = &present[present.size() - 2].last;
  }
  ShiftItem(user, removed.item, -Count{removed.count}, &before, after);
  user.edges.erase(user.edges.begin() + static_cast<ptrdiff_t>(position));
}

void MacroGraph::RemoveEdgesTo(UserState& user, ItemIndex item) {
  const std::span<const Edge> present = user.EdgesTo(item);
  if (present.empty()) return;
  const Recency before = present.back().last;
  ShiftItem(user, item, -SumOf(present), &before, nullptr);
  const auto begin = user.edges.begin() + (present.data() - user.edges.data());
  user.edges.erase(begin, begin + static_cast<ptrdiff_t>(present.size()));
}

void MacroGraph::AddContribution(const UserState& user, Count sign) {
  OneHopOf(user, user_one_hop_);
  for (size_t begin = 0; begin < user.edges.size();) {
    const ItemIndex item = user.edges[begin].item;
    const std::span<const Edge> edges = user.EdgesTo(item);
    const Count weight = sign * SumOf(edges);
    CaptureBeforeChange(item);
    const ItemEdge item_edge{.item = item, .last = edges.back().last, .user = user.index};
    if (sign > 0) {
      EdgesOf(item).insert(item_edge);
    } else {
      EdgesOf(item).erase(item_edge);
    }
    ReadNewestUsers(item, items_.shape().recent_len, newest_users_);
    std::fill(one_hop_change_.begin(), one_hop_change_.end(), 0);
    one_hop_change_[user.cluster] = weight;
    for (size_t q = 0; q < two_hop_change_.size(); ++q)
      two_hop_change_[q] = weight * user_one_hop_[q];
    items_.Change(
        item,
        {.one_hop = one_hop_change_, .two_hop = two_hop_change_, .newest_users = &newest_users_});
    total_count_ += weight;
    begin += edges.size();
  }
}

void MacroGraph::RemoveUser(const UserState& user) { AddContribution(user, -1); }
void MacroGraph::AddUser(const UserState& user) { AddContribution(user, 1); }

void MacroGraph::GatherUser(const UserState& user, std::span<Count> one_hop,
                            std::span<Count> two_hop) const {
  if (!one_hop.empty()) OneHopOf(user, one_hop);
  if (two_hop.empty()) return;
  std::fill(two_hop.begin(), two_hop.end(), 0);
  for (const Edge& edge : user.edges) items_.Prefetch(edge.item);
  ForEachItem(user, [&](ItemIndex item, std::span<const Edge> edges) {
    items_.AddOneHopTo(item, SumOf(edges), two_hop);
  });
}

ItemShard MacroGraph::CopyShard(uint32_t number, size_t items) const {
  ItemShard shard{.number = number, .counts = {}, .edges = {}};
  const size_t begin = number * kItemsPerShard;
  const size_t end = std::min(begin + kItemsPerShard, items);
  for (size_t item = begin; item < end; ++item) {
    const auto counts = items_.CountsOf(ItemIndex{static_cast<uint32_t>(item)});
    shard.counts.insert(shard.counts.end(), counts.begin(), counts.end());
  }
  shard.edges.assign(item_edges_[number].begin(), item_edges_[number].end());
  return shard;
}

std::shared_ptr<ShardCapture> MacroGraph::BeginCapture(ShardCapture::Sink sink) {
  const size_t items = item_count();
  capture_ = std::make_shared<ShardCapture>(
      ShardsOf(items), [this, items](uint32_t shard) { return CopyShard(shard, items); },
      std::move(sink));
  return capture_;
}

void MacroGraph::CaptureBeforeChange(ItemIndex item) {
  if (capture_ == nullptr) return;
  if (capture_->finished()) {
    capture_.reset();
    return;
  }
  capture_->CaptureBeforeChange(static_cast<uint32_t>(ToInt(item) / kItemsPerShard));
}

}  // namespace groundswell
