// Ranker: scores candidates for one user with a trained model's forward pass.
//
// One request is one PrepareUser followed by any number of ScoreItems over blocks of candidates,
// all with the same scratch:
//
//   std::unique_ptr<RankerScratch> scratch = ranker.NewScratch(block_size);   // once per thread
//   if (absl::Status s = ranker.PrepareUser(user, *scratch); !s.ok()) return s;
//   ranker.ScoreItems(block, *scratch, logits);
//
// A ranker is immutable and may be used by many threads at once, each with its own scratch. Neither
// method allocates. `logits[i]` depends on the user and on candidate i only: it is the same alone
// or among 1,000 others, in any order and any split into blocks.
#ifndef GROUNDSWELL_MODELS_RANKER_H_
#define GROUNDSWELL_MODELS_RANKER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>

#include "absl/status/status.h"

namespace groundswell {

// Sizes that the features of a request must have. P and Q are the numbers of user and item clusters
// of the snapshot. A size of 0 says that the model does not read this feature, which is then not
// gathered: the user's row is 0, the spans are empty.
struct RankerShape {
  size_t user_rows = 0;      // rows of the model's user table, row 0 (unknown) included
  size_t item_rows = 0;      // rows of the model's item table, row 0 (unknown) included; never 0
  size_t user_clusters = 0;  // P: of H2_u and H1_i
  size_t item_clusters = 0;  // Q: of H1_u and H2_i
  size_t recent_items = 0;   // newest items of the user
  size_t recent_times = 0;   // times of the user's newest items; at least recent_items, or 0
  size_t recent_users = 0;   // newest users of each candidate
  size_t vector_width = 0;   // numbers of a vector in the space of the snapshot's embeddings
};

// What a ranker reads of the user. Rows index the model's embedding tables; 0 is "unknown".
struct UserFeatures {
  uint32_t row = 0;
  std::span<const int64_t> one_hop;  // H1_u, length Q
  std::span<const int64_t> two_hop;  // H2_u, length P
  // Newest first, at most shape().recent_items; rows of the item table.
  std::span<const uint32_t> recent_items;
  // When the user took them last, in microseconds since 1970, at most shape().recent_times: of the
  // recent_items, and of as many older items behind them.
  std::span<const int64_t> recent_times_us;
  int64_t first_time_us = 0;  // the oldest of all the user's items' times; 0 where none is read
  // The request's time; 0 where no times are read. Nothing that is made of it outlives the request.
  int64_t now_us = 0;
  // As the graph has it now, in the space of the snapshot's embeddings
  // (index/vectors/live_vectors.h makes it); empty: none is known.
  std::span<const float> vector;
};

// What a ranker reads of n candidates; every matrix is row-major, one row per candidate.
struct ItemFeatures {
  std::span<const uint32_t> rows;    // n; rows of the item table
  std::span<const int64_t> one_hop;  // n x P, H1_i
  std::span<const int64_t> two_hop;  // n x Q, H2_i
  // n x shape().recent_users, newest first, 0 where there is none; rows of the user table.
  std::span<const uint32_t> recent_users;
  // n, or none where nobody gathers them: the vector that each item has now, empty for one without.
  std::span<const std::span<const float>> vectors;
};

// Working memory of one thread. Each ranker derives its own and accepts no other's.
class RankerScratch {
 public:
  virtual ~RankerScratch() = default;
};

class Ranker {
 public:
  virtual ~Ranker() = default;

  // The name under which requests choose it and the manifest lists it, e.g. "macgnn".
  virtual std::string_view name() const = 0;
  virtual RankerShape shape() const = 0;

  // What its products are computed in on this machine, for people (models/math/weight.h).
  virtual std::string_view arithmetic() const { return "f32"; }

  // Memory for blocks of up to `block_size` candidates. The only call that allocates.
  virtual std::unique_ptr<RankerScratch> NewScratch(size_t block_size) const = 0;

  // Computes everything that depends on the user alone. FailedPrecondition, the only error, when
  // the model has no score for such a user (an empty history, no embedding): the message says what
  // it lacks, the caller falls back, and nothing is scored with this scratch until the next user.
  // REQUIRES: feature lengths equal to shape(); rows below the table sizes.
  virtual absl::Status PrepareUser(const UserFeatures& user, RankerScratch& scratch) const = 0;

  // Writes one logit per candidate; the probability is sigmoid(logit). Minus infinity is for an
  // item that the model knows nothing of: it comes last. Never NaN.
  // REQUIRES: PrepareUser on this scratch was OK; items.rows.size() == logits.size() <= block_size.
  virtual void ScoreItems(const ItemFeatures& items, RankerScratch& scratch,
                          std::span<float> logits) const = 0;

  // Floats per item that ScoreItems makes of the item's features, whoever the user is, and that are
  // worth keeping until these change; 0: none. If there are some, ScoreItems is PrepareItems and
  // ScorePrepared, to the bit.
  virtual size_t prepared_width() const { return 0; }
  // Needs no PrepareUser, and leaves the prepared user as he is. REQUIRES: prepared.size() == n *
  // prepared_width(), n = items.rows.size() <= block_size.
  virtual void PrepareItems(const ItemFeatures& items, RankerScratch& scratch,
                            std::span<float> prepared) const;
  // REQUIRES: as ScoreItems; prepared.size() == logits.size() * prepared_width().
  virtual void ScorePrepared(std::span<const float> prepared, RankerScratch& scratch,
                             std::span<float> logits) const;

  // Scores the same items for variants of one user, who count and took other things but have the
  // same row: logits[v * n + i]. NaN for every item where a variant has no score. Asks `has_time`
  // before each part of the work; false, with nothing of use in `logits`, once it says no. In f32
  // whatever the model's precision.
  // Overridden by rankers that share work between variants; their logits may then differ from
  // ScoreItems' by float rounding, but a variant's do not depend on the other ones.
  // REQUIRES: as PrepareUser and ScoreItems; logits.size() == variants.size() * n.
  virtual bool ScoreVariants(std::span<const UserFeatures> variants, const ItemFeatures& items,
                             RankerScratch& scratch, const std::function<bool()>& has_time,
                             std::span<float> logits) const;

  // How many variants of ten items ScoreVariants scores in less time than ScoreItems takes for 500
  // candidates, at the published sizes (bench/explain_bench). So many causes are explained.
  virtual size_t variants_max() const { return 10; }
};

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_RANKER_H_
