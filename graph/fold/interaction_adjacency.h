// InteractionAdjacency: the bipartite graph of users and items in memory, both ways, to be walked
// while it grows: the items of every user and the users of every item, with the time and the weight
// of what they have to do with each other.
//
// One edge per A[u,i] > 0: the time of its newest interaction of positive weight, in seconds, and
// the summed weight, of which more than NeighborLists::kStepWeightMax counts as that. So a walk's
// choice by weight is one among interactions, and what the window lets go, what is taken back and
// who is forgotten is gone from here with the change of the macro graph. Of a node with very many
// edges the newest are kept (NeighborLists); both directions drop theirs on their own. 16 bytes per
// edge and what the blocks have to spare; bench/walk_bench measures it. Beside them, what each user
// took in its order (UserTraces), where repeats are.
//
// It depends on indices, not on clusters: users that are clustered anew leave it as it is.
// Another snapshot has other indices, and so an adjacency of its own.
//
// Thread-safety: everything that is not const by one thread, the applier's; the const methods by
// any, at any time after loading.
#ifndef GROUNDSWELL_GRAPH_FOLD_INTERACTION_ADJACENCY_H_
#define GROUNDSWELL_GRAPH_FOLD_INTERACTION_ADJACENCY_H_

#include <cstddef>
#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "graph/fold/user_traces.h"
#include "graph/state/edge_change.h"
#include "graph/state/neighbor_lists.h"
#include "graph/state/user_edges.h"
#include "graph/state/user_state.h"
#include "graph/store/generation.h"

namespace groundswell {

class InteractionAdjacency {
 public:
  // `neighbors_max`: see NeighborLists. `trace_length`: see UserTraces.
  explicit InteractionAdjacency(size_t neighbors_max,
                                size_t trace_length = Window::kTraceLengthDefault);

  // Every user once, in any order, then FinishLoading.
  void LoadUser(const UserState& user);
  void FinishLoading();

  // A user whose edges are all gone is met by no walk from here on.
  void Change(const EdgeChange& change);

  // Whether what is kept of the user is what the edges say, while they do not change: each edge
  // both ways, nothing else among the user's own, and the trace. Once a node had too many
  // neighbours (evicted_count()), edges may be missing.
  bool Agrees(const UserState& user) const;
  // Edges that the user should have in edge_count().
  static size_t EdgesOf(const UserState& user);

  // Neighbours' nodes are the index of a user, and of an item.
  const NeighborLists& users_of_items() const { return users_; }
  const NeighborLists& items_of_users() const { return items_; }
  const NeighborLists& traces() const { return traces_.items(); }

  // Of both directions and the traces.
  size_t bytes() const { return users_.bytes() + items_.bytes() + traces().bytes(); }
  // Of both directions together.
  size_t edge_count() const { return users_.edge_count() + items_.edge_count(); }
  // Of both directions: a trace is as long as it is.
  size_t evicted_count() const { return users_.evicted_count() + items_.evicted_count(); }

 private:
  NeighborLists users_;  // by item
  NeighborLists items_;  // by user
  UserTraces traces_;
};

// Fills it, while nobody writes to the generation, from the users' records. `also` sees each of
// them, so that whoever needs them too need not read them again; an error of it ends the loading.
absl::Status LoadAdjacency(const Generation& generation,
                           const std::function<absl::Status(const UserState&)>& also,
                           InteractionAdjacency& adjacency);

}  // namespace groundswell

#endif  // GROUNDSWELL_GRAPH_FOLD_INTERACTION_ADJACENCY_H_
