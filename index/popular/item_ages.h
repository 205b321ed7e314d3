// ItemAges: when an item was taken, on average.
//
//   mean time(i) = sum over the edges (u, i) of A * t / sum over them of A
//
// with A the weight of all interactions of an edge and t the event time of its newest. A function
// of the graph's edges alone, to the bit: sums of integers, from which what is forgotten, removed
// or leaves the window is taken out, in whatever order. 16 bytes per item.
#ifndef GROUNDSWELL_INDEX_POPULAR_ITEM_AGES_H_
#define GROUNDSWELL_INDEX_POPULAR_ITEM_AGES_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "graph/ids.h"
#include "graph/state/edge_change.h"

namespace groundswell {

// One writer beside any number of readers, who do not hold it up. A reader beside a change may see
// half of it: another age for a moment, never a wrong sum.
class ItemAges {
 public:
  // REQUIRES: items with an index below `items_max`; weights that add up to at most kTotalCountMax
  // (graph/state/macro_graph.h), so that no sum overflows.
  explicit ItemAges(size_t items_max) : sums_(items_max) {}

  // By the writer.
  void Change(const EdgeChange& change);

  // Seconds from the mean time to `now_us`, at least 0; negative for an item that nobody took.
  float MeanAge(ItemIndex item, int64_t now_us) const;

  // All that it is made of: of each item the weight, and the weighted seconds. While nobody writes.
  std::vector<uint64_t> CopySums() const;

 private:
  struct Sums {
    std::atomic<uint64_t> weight = 0;
    std::atomic<uint64_t> weighted_seconds = 0;  // times from 1970 to 2106
  };
  void Add(ItemIndex item, std::span<const Edge> edges, bool take_out);

  std::vector<Sums> sums_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_INDEX_POPULAR_ITEM_AGES_H_
