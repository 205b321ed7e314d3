// The items of candidates, in their order.
#ifndef GROUNDSWELL_TESTS_UNIT_INDEX_ITEMS_OF_H_
#define GROUNDSWELL_TESTS_UNIT_INDEX_ITEMS_OF_H_

#include <cstdint>
#include <span>
#include <vector>

#include "index/candidate_source.h"

namespace groundswell {

inline std::vector<uint32_t> ItemsOf(std::span<const Candidate> candidates) {
  std::vector<uint32_t> items;
  for (const Candidate& candidate : candidates) items.push_back(ToInt(candidate.item));
  return items;
}

}  // namespace groundswell

#endif  // GROUNDSWELL_TESTS_UNIT_INDEX_ITEMS_OF_H_
