// UserState: everything the micro graph holds about one user, and the bytes it is stored as.
#ifndef GROUNDSWELL_GRAPH_STATE_USER_STATE_H_
#define GROUNDSWELL_GRAPH_STATE_USER_STATE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "graph/ids.h"

namespace groundswell {

// A part of A[u,i] > 0. The newest interactions of a user (Window::traced) have an edge each, older
// ones are summed up in one edge per item. With a window that looks back in time all have one each,
// so that each can leave by itself (graph/state/user_edges.h). The layout in memory is the layout
// on disk (little-endian, 24 bytes), so that reading a user is one copy.
struct Edge {
  ItemIndex item{};
  uint32_t count = 0;  // at least 1
  Recency last;        // the latest interaction of positive weight in it
  bool operator==(const Edge&) const = default;
};

// An item that is not to be recommended to the user.
struct HiddenItem {
  ItemIndex item{};
  uint32_t reserved = 0;
  int64_t time_us = 0;  // when it was hidden
  bool operator==(const HiddenItem&) const = default;
};

// A value: copy it, change the copy, write it back. H1_u, H2_u and the newest items are functions
// of the edges (macro_graph.h) and are not stored.
struct UserState {
  UserIndex index{};
  Cluster cluster = 0;  // uc(u)
  // The applied offset of the batch that wrote this last: tells whether a checkpoint knows it.
  Offset changed_at = 0;
  std::vector<Edge> edges;              // ascending by item, then by recency
  std::vector<HiddenItem> hidden = {};  // ascending by item, each once; no part of the graph

  // The edges to `item`: as many as there are, none when A[u,item] is 0.
  std::span<const Edge> EdgesTo(ItemIndex item) const;
  bool Has(ItemIndex item) const { return !EdgesTo(item).empty(); }
  // Items with an edge.
  size_t item_count() const;
};

// Calls `visit` with each of the user's items and the edges to it.
template <typename Visit>
void ForEachItem(const UserState& user, const Visit& visit) {
  const std::span<const Edge> edges = user.edges;
  for (size_t begin = 0; begin < edges.size();) {
    size_t end = begin + 1;
    while (end < edges.size() && edges[end].item == edges[begin].item) ++end;
    visit(edges[begin].item, edges.subspan(begin, end - begin));
    begin = end;
  }
}

// The item is hidden from `time_us` on, unless it is since later, or the user took it since.
void Hide(UserState& user, ItemIndex item, int64_t time_us);
// The user took the item at `time_us`: what was hidden before is not hidden any more.
void Reveal(UserState& user, ItemIndex item, int64_t time_us);

// The `limit` newest items, newest first, as positions in `user.edges` of their newest edges
// (`out`: its old content is dropped; its capacity is reused).
void NewestEdges(const UserState& user, size_t limit, std::vector<uint32_t>& out);

// Record: version (u8), 3 bytes 0, index (u32), cluster (u32), edge count (u32), changed_at (i64),
// then the edges. Version 2 ends there; with hidden items it is version 3, and their count (u64)
// and they follow.
void EncodeUserState(const UserState& user, std::string& out);

// DataLoss when the bytes are not such a record: wrong version, wrong length, edges out of order or
// with a count of 0, hidden items out of order.
absl::StatusOr<UserState> DecodeUserState(std::string_view record);

}  // namespace groundswell

#endif  // GROUNDSWELL_GRAPH_STATE_USER_STATE_H_
