// BestAdmitted: the best of many scored items that a filter admits.
#ifndef GROUNDSWELL_INDEX_BEST_ADMITTED_H_
#define GROUNDSWELL_INDEX_BEST_ADMITTED_H_

#include <algorithm>
#include <cstddef>
#include <vector>

#include "index/candidate_source.h"

namespace groundswell {

// At most `count`, best first, ties by ascending item, each with `source`. `Scored` has an `item`
// and a `score`; `scored` is left in another order. It is made a heap, so that only those that are
// looked at are put in order.
template <typename Scored>
std::vector<Candidate> BestAdmitted(std::vector<Scored>& scored, const ItemFilter& filter,
                                    size_t count, SourceBit source) {
  const auto is_worse = [](const Scored& a, const Scored& b) {
    return a.score != b.score ? a.score < b.score : a.item > b.item;
  };
  std::vector<Candidate> best;
  best.reserve(std::min(count, scored.size()));
  std::make_heap(scored.begin(), scored.end(), is_worse);
  for (auto end = scored.end(); end != scored.begin() && best.size() < count; --end) {
    std::pop_heap(scored.begin(), end, is_worse);
    const Scored& next = *(end - 1);
    if (filter.Admits(next.item)) best.push_back({next.item, next.score, source});
  }
  return best;
}

}  // namespace groundswell

#endif  // GROUNDSWELL_INDEX_BEST_ADMITTED_H_
