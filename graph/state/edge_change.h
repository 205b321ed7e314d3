// EdgeChange: what whoever follows the live graph is told of it.
#ifndef GROUNDSWELL_GRAPH_STATE_EDGE_CHANGE_H_
#define GROUNDSWELL_GRAPH_STATE_EDGE_CHANGE_H_

#include <span>

#include "graph/ids.h"
#include "graph/state/user_state.h"

namespace groundswell {

// The edges between a user and an item were `before` and are `after`; as in a UserState, so that
// both ascend by recency, and none is the same as A[u,i] = 0. Where they are the same edges, the
// user's cluster is another one. `of_user` are all edges of the user after this change,
// and none of one who is being forgotten. The views hold while one is told of it.
struct EdgeChange {
  UserIndex user{};
  ItemIndex item{};
  Cluster cluster_before = 0;  // of the user
  Cluster cluster_after = 0;
  std::span<const Edge> before;
  std::span<const Edge> after;
  std::span<const Edge> of_user;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_GRAPH_STATE_EDGE_CHANGE_H_
