// Neighbours of a node in tests, written and read briefly.
#ifndef GROUNDSWELL_TESTS_SUPPORT_NEIGHBORS_H_
#define GROUNDSWELL_TESTS_SUPPORT_NEIGHBORS_H_

#include <cstdint>
#include <vector>

#include "graph/state/neighbor_lists.h"

namespace groundswell {

inline Neighbor At(uint32_t time_s, uint32_t node, uint32_t weight = 1) {
  return {.node = node, .time_s = time_s, .weight = weight};
}

// Oldest first.
inline std::vector<Neighbor> All(const NeighborLists& lists, uint32_t node) {
  std::vector<Neighbor> neighbors;
  lists.CopyTo(node, neighbors);
  return neighbors;
}

}  // namespace groundswell

#endif  // GROUNDSWELL_TESTS_SUPPORT_NEIGHBORS_H_
