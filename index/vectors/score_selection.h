// SelectBest: the positions of the k best of many scores, without putting any in order.
//
// The scores are counted in bins of equal width between the lowest and the highest; those from the
// bin of the k-th best on are looked at, the rest are compared once. That costs some operations per
// score whatever their order is, where a heap costs most when the best come last.
#ifndef GROUNDSWELL_INDEX_VECTORS_SCORE_SELECTION_H_
#define GROUNDSWELL_INDEX_VECTORS_SCORE_SELECTION_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace groundswell {

// Keeps its memory from one call to the next. Use by one thread at a time.
struct SelectionScratch {
  std::vector<uint32_t> counts;  // by bin
  std::vector<uint64_t> keys;    // ScoreKey by position
};

// Puts into `best` the positions of the `count` highest scores, of equal ones those that come
// first; all of them where there are no more. In no order. REQUIRES: scores are finite.
void SelectBest(std::span<const float> scores, size_t count, SelectionScratch& scratch,
                std::vector<uint32_t>& best);

}  // namespace groundswell

#endif  // GROUNDSWELL_INDEX_VECTORS_SCORE_SELECTION_H_
