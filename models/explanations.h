// Why an item has its score: exact leave-one-out on the ranker's logit.
//
//   contribution(c, i) = logit(u, i) - logit(u without c, i)
//
// where c is one of the user's newest items, taken out of the history, or one macro node, whose
// count in H1_u or H2_u becomes 0. Everything goes through the Ranker interface: the user is
// prepared once per cause, and all explained items are scored in one block. So every ranker is
// explained, by what it reads, and the cost is that of at most kCausesMax users with a few items.
#ifndef GROUNDSWELL_MODELS_EXPLANATIONS_H_
#define GROUNDSWELL_MODELS_EXPLANATIONS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "models/ranker.h"

namespace groundswell {

// Items of one list that are explained.
inline constexpr size_t kExplainedItemsMax = 10;
// Causes that are tried: a third each for the newest items and for the item and user macro nodes of
// the highest counts; what one of them does not need, the others get.
inline constexpr size_t kCausesMax = 24;
// Causes told per item, those of the largest contribution.
inline constexpr size_t kCausesPerItemMax = 10;

struct Cause {
  enum class Kind { kPastItem, kItemNode, kUserNode };
  Kind kind = Kind::kPastItem;
  uint32_t number = 0;  // the position in recent_items, or the macro node
  bool operator==(const Cause&) const = default;
};

struct Explanation {
  Cause cause;
  float contribution = 0;  // not 0; above: the cause raised the score
};

// Memory of one thread.
struct ExplanationBuffers {
  std::vector<Cause> causes;
  std::vector<uint32_t> nodes;
  std::vector<int64_t> counts;
  std::vector<uint32_t> recent_items;
  std::vector<float> logits;   // of the items, by the whole user
  std::vector<float> without;  // causes x items; NaN where the ranker has no score
};

// What is explained: the scores of `items` for `user`.
struct ExplanationQuery {
  const Ranker& ranker;
  UserFeatures user;
  ItemFeatures items;
};

// One list per item, of the largest contribution first. Without a cause whose absence leaves the
// ranker without a score (the only item of a history), and empty for an item whose own score is not
// finite. False, and nothing in `explanations`, when `has_time`, asked before every cause, says no.
// `scratch` is the ranker's, of at least as many items; it holds another user afterwards.
bool Explain(const ExplanationQuery& query, RankerScratch& scratch, ExplanationBuffers& buffers,
             const std::function<bool()>& has_time,
             std::vector<std::vector<Explanation>>& explanations);

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_EXPLANATIONS_H_
