// VectorChanges: the item vectors that came, changed or went since an index was built, exact and
// visible at once.
//
// A list of changes that only grows, in a matrix of fixed size. A reader takes its length n once
// and from then on sees exactly the first n changes: what is appended meanwhile neither shows nor
// hides an item. That takes no lock: a change is written completely before the length admits it,
// and every change knows the one of the same item before it.
#ifndef GROUNDSWELL_INDEX_VECTORS_VECTOR_CHANGES_H_
#define GROUNDSWELL_INDEX_VECTORS_VECTOR_CHANGES_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "graph/ids.h"

namespace groundswell {

// Thread-safety: Append by one thread at a time, beside any number of readers. What is returned
// stays valid as long as the list.
class VectorChanges {
 public:
  struct Change {
    ItemIndex item{};
    uint32_t previous = 0;   // number of the item's change before this one, or none
    uint64_t sequence = 0;   // the writer's own number, ascending
    bool withdrawn = false;  // the item has no vector any more
  };

  // Room for `capacity` changes of items below `items_max`; takes 4 dim + 24 bytes per change and 4
  // bytes per item.
  VectorChanges(size_t capacity, size_t items_max, size_t dim);

  // Appends; `vector` has dim numbers, or none when the item's vector is withdrawn. False, and
  // nothing changed, when the list is full. REQUIRES: item below items_max.
  bool Append(ItemIndex item, std::span<const float> vector, uint64_t sequence);

  // Changes so far. What they are may be asked for numbers below this.
  size_t size() const { return size_.load(std::memory_order_acquire); }
  size_t capacity() const { return capacity_; }
  size_t items_max() const { return items_max_; }
  // Items with a change; the writer's view.
  size_t changed_items() const { return changed_items_.load(std::memory_order_relaxed); }
  size_t bytes() const;

  const Change& At(size_t number) const { return changes_[number]; }
  // The vectors of all changes, one row each; that of a withdrawal is zero.
  const float* rows() const { return rows_.data(); }
  std::span<const float> Row(size_t number) const { return {rows_.data() + number * dim_, dim_}; }

  // The item's newest change among the first n.
  std::optional<size_t> NewestOf(ItemIndex item, size_t n) const {
    uint32_t number = newest_[ToInt(item)].load(std::memory_order_acquire);
    while (number != kNone && number >= n) number = changes_[number].previous;
    return number == kNone ? std::nullopt : std::optional<size_t>(number);
  }
  // Whether a vector from before the list still is the item's, after the first n changes.
  bool LeavesAsItWas(ItemIndex item, size_t n) const {
    return n == 0 || ToInt(item) >= items_max_ || !NewestOf(item, n).has_value();
  }

 private:
  static constexpr uint32_t kNone = UINT32_MAX;

  const size_t capacity_;
  const size_t items_max_;
  const size_t dim_;
  std::vector<float> rows_;                          // capacity x dim
  std::vector<Change> changes_;                      // capacity
  std::unique_ptr<std::atomic<uint32_t>[]> newest_;  // by item: number of its newest change
  std::atomic<size_t> size_{0};
  std::atomic<size_t> changed_items_{0};
};

}  // namespace groundswell

#endif  // GROUNDSWELL_INDEX_VECTORS_VECTOR_CHANGES_H_
