#include "graph/state/user_edges.h"

#include <algorithm>
#include <functional>

namespace groundswell {
namespace {

// Takes `weight` back from the edges [begin, end) of `user`, newest first.
// REQUIRES: they sum to at least `weight`.
void TakeBack(UserState& user, size_t begin, size_t end, Count weight) {
  for (size_t at = end; weight > 0 && at > begin; --at) {
    Edge& edge = user.edges[at - 1];
    const Count taken = std::min<Count>(weight, edge.count);
    edge.count -= static_cast<uint32_t>(taken);
    weight -= taken;
    if (edge.count == 0) user.edges.erase(user.edges.begin() + static_cast<ptrdiff_t>(at - 1));
  }
}

// Puts a positive weight into the edges [begin, end) of `user`, which are those to `item`.
void PutEdge(UserState& user, size_t begin, size_t end, ItemIndex item, Count weight, Recency when,
             EdgeDetail detail) {
  if (detail == EdgeDetail::kPerItem && end > begin) {
    Edge& newest = user.edges[end - 1];
    newest.count += static_cast<uint32_t>(weight);
    newest.last = std::max(newest.last, when);
    return;
  }
  size_t at = end;
  while (at > begin && user.edges[at - 1].last > when) --at;
  user.edges.insert(user.edges.begin() + static_cast<ptrdiff_t>(at),
                    {.item = item, .count = static_cast<uint32_t>(weight), .last = when});
}

}  // namespace

Count SumOf(std::span<const Edge> edges) {
  Count sum = 0;
  for (const Edge& edge : edges) sum += edge.count;
  return sum;
}

void AddToEdges(UserState& user, ItemIndex item, Count weight, Recency when, EdgeDetail detail) {
  const std::span<const Edge> present = user.EdgesTo(item);
  const auto begin = static_cast<size_t>(present.data() - user.edges.data());
  const size_t end = begin + present.size();
  if (weight > 0) {
    PutEdge(user, begin, end, item, weight, when, detail);
  } else {
    TakeBack(user, begin, end, -weight);
  }
}

std::optional<size_t> EdgeBeyond(const UserState& user, int64_t interactions) {
  if (interactions == 0 || user.edges.size() <= static_cast<size_t>(interactions)) {
    return std::nullopt;
  }
  const auto oldest =
      std::min_element(user.edges.begin(), user.edges.end(),
                       [](const Edge& a, const Edge& b) { return a.last < b.last; });
  return static_cast<size_t>(oldest - user.edges.begin());
}

std::vector<ItemIndex> ItemsBeyond(const UserState& user, int64_t items) {
  const auto kept = static_cast<size_t>(items);
  if (kept == 0 || user.edges.size() <= kept) return {};
  std::vector<uint32_t> newest_first;
  NewestEdges(user, user.edges.size(), newest_first);
  if (newest_first.size() <= kept) return {};
  std::vector<ItemIndex> leaving;
  for (const uint32_t at : std::span(newest_first).subspan(kept)) {
    leaving.push_back(user.edges[at].item);
  }
  return leaving;
}

std::optional<size_t> EdgeBehindTrace(const UserState& user, const Window& window) {
  const auto traced = static_cast<size_t>(window.traced);
  const std::vector<Edge>& edges = user.edges;
  if (window.keeps_interactions() || traced == 0 || edges.size() <= traced) return std::nullopt;
  std::optional<size_t> oldest;  // of those with an older edge to the same item
  for (size_t at = 1; at < edges.size(); ++at) {
    const bool repeats = edges[at].item == edges[at - 1].item;
    if (repeats && (!oldest.has_value() || edges[at].last < edges[*oldest].last)) oldest = at;
  }
  if (!oldest.has_value()) return std::nullopt;
  const auto newer = std::count_if(edges.begin(), edges.end(), [&](const Edge& edge) {
    return edge.last > edges[*oldest].last;
  });
  return static_cast<size_t>(newer) < traced ? std::nullopt : oldest;
}

void MergeIntoOlder(UserState& user, size_t position) {
  user.edges[position].count += user.edges[position - 1].count;
  user.edges.erase(user.edges.begin() + static_cast<ptrdiff_t>(position - 1));
}

void MergeBehindTrace(UserState& user, const Window& window) {
  const auto traced = static_cast<size_t>(window.traced);
  std::vector<Edge>& edges = user.edges;
  if (window.keeps_interactions() || edges.size() <= traced) return;
  std::vector<Recency> newest;
  newest.reserve(edges.size());
  for (const Edge& edge : edges) newest.push_back(edge.last);
  const auto first_behind = newest.begin() + static_cast<ptrdiff_t>(traced);
  std::nth_element(newest.begin(), first_behind, newest.end(), std::greater<>());
  size_t kept = 0;
  for (const Edge& edge : edges) {
    // Those to one item ascend, so that the one before is behind the trace too.
    const bool merges = kept > 0 && edges[kept - 1].item == edge.item && edge.last <= *first_behind;
    if (merges) {
      edges[kept - 1].count += edge.count;
      edges[kept - 1].last = edge.last;
    } else {
      edges[kept++] = edge;
    }
  }
  edges.resize(kept);
}

}  // namespace groundswell
