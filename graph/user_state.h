// UserState: everything the micro graph holds about one user, and the bytes it is stored as.
#ifndef GROUNDSWELL_GRAPH_USER_STATE_H_
#define GROUNDSWELL_GRAPH_USER_STATE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "graph/ids.h"

namespace groundswell {

// One edge A[u,i] > 0. The layout in memory is the layout on disk (little-endian, 24 bytes), so
// that reading a user is one copy.
struct Edge {
  ItemIndex item{};
  uint32_t count = 0;  // A[u,i], at least 1
  Recency last;        // the latest interaction of positive weight
};

// A value: copy it, change the copy, write it back. H1_u, H2_u and the newest items are functions
// of the edges (macro_graph.h) and are not stored, so a new clustering rewrites no user.
struct UserState {
  UserIndex index{};
  MacroNode cluster = 0;    // uc(u)
  std::vector<Edge> edges;  // ascending by item

  // The edge to `item`, or nullptr.
  const Edge* Find(ItemIndex item) const;
};

// The `limit` newest edges, newest first. Writes positions in `user.edges` to `out` (its old
// content is dropped; its capacity is reused).
void NewestEdges(const UserState& user, size_t limit, std::vector<uint32_t>& out);

// Record: version (u8, 1), 3 bytes 0, index (u32), cluster (u32), edge count (u32), then the edges.
void EncodeUserState(const UserState& user, std::string& out);

// DataLoss when the bytes are not such a record: wrong version, wrong length, edges out of order or
// with a count of 0.
absl::StatusOr<UserState> DecodeUserState(std::string_view record);

}  // namespace groundswell

#endif  // GROUNDSWELL_GRAPH_USER_STATE_H_
