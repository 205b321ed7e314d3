// ItemTable: a value per item, for a number of items that is bounded beforehand, without an
// allocation once it was that large.
#ifndef GROUNDSWELL_INDEX_ITEM_TABLE_H_
#define GROUNDSWELL_INDEX_ITEM_TABLE_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "graph/ids.h"

namespace groundswell {

// Open addressing, at most half full. One thread's alone.
template <typename Value>
class ItemTable {
 public:
  // Forgets everything and makes room for `items_max` different items. Only as much of the memory
  // as they need is used, so that a small table stays in the cache.
  void Reset(size_t items_max) {
    for (const uint32_t slot : used_) slots_[slot] = Slot();
    used_.clear();
    const size_t size = std::bit_ceil(2 * items_max + 2);
    if (slots_.size() < size) slots_.resize(size);
    used_.reserve(items_max);
    shift_ = 64 - std::countr_zero(size);
    mask_ = static_cast<uint32_t>(size - 1);
  }

  void Prefetch(ItemIndex item) const { __builtin_prefetch(&slots_[SlotOf(item)], /*rw=*/1); }

  // Value() for an item that is new.
  Value& operator[](ItemIndex item) {
    uint32_t at = SlotOf(item);
    while (slots_[at].item != ToInt(item) && slots_[at].item != kVacant) at = (at + 1) & mask_;
    if (slots_[at].item == kVacant) {
      slots_[at].item = ToInt(item);
      used_.push_back(at);
    }
    return slots_[at].value;
  }

  // Null for an item that it does not have.
  const Value* Find(ItemIndex item) const {
    if (used_.empty()) return nullptr;
    uint32_t at = SlotOf(item);
    while (slots_[at].item != ToInt(item) && slots_[at].item != kVacant) at = (at + 1) & mask_;
    return slots_[at].item == kVacant ? nullptr : &slots_[at].value;
  }

  size_t size() const { return used_.size(); }

  // Calls `visit(item, value)` in the order in which the items came.
  template <typename Visit>
  void ForEach(const Visit& visit) const {
    for (const uint32_t slot : used_) visit(ItemIndex{slots_[slot].item}, slots_[slot].value);
  }

 private:
  static constexpr uint32_t kVacant = std::numeric_limits<uint32_t>::max();
  struct Slot {
    uint32_t item = kVacant;
    Value value{};
  };

  // Fibonacci hashing (Knuth, TAOCP 6.4): the top bits of a product with 2^64 / golden ratio.
  uint32_t SlotOf(ItemIndex item) const {
    return static_cast<uint32_t>(ToInt(item) * 0x9E3779B97F4A7C15u >> shift_);
  }

  std::vector<Slot> slots_;
  std::vector<uint32_t> used_;
  int shift_ = 64;
  uint32_t mask_ = 0;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_INDEX_ITEM_TABLE_H_
