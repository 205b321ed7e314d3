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
//
// The item side is a sum over users of something that depends on that user's edges alone. So a user
// can be taken out or put in as a whole (RemoveUser, AddUser), which forgets users, and brings an
// old copy of the item side up to date (checkpoints).
#ifndef GROUNDSWELL_GRAPH_STATE_MACRO_GRAPH_H_
#define GROUNDSWELL_GRAPH_STATE_MACRO_GRAPH_H_

#include <atomic>
#include <cstddef>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "absl/container/btree_set.h"
#include "graph/ids.h"
#include "graph/state/item_state.h"
#include "graph/state/shard_capture.h"
#include "graph/state/user_edges.h"
#include "graph/state/user_state.h"

namespace groundswell {

// The sum of all A[u,i] may not exceed the root of the largest 64-bit integer. Every macro edge is
// at most the square of that sum, so none can overflow.
inline constexpr Count kTotalCountMax = 3'037'000'499;

// Thread-safety: everything that is not const by one thread, the writer; the const methods by any,
// at any time after loading, except where noted.
class MacroGraph {
 public:
  // `cluster_of_item[i]` is ic(i), below shape.item_clusters; its length is the number of items.
  // `spare_items` more can be added later.
  MacroGraph(MacroShape shape, std::span<const Cluster> cluster_of_item, size_t spare_items = 0);

  // Builds the item side from the users' edges (the matrix form, user by user): LoadUser for every
  // user once, in any order, then FinishLoading. Or LoadShard for every shard of a checkpoint, then
  // FinishLoading.
  // REQUIRES: user.cluster below P, items below the number of items, counts within kTotalCountMax.
  void LoadUser(const UserState& user);
  void LoadShard(const ItemShard& shard);
  void FinishLoading();

  // One more item, with the next index. REQUIRES: a spare one is left.
  void AddItem(Cluster cluster);

  // Folds one event into the items and into `user`, the caller's copy of the user's state. A
  // negative weight takes back the newest interactions with the item first.
  // REQUIRES: weight != 0, A[u,item] + weight >= 0, total_count() + weight <= kTotalCountMax
  // (Judge, graph/fold/judgement.h); `user` as the last change of this user left it.
  void Apply(UserState& user, ItemIndex item, Count weight, Recency when,
             EdgeDetail detail = EdgeDetail::kPerItem);
  // Takes out one edge, or all edges to one item, as if they had never been.
  void RemoveEdge(UserState& user, size_t position);
  void RemoveEdgesTo(UserState& user, ItemIndex item);

  // Everything that a user contributes to the items, taken out or put in.
  void RemoveUser(const UserState& user);
  void AddUser(const UserState& user);

  // At most `limit` users with an edge to the item, newest first (`out`: its old content is
  // dropped). The writer's alone.
  void ReadNewestUsers(ItemIndex item, size_t limit, std::vector<UserIndex>& out) const;

  // H1_u (length Q) and H2_u (length P), overwritten. An empty span skips one.
  void GatherUser(const UserState& user, std::span<Count> one_hop, std::span<Count> two_hop) const;

  // From here on, no item changes before its shard as it is now was given to `sink`: by the writer
  // when it gets there first, or by the capture's own CaptureRest, which another thread calls while
  // the writer goes on. One capture at a time.
  std::shared_ptr<ShardCapture> BeginCapture(ShardCapture::Sink sink);

  // One shard of the first `items` items, as it is. The writer's, or while no one writes to it.
  ItemShard CopyShard(uint32_t number, size_t items) const;

  const ItemState& items() const { return items_; }
  size_t item_count() const { return item_count_.load(std::memory_order_acquire); }
  Cluster ClusterOf(ItemIndex item) const {
    return cluster_of_item_[ToInt(item)].load(std::memory_order_relaxed);
  }
  Count total_count() const { return total_count_; }  // sum of all A[u,i]; the writer's alone

 private:
  using ItemEdges = absl::btree_set<ItemEdge>;

  void OneHopOf(const UserState& user, std::span<Count> one_hop) const;
  ItemEdges& EdgesOf(ItemIndex item) { return item_edges_[ToInt(item) / kItemsPerShard]; }
  const ItemEdges& EdgesOf(ItemIndex item) const {
    return item_edges_[ToInt(item) / kItemsPerShard];
  }
  void CaptureBeforeChange(ItemIndex item);
  // The counters' part of A[u,item] += weight. `user` is still as before; its newest interaction
  // with the item was at `before` and will be at `after` (null: no edge).
  void ShiftItem(const UserState& user, ItemIndex item, Count weight, const Recency* before,
                 const Recency* after);
  void AddContribution(const UserState& user, Count sign);

  const size_t capacity_;
  std::atomic<size_t> item_count_;
  const std::unique_ptr<std::atomic<Cluster>[]> cluster_of_item_;
  ItemState items_;
  // Every edge from the item's side, by shard, newest first within an item: the newest users of an
  // item are the first L here, also after a removal. The writer's alone.
  std::vector<ItemEdges> item_edges_;
  Count total_count_ = 0;
  std::vector<ItemEdge> loading_;  // between LoadUser and FinishLoading
  std::shared_ptr<ShardCapture> capture_;
  // The writer's scratch.
  std::vector<Count> user_one_hop_;
  std::vector<Count> one_hop_change_;
  std::vector<Count> two_hop_change_;
  std::vector<UserIndex> newest_users_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_GRAPH_STATE_MACRO_GRAPH_H_
