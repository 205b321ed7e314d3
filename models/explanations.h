// Why an item has its score: exact leave-one-out on the ranker's logit.
//
//   contribution(c, i) = logit(u, i) - logit(u without c, i)
//
// where c is one of the user's newest items, taken out of the history, or one cluster, whose
// count in H1_u or H2_u becomes 0. A cause is one feature of the ranker, not an event of the log:
// an item that is taken out of the history still counts in H1_u and H2_u, and a cluster's items
// stay in the history, which only gets shorter (no older item moves up). Its time goes with it.
// Everything goes through the Ranker interface, so every ranker is explained by what it reads, and
// one that reads the user's row alone has nothing to tell. Ranker::variants_max bounds the cost to
// that of ranking 500 candidates.
#ifndef GROUNDSWELL_MODELS_EXPLANATIONS_H_
#define GROUNDSWELL_MODELS_EXPLANATIONS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "models/ranker.h"

namespace groundswell {

// Items of one list that are explained.
inline constexpr size_t kExplainedItemsMax = 10;

struct Cause {
  enum class Kind { kPastItem, kItemCluster, kUserCluster };
  Kind kind = Kind::kPastItem;
  uint32_t number = 0;  // the position in recent_items, or the cluster
  bool operator==(const Cause&) const = default;
};

struct Explanation {
  Cause cause;
  float contribution = 0;  // not 0; above: the cause raised the score
  bool operator==(const Explanation&) const = default;
};

struct Explanations {
  // One list per item, of the largest contribution (whatever its sign) first. Empty for an item
  // whose own score is not finite.
  std::vector<std::vector<Explanation>> of_item;
  size_t causes = 0;        // what could be taken away from the user
  size_t causes_tried = 0;  // of these
};

// Memory of one thread.
struct ExplanationBuffers {
  std::vector<Cause> causes;
  std::vector<uint32_t> clusters;
  std::vector<UserFeatures> variants;  // the whole user, then without each cause
  std::vector<int64_t> counts;         // that the variants count
  std::vector<uint32_t> recent_items;  // that the variants took
  std::vector<int64_t> recent_times;   // and when
  std::vector<float> logits;           // variants x items
};

// What is explained: the scores of `items` for `user`.
struct ExplanationQuery {
  const Ranker& ranker;
  UserFeatures user;
  ItemFeatures items;
  // Causes that are tried; absent: the ranker's variants_max. When there are more, a third each is
  // for the newest items and for the item and user clusters of the highest counts; what one of
  // them does not need, the others get.
  std::optional<size_t> causes_max;
};

// Explains every item by all causes that are tried, but for those that change nothing and those
// whose absence leaves the ranker without a score (the only item of a history). False, and nothing
// in `explanations`, when `has_time`, which is asked again and again, says no.
// `scratch` is the ranker's, of at least as many items; it holds another user afterwards.
bool Explain(const ExplanationQuery& query, RankerScratch& scratch, ExplanationBuffers& buffers,
             const std::function<bool()>& has_time, Explanations& explanations);

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_EXPLANATIONS_H_
