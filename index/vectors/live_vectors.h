// LiveVectors: vectors of users and of new items as the live graph has them now, between two
// trainings.
//
// One more propagation of LightGCN (He et al., SIGIR 2020, arXiv 2002.02126, eq. 3), from the
// trained vectors e over the edges that there are now, and its layer combination (eq. 4) with equal
// weights, but for a factor that is the same for all candidates:
//
//   user:  e_u + sum over the newest items i of u of  e_i / sqrt(|N_u| |N_i|)
//   item:        sum over the newest users u of i of  e_u' / sqrt(|N_u| |N_i|)
//
// |N_i| counts no more than kUsersMax: of an item with very many users, memory keeps a varying
// number. e_u is 0 for a user that was not trained, and e_u' such a user's own first line. Items
// without a vector contribute nothing. An item is given one only if it has none of its own.
#ifndef GROUNDSWELL_INDEX_VECTORS_LIVE_VECTORS_H_
#define GROUNDSWELL_INDEX_VECTORS_LIVE_VECTORS_H_

#include <cstddef>
#include <span>
#include <vector>

#include "graph/fold/interaction_adjacency.h"
#include "graph/ids.h"
#include "index/vectors/embedding_index.h"

namespace groundswell {

// Thread-safe: it holds views only.
class LiveVectors {
 public:
  // Newest neighbours that a vector is made of.
  static constexpr size_t kNeighborsMax = 50;
  static constexpr size_t kUsersMax = 2'048;

  // `trained_users`: rows of `dim` floats, by user. All must outlive it.
  LiveVectors(std::span<const float> trained_users, size_t dim,
              const InteractionAdjacency& adjacency)
      : trained_users_(trained_users), dim_(dim), adjacency_(adjacency) {}

  size_t dim() const { return dim_; }

  // Of a user whose newest items, at most kNeighborsMax, are `newest` among `degree` in all. Those
  // in `joined` (ascending) do not have the user among their neighbours, and count it all the same.
  // False, and zeros, when nothing is known: neither trained, nor an item with a vector.
  bool OfUser(UserIndex user, std::span<const ItemIndex> newest, size_t degree,
              std::span<const ItemIndex> joined, const EmbeddingIndex::View& items,
              std::span<float> out) const;

  // False, and zeros, for an item without users who have a vector.
  bool OfItem(ItemIndex item, const EmbeddingIndex::View& items, std::span<float> out) const;

 private:
  const std::span<const float> trained_users_;
  const size_t dim_;
  const InteractionAdjacency& adjacency_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_INDEX_VECTORS_LIVE_VECTORS_H_
