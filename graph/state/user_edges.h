// How the edges of one user change by an interaction and by the windows of count. On a UserState
// alone: the item side follows in the macro graph (macro_graph.h), or not at all, where a request
// only asks what would be (Fold::Overlay).
#ifndef GROUNDSWELL_GRAPH_STATE_USER_EDGES_H_
#define GROUNDSWELL_GRAPH_STATE_USER_EDGES_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <vector>

#include "graph/ids.h"
#include "graph/state/user_state.h"

namespace groundswell {

// What is kept of a user's past. Each limit at 0 is off. Time is event time, never a clock:
// replaying the log gives the same graph.
struct Window {
  int64_t age_us = 0;        // interactions older than the log's newest event time less this leave
  int64_t interactions = 0;  // the newest so many of a user stay
  int64_t items = 0;         // the newest so many items of a user stay
  // The newest so many interactions of a user keep an edge of their own, so that their order and
  // their repeats are known; older ones are summed up by item. Nothing leaves by it.
  int64_t traced = 0;
  bool operator==(const Window&) const = default;

  static constexpr int64_t kTraceLengthDefault = 256;

  // Whether interactions must be told apart; see Edge.
  bool keeps_interactions() const { return age_us > 0 || interactions > 0; }
  // How much of a user's sequence is kept in memory. Of a database without such a limit it is the
  // items in the order of their newest interactions.
  size_t trace_length() const {
    return static_cast<size_t>(traced > 0 ? traced : kTraceLengthDefault);
  }
  // Once an event of `newest_us` was logged: what is older than this has left.
  int64_t begin_us(int64_t newest_us) const {
    return age_us > 0 ? newest_us - age_us : std::numeric_limits<int64_t>::min();
  }
};

// Whether an interaction comes in as an edge of its own; see Edge.
enum class EdgeDetail { kPerItem, kPerInteraction };
inline EdgeDetail DetailOf(const Window& window) {
  return window.keeps_interactions() || window.traced > 0 ? EdgeDetail::kPerInteraction
                                                          : EdgeDetail::kPerItem;
}

Count SumOf(std::span<const Edge> edges);

// A[u,item] += weight. A negative weight takes back the newest interactions with the item first.
// REQUIRES: weight != 0 and A[u,item] + weight >= 0.
void AddToEdges(UserState& user, ItemIndex item, Count weight, Recency when, EdgeDetail detail);

// Position of the oldest edge of a user who has more than the newest `interactions`, which leaves;
// nullopt for others, and without such a window (0).
std::optional<size_t> EdgeBeyond(const UserState& user, int64_t interactions);

// The items of a user behind the newest `items`, which leave; none without such a window (0).
std::vector<ItemIndex> ItemsBeyond(const UserState& user, int64_t items);

// Position of an edge that is behind the newest `window.traced` and has an older one to the same
// item beside it: the two become one (MergeIntoOlder). nullopt when none has, and where the window
// keeps all interactions apart. So the edges are a function of the interactions that are in them,
// whatever their order of arrival, as long as nothing is taken back.
std::optional<size_t> EdgeBehindTrace(const UserState& user, const Window& window);

// REQUIRES: the edge before `position` is to the same item. Counts and the newest time stay.
void MergeIntoOlder(UserState& user, size_t position);

// All that EdgeBehindTrace would find, at once: for edges from elsewhere.
void MergeBehindTrace(UserState& user, const Window& window);

}  // namespace groundswell

#endif  // GROUNDSWELL_GRAPH_STATE_USER_EDGES_H_
