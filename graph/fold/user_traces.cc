#include "graph/fold/user_traces.h"

#include <algorithm>
#include <limits>
#include <optional>

namespace groundswell {
namespace {

// A total order also where the offsets of a snapshot repeat.
bool IsNewer(const Edge& a, const Edge& b) {
  return a.last != b.last ? a.last > b.last : a.item > b.item;
}

// Beyond, a word of a list has no room for the node: then the traces do without it.
bool FitsTrace(UserIndex user) { return ToInt(user) < NeighborLists::kNodesMax; }
bool FitsTrace(const Edge& edge) { return ToInt(edge.item) < NeighborLists::kNodesMax; }

Neighbor Step(const Edge& edge) {
  return {.node = ToInt(edge.item), .time_s = NeighborTime(edge.last), .weight = 1};
}

// The edges that came or went between `before` and `after`: how many, and the newest of them.
struct Difference {
  size_t came = 0;
  size_t went = 0;
  Edge newest;
};

// nullopt: none. Both ascend by recency.
std::optional<Difference> Compare(std::span<const Edge> before, std::span<const Edge> after) {
  std::optional<Difference> difference;
  while (!before.empty() || !after.empty()) {
    if (!before.empty() && !after.empty() && before.back().last == after.back().last) {
      before = before.first(before.size() - 1);
      after = after.first(after.size() - 1);
      continue;
    }
    const bool came = before.empty() || (!after.empty() && IsNewer(after.back(), before.back()));
    std::span<const Edge>& from = came ? after : before;
    if (!difference.has_value()) difference = {.newest = from.back()};
    ++(came ? difference->came : difference->went);
    from = from.first(from.size() - 1);
  }
  return difference;
}

}  // namespace

uint32_t NeighborTime(const Recency& recency) {
  return static_cast<uint32_t>(std::clamp<int64_t>(recency.time_us / kMicrosPerSecond, 0,
                                                   std::numeric_limits<uint32_t>::max()));
}

void UserTraces::MakeSteps(std::span<const Edge> edges, Scratch& scratch) const {
  auto& [newest, steps] = scratch;
  newest.clear();
  std::copy_if(edges.begin(), edges.end(), std::back_inserter(newest),
               [](const Edge& edge) { return FitsTrace(edge); });
  const size_t kept = std::min(items_.neighbors_max(), newest.size());
  std::partial_sort(newest.begin(), newest.begin() + static_cast<ptrdiff_t>(kept), newest.end(),
                    IsNewer);
  steps.clear();
  for (size_t at = kept; at > 0; --at) steps.push_back(Step(newest[at - 1]));
}

void UserTraces::Rewrite(UserIndex user, std::span<const Edge> edges) {
  MakeSteps(edges, scratch_);
  items_.Assign(ToInt(user), scratch_.steps);
}

bool UserTraces::Agrees(const UserState& user) const {
  if (!FitsTrace(user.index)) return true;
  Scratch scratch;
  MakeSteps(user.edges, scratch);
  std::vector<Neighbor> kept;
  items_.CopyTo(ToInt(user.index), kept);
  return kept == scratch.steps;
}

void UserTraces::LoadUser(const UserState& user) {
  if (FitsTrace(user.index)) Rewrite(user.index, user.edges);
}

void UserTraces::Change(const EdgeChange& change) {
  const std::optional<Difference> difference = Compare(change.before, change.after);
  if (!difference.has_value() || !FitsTrace(change.user) || !FitsTrace(difference->newest)) return;
  const auto newer = static_cast<size_t>(std::count_if(
      change.of_user.begin(), change.of_user.end(),
      [&](const Edge& edge) { return FitsTrace(edge) && IsNewer(edge, difference->newest); }));
  if (newer == 0 && difference->came == 1 && difference->went == 0) {
    // Nearly always. Whatever else happens, late, taken back, out of a window, writes the list anew
    // from the edges: rarer, and bounded by the trace's length.
    items_.Append(ToInt(change.user), Step(difference->newest));
  } else if (newer < items_.neighbors_max()) {  // not behind all that is kept
    Rewrite(change.user, change.of_user);
  }
}

}  // namespace groundswell
