// FoldOutcome: what applying one interaction comes to.
#ifndef GROUNDSWELL_GRAPH_FOLD_FOLD_OUTCOME_H_
#define GROUNDSWELL_GRAPH_FOLD_FOLD_OUTCOME_H_

namespace groundswell {

enum class FoldOutcome {
  kApplied,
  kBelowZero,      // would leave A[u,i] < 0
  kOverflow,       // would leave the sum of all A[u,i] above kTotalCountMax
  kUnknownItem,    // not in the catalogue
  kOutsideWindow,  // older than the window
  kForgotten,      // late: its user was forgotten, or its item removed, after it happened
  kCount
};

}  // namespace groundswell

#endif  // GROUNDSWELL_GRAPH_FOLD_FOLD_OUTCOME_H_
