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
  bool operator==(const Window&) const = default;

  // Whether interactions must be told apart; see Edge.
  bool keeps_interactions() const { return age_us > 0 || interactions > 0; }
  // Once an event of `newest_us` was logged: what is older than this has left.
  int64_t begin_us(int64_t newest_us) const {
    return age_us > 0 ? newest_us - age_us : std::numeric_limits<int64_t>::min();
  }
};

// Whether every interaction keeps an edge of its own; see Edge.
enum class EdgeDetail { kPerItem, kPerInteraction };

Count SumOf(std::span<const Edge> edges);

// A[u,item] += weight. A negative weight takes back the newest interactions with the item first.
// REQUIRES: weight != 0 and A[u,item] + weight >= 0.
void AddToEdges(UserState& user, ItemIndex item, Count weight, Recency when, EdgeDetail detail);

// Position of the oldest edge of a user who has more than the newest `interactions`, which leaves;
// nullopt for others, and without such a window (0).
std::optional<size_t> EdgeBeyond(const UserState& user, int64_t interactions);

// The items of a user behind the newest `items`, which leave; none without such a window (0).
std::vector<ItemIndex> ItemsBeyond(const UserState& user, int64_t items);

}  // namespace groundswell

#endif  // GROUNDSWELL_GRAPH_STATE_USER_EDGES_H_
