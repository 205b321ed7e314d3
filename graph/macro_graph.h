// MacroGraph: the exact macro edges of both hops, kept up to date by one writer.
//
// With A[u,i] the summed weight of user u's interactions with item i, uc(u) and ic(i) the macro
// nodes (behaviour clusters) of users and items, MacGNN (WWW 2024, arXiv 2401.14939, eq. 3-5) reads
//
//   H1_u[q] = sum_i A[u,i] [ic(i) = q]        H2_u[p] = sum_i A[u,i] H1_i[p]
//   H1_i[p] = sum_u A[u,i] [uc(u) = p]        H2_i[q] = sum_u A[u,i] H1_u[q]
//
// An event (u, i, w) changes them exactly (right-hand sides: before the event):
//
//   H2_i[j][ic(i)] += w A[u,j]   for every item j of u
//   H2_i[i]        += w H1_u,    H2_i[i][ic(i)] += w w
//   H1_i[i][uc(u)] += w,         A[u,i] += w
//
// H1_u and H2_u are gathered from the user's own edges when they are asked for. So an event costs
// O(|N(u)| + Q) and a request O(|N(u)| P): the popularity of an item never matters.
#ifndef GROUNDSWELL_GRAPH_MACRO_GRAPH_H_
#define GROUNDSWELL_GRAPH_MACRO_GRAPH_H_

#include <cstddef>
#include <span>
#include <vector>

#include "absl/container/btree_set.h"
#include "graph/ids.h"
#include "graph/item_state.h"
#include "graph/user_state.h"

namespace groundswell {

// The sum of all A[u,i] may not exceed the root of the largest 64-bit integer. Every macro edge is
// at most the square of that sum, so none can overflow.
inline constexpr Count kTotalCountMax = 3'037'000'499;

enum class ApplyOutcome {
  kApplied,
  kBelowZero,  // would leave A[u,i] < 0: nothing was changed
  kOverflow,   // would leave the sum of all A[u,i] above kTotalCountMax: nothing was changed
};

// Thread-safety: Load*, Apply by one thread; the const methods by any, at any time after loading.
class MacroGraph {
 public:
  // `cluster_of_item[i]` is ic(i), below shape.item_clusters; its length is the number of items.
  MacroGraph(MacroShape shape, std::vector<MacroNode> cluster_of_item);

  // Builds the item side from the users' edges (the matrix form, user by user): LoadUser for every
  // user once, in any order, then FinishLoading.
  // REQUIRES: user.cluster below P, items below the number of items, counts within kTotalCountMax.
  void LoadUser(const UserState& user);
  void FinishLoading();

  // Folds one event into the items and into `user`, the caller's copy of the user's state.
  // REQUIRES: weight != 0; `user` as the last Apply for this user left it.
  ApplyOutcome Apply(UserState& user, ItemIndex item, Count weight, Recency when);

  // H1_u (length Q) and H2_u (length P), overwritten.
  void GatherUser(const UserState& user, std::span<Count> one_hop, std::span<Count> two_hop) const;

  const ItemState& items() const { return items_; }
  std::span<const MacroNode> cluster_of_item() const { return cluster_of_item_; }

 private:
  // Every edge from the item's side, newest first within an item: the newest users of an item are
  // the first L here, also after a removal.
  struct ItemEdge {
    ItemIndex item{};
    Recency last;
    UserIndex user{};
    bool operator<(const ItemEdge& other) const;
  };

  void OneHopOf(const UserState& user, std::span<Count> one_hop) const;
  void ReadNewestUsers(ItemIndex item, std::vector<UserIndex>& out) const;

  const std::vector<MacroNode> cluster_of_item_;
  ItemState items_;
  absl::btree_set<ItemEdge> item_edges_;  // the writer's alone
  Count total_count_ = 0;                 // sum of all A[u,i]; the writer's alone
  std::vector<ItemEdge> loading_;         // between LoadUser and FinishLoading
  // The writer's scratch.
  std::vector<Count> user_one_hop_;
  std::vector<Count> one_hop_change_;
  std::vector<Count> two_hop_change_;
  std::vector<UserIndex> newest_users_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_GRAPH_MACRO_GRAPH_H_
