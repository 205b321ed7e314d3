// UserTraces: what each user took, interaction by interaction, in the order in which it was taken:
// the newest `length` edges of every user in memory, to be read while they grow.
//
// The order is that of Recency, time and then the place in the log, so that the lines of an order,
// which have one timestamp, stay as they were written. An item stands in it as often as the user
// has edges to it (Edge, graph/state/user_state.h), so a trace is a function of the user's edges:
// what is taken back, forgotten or leaves a window is gone from here with the edge. 8 bytes per
// interaction and what the blocks have to spare; bench/walk_bench measures it.
//
// Thread-safety: everything that is not const by one thread, the applier's; the const methods by
// any, at any time after loading.
#ifndef GROUNDSWELL_GRAPH_FOLD_USER_TRACES_H_
#define GROUNDSWELL_GRAPH_FOLD_USER_TRACES_H_

#include <cstddef>
#include <span>
#include <vector>

#include "graph/ids.h"
#include "graph/state/edge_change.h"
#include "graph/state/neighbor_lists.h"
#include "graph/state/user_state.h"

namespace groundswell {

// The time that a word of a list holds: whole seconds, the nearest that it can hold.
uint32_t NeighborTime(const Recency& recency);

class UserTraces {
 public:
  // 8 to NeighborLists::kNeighborsMaxLimit; others count as the nearest of these.
  explicit UserTraces(size_t length) : items_(length) {}

  // Every user once, in any order.
  void LoadUser(const UserState& user);
  void Change(const EdgeChange& change);

  // By the index of a user: the items, oldest first, with their times. Each has weight 1.
  const NeighborLists& items() const { return items_; }

  // Whether the user's trace is what the edges say, while they do not change.
  bool Agrees(const UserState& user) const;

 private:
  // Memory of one call at a time.
  struct Scratch {
    std::vector<Edge> newest;
    std::vector<Neighbor> steps;
  };

  // The newest of a user's edges as they stand in a trace, oldest first, to `scratch.steps`.
  void MakeSteps(std::span<const Edge> edges, Scratch& scratch) const;
  // They are the user's trace from here on.
  void Rewrite(UserIndex user, std::span<const Edge> edges);

  NeighborLists items_;
  Scratch scratch_;  // the writer's
};

}  // namespace groundswell

#endif  // GROUNDSWELL_GRAPH_FOLD_USER_TRACES_H_
