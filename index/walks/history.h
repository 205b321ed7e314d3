// History: what the user took before, to take it again.
//
//   score(i) = A[u,i] / (60 + k_i)
//
// k_i is the place of i among the user's items, the newest first, from 1. Which item is taken again
// is told by how long ago it was taken last, counted in items and not in time, and by how much the
// user likes it: the product of the two (Anderson, Kumar, Tomkins, Vassilvitskii, "The dynamics of
// repeat consumption", WWW 2014). The user's own count stands for the liking; docs/retrieval.md
// has what else was tried.
#ifndef GROUNDSWELL_INDEX_WALKS_HISTORY_H_
#define GROUNDSWELL_INDEX_WALKS_HISTORY_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "graph/state/user_state.h"
#include "index/candidate_source.h"

namespace groundswell {

// The user's newest items that are looked at.
inline constexpr size_t kHistoryItemsMax = 1'000;

// Memory of one call at a time; grown by the first calls, then reused.
struct HistoryScratch {
  struct Scored {
    ItemIndex item{};
    float score = 0;
  };
  std::vector<uint32_t> newest_edges;
  std::vector<Scored> scored;
};

// At most `count` items of the user that `filter` admits, best first, ties by ascending item, each
// tagged kFromHistory. The filter must not leave out what the user has seen, or nothing is left.
std::vector<Candidate> RetrieveHistory(const UserState& user, const ItemFilter& filter,
                                       size_t count, HistoryScratch& scratch);

}  // namespace groundswell

#endif  // GROUNDSWELL_INDEX_WALKS_HISTORY_H_
