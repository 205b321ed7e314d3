// How the edges of one user change by an interaction and by the windows of count. On a UserState
// alone: the item side follows in the macro graph (macro_graph.h), or not at all, where a request
// only asks what would be (Applier::Overlay).
#ifndef GROUNDSWELL_GRAPH_STATE_USER_EDGES_H_
#define GROUNDSWELL_GRAPH_STATE_USER_EDGES_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "graph/ids.h"
#include "graph/state/user_state.h"

namespace groundswell {

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
