#include "graph/fold/interaction_adjacency.h"

#include <algorithm>
#include <string_view>

namespace groundswell {
namespace {

// What the edges between a user and an item are to one of the two. REQUIRES: there is one.
Neighbor Merge(uint32_t node, std::span<const Edge> edges) {
  uint64_t weight = 0;
  for (const Edge& edge : edges) weight += edge.count;
  return {.node = node,
          .time_s = NeighborTime(edges.back().last),
          .weight = static_cast<uint32_t>(
              std::min<uint64_t>(weight, uint64_t{NeighborLists::kStepWeightMax}))};
}

// Beyond, a word of a list has no room for the node: then the walks do without it.
bool Fits(UserIndex user, ItemIndex item) {
  return ToInt(user) < NeighborLists::kNodesMax && ToInt(item) < NeighborLists::kNodesMax;
}

// A list is in the order of time, so that an entry is found by what it was, not by its node alone.
void ChangeOneWay(uint32_t node, uint32_t other, std::span<const Edge> before,
                  std::span<const Edge> after, NeighborLists& lists) {
  if (before.empty()) {
    lists.Insert(node, Merge(other, after));
  } else if (after.empty()) {
    lists.Erase(node, Merge(other, before));
  } else if (const Neighbor was = Merge(other, before), is = Merge(other, after); was != is) {
    lists.Replace(node, was, is);
  }
}

}  // namespace

InteractionAdjacency::InteractionAdjacency(size_t neighbors_max, size_t trace_length)
    : users_(neighbors_max), items_(neighbors_max), traces_(trace_length) {}

void InteractionAdjacency::LoadUser(const UserState& user) {
  ForEachItem(user, [&](ItemIndex item, std::span<const Edge> edges) {
    if (!Fits(user.index, item)) return;
    users_.Load(ToInt(item), Merge(ToInt(user.index), edges));
    items_.Load(ToInt(user.index), Merge(ToInt(item), edges));
  });
  traces_.LoadUser(user);
}

void InteractionAdjacency::FinishLoading() {
  users_.FinishLoading();
  items_.FinishLoading();
}

void InteractionAdjacency::Change(const EdgeChange& change) {
  const auto [user, item, cluster_before, cluster_after, before, after, of_user] = change;
  if (!Fits(user, item) || (before.empty() && after.empty())) return;
  // A reader may see one way of an edge without the other meanwhile: none relies on the way back.
  ChangeOneWay(ToInt(item), ToInt(user), before, after, users_);
  ChangeOneWay(ToInt(user), ToInt(item), before, after, items_);
  traces_.Change(change);
}

bool InteractionAdjacency::Agrees(const UserState& user) const {
  size_t expected = 0;
  size_t of_user = 0;
  size_t of_items = 0;
  ForEachItem(user, [&](ItemIndex item, std::span<const Edge> edges) {
    if (!Fits(user.index, item)) return;
    ++expected;
    of_user += items_.Holds(ToInt(user.index), Merge(ToInt(item), edges)) ? 1 : 0;
    of_items += users_.Holds(ToInt(item), Merge(ToInt(user.index), edges)) ? 1 : 0;
  });
  return of_user == items_.Degree(ToInt(user.index)) &&
         (of_user == expected || items_.evicted_count() > 0) &&
         (of_items == expected || users_.evicted_count() > 0) && traces_.Agrees(user);
}

size_t InteractionAdjacency::EdgesOf(const UserState& user) {
  size_t edges = 0;
  ForEachItem(user, [&](ItemIndex item, std::span<const Edge>) {
    edges += Fits(user.index, item) ? 2 : 0;
  });
  return edges;
}

absl::Status LoadAdjacency(const Generation& generation,
                           const std::function<absl::Status(const UserState&)>& also,
                           InteractionAdjacency& adjacency) {
  absl::Status read = generation.ForEachUser([&](std::string_view, const UserState& user) {
    adjacency.LoadUser(user);
    return also(user);
  });
  if (read.ok()) adjacency.FinishLoading();
  return read;
}

}  // namespace groundswell
