// TwentyBest: the positions of the largest twenty logits, to tell how many another precision
// changes.
#ifndef GROUNDSWELL_TESTS_SUPPORT_TWENTY_BEST_H_
#define GROUNDSWELL_TESTS_SUPPORT_TWENTY_BEST_H_

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <set>
#include <vector>

namespace groundswell {

// REQUIRES: at least twenty logits.
inline std::set<size_t> TwentyBest(const std::vector<float>& logits) {
  std::vector<size_t> order(logits.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::partial_sort(order.begin(), order.begin() + 20, order.end(),
                    [&](size_t a, size_t b) { return logits[a] > logits[b]; });
  return {order.begin(), order.begin() + 20};
}

}  // namespace groundswell

#endif  // GROUNDSWELL_TESTS_SUPPORT_TWENTY_BEST_H_
