// BestAdmitted: the best of many scored items that a filter admits.
#ifndef GROUNDSWELL_INDEX_BEST_ADMITTED_H_
#define GROUNDSWELL_INDEX_BEST_ADMITTED_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "index/candidate_source.h"
#include "index/score_key.h"

namespace groundswell {

// At most `count`, best first, ties by ascending item, each with `source`. `Scored` has an `item`
// and a `score`, which is a number. Only those that are returned are put in order.
template <typename Scored>
std::vector<Candidate> BestAdmitted(std::span<const Scored> scored, const ItemFilter& filter,
                                    size_t count, SourceBit source) {
  thread_local std::vector<uint64_t> keys;
  keys.clear();
  for (const Scored& one : scored) {
    if (filter.Admits(one.item)) keys.push_back(ScoreKey(one.score, one.item));
  }
  if (keys.size() > count) {
    std::ranges::nth_element(keys, keys.begin() + static_cast<ptrdiff_t>(count));
    keys.resize(count);
  }
  std::ranges::sort(keys);
  std::vector<Candidate> best;
  best.reserve(keys.size());
  for (const uint64_t key : keys) best.push_back({ItemOfKey(key), ScoreOfKey(key), source});
  return best;
}

}  // namespace groundswell

#endif  // GROUNDSWELL_INDEX_BEST_ADMITTED_H_
