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
// |N_i| counts no more than kDegreeMax: of an item with very many users, memory keeps a varying
// number. e_u is 0 for a user that was not trained; one without such items has e_u either way.
//
// Of an item that has no vector of its own, the direction of the sum over its newest users of the
// unit vectors of what they took last beside it (second line), and the median length of trained
// items: a sum of few terms is too short to be found by inner product.
//
// Where the snapshot has an encoder (models/encoder.h) for a side, it makes the vectors of that
// side instead, and these rules those of which it knows nothing.
#ifndef GROUNDSWELL_INDEX_VECTORS_LIVE_VECTORS_H_
#define GROUNDSWELL_INDEX_VECTORS_LIVE_VECTORS_H_

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "graph/fold/interaction_adjacency.h"
#include "graph/ids.h"
#include "graph/state/macro_graph.h"
#include "graph/state/user_state.h"
#include "index/vectors/embedding_index.h"
#include "index/vectors/gathered_target.h"
#include "index/vectors/live_encoders.h"

namespace groundswell {

// What made a vector.
enum class VectorOrigin { kNone, kRule, kEncoder };

// Thread-safe: it holds views only. Each thread has its own scratch.
class LiveVectors {
 public:
  // Newest neighbours that a vector is made of.
  static constexpr size_t kNeighborsMax = 50;

  // Rows of `dim` floats, by user and by item.
  struct Trained {
    std::span<const float> users;  // must outlive the LiveVectors
    std::span<const float> items;
    size_t dim = 0;
  };
  struct User {
    const UserState& state;
    std::span<const ItemIndex> newest;  // of his items, at most kNeighborsMax, the newest first
    // Ascending: those that do not have the user among their neighbours, and count it all the same.
    std::span<const ItemIndex> joined = {};
    bool is_in_visit = false;  // that began with one of the newest
    bool by_rule = false;      // also where there is an encoder: for want of time
  };
  struct Scratch {
    std::unique_ptr<EncoderScratch> user, item;  // null without such an encoder
    GatheredTarget target;
  };

  // `adjacency`, the encoders and `graph` must outlive it; `graph` is read where an encoder wants
  // H1_u, and may be null otherwise.
  LiveVectors(const Trained& trained, const InteractionAdjacency& adjacency,
              const LiveEncoders& encoders = {}, const MacroGraph* graph = nullptr);

  size_t dim() const { return sources_.dim; }
  Scratch NewScratch() const;

  // kNone, and zeros, when nothing is known: neither trained, nor an item with a vector.
  VectorOrigin OfUser(const User& user, const EmbeddingIndex::View& items, Scratch& scratch,
                      std::span<float> out) const;

  // kNone, and zeros, for an item without users who have a vector.
  VectorOrigin OfItem(ItemIndex item, const EmbeddingIndex::View& items, Scratch& scratch,
                      std::span<float> out) const;

 private:
  bool CopyTrained(UserIndex user, std::span<float> out) const;
  bool UserByRule(const User& user, const EmbeddingIndex::View& items, std::span<float> out) const;
  bool ItemByRule(ItemIndex item, const EmbeddingIndex::View& items, std::span<float> out) const;

  const EncoderSources sources_;
  const float item_length_;  // 0 without trained items: made vectors keep their own
  const LiveEncoders encoders_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_INDEX_VECTORS_LIVE_VECTORS_H_
