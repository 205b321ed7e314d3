// LiveVectors: vectors of users and of new items as the live graph has them now, between two
// trainings.
//
// Of a user, one more propagation of LightGCN (He et al., SIGIR 2020, arXiv 2002.02126, eq. 3),
// from the trained vectors e over the edges that there are now, and its layer combination (eq. 4)
// with equal weights, but for a factor that is the same for all candidates. In a visit that goes
// on, what was taken last says more than a taste of years: of the newest items i_0, i_1, .. that
// have a vector
//
//   between visits:  e_u + sum over the newest items i of u of  e_i / sqrt(|N_u| |N_i|)
//   in a visit:      sum over k of  2^(-k / 3) e_(i_k)
//
// |N_i| counts no more than kUsersMax: of an item with very many users, memory keeps a varying
// number. e_u is 0 for a user that was not trained; one without such items has e_u either way.
//
// Of an item that has no vector of its own, the direction of the sum over its newest users of the
// unit vectors of what they took last beside it (second line), and the median length of trained
// items: a sum of few terms is too short to be found by inner product.
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

  struct User {
    UserIndex index{};
    std::span<const ItemIndex> newest;  // at most kNeighborsMax, the newest first
    size_t item_count = 0;              // of which those are the newest
    // Ascending: those that do not have the user among their neighbours, and count it all the same.
    std::span<const ItemIndex> joined = {};
    bool is_in_visit = false;  // that began with one of the newest
  };

  // Both: rows of `dim` floats, by user and by item. All must outlive it, but for `trained_items`.
  LiveVectors(std::span<const float> trained_users, std::span<const float> trained_items,
              size_t dim, const InteractionAdjacency& adjacency);

  size_t dim() const { return dim_; }

  // False, and zeros, when nothing is known: neither trained, nor an item with a vector.
  bool OfUser(const User& user, const EmbeddingIndex::View& items, std::span<float> out) const;

  // False, and zeros, for an item without users who have a vector.
  bool OfItem(ItemIndex item, const EmbeddingIndex::View& items, std::span<float> out) const;

 private:
  bool CopyTrained(UserIndex user, std::span<float> out) const;

  const std::span<const float> trained_users_;
  const size_t dim_;
  const float item_length_;  // 0 without trained items: made vectors keep their own
  const InteractionAdjacency& adjacency_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_INDEX_VECTORS_LIVE_VECTORS_H_
