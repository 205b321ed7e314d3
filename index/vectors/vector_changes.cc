#include "index/vectors/vector_changes.h"

#include <algorithm>

namespace groundswell {

VectorChanges::VectorChanges(size_t capacity, size_t items_max, size_t dim)
    : capacity_(capacity),
      items_max_(items_max),
      dim_(dim),
      rows_(capacity * dim),
      changes_(capacity),
      newest_(std::make_unique<std::atomic<uint32_t>[]>(items_max)) {
  for (size_t i = 0; i < items_max; ++i) newest_[i].store(kNone, std::memory_order_relaxed);
}

bool VectorChanges::Append(ItemIndex item, std::span<const float> vector, uint64_t sequence) {
  const size_t number = size_.load(std::memory_order_relaxed);
  if (number == capacity_) return false;
  std::ranges::copy(vector, rows_.begin() + static_cast<ptrdiff_t>(number * dim_));
  const uint32_t previous = newest_[ToInt(item)].load(std::memory_order_relaxed);
  changes_[number] = {
      .item = item, .previous = previous, .sequence = sequence, .withdrawn = vector.empty()};
  if (previous == kNone) changed_items_.fetch_add(1, std::memory_order_relaxed);
  // In this order: who sees the new length must find the change, and who finds the change before
  // the new length steps back over it, for which it must be written.
  newest_[ToInt(item)].store(static_cast<uint32_t>(number), std::memory_order_release);
  size_.store(number + 1, std::memory_order_release);
  return true;
}

size_t VectorChanges::bytes() const {
  return capacity_ * (dim_ * sizeof(float) + sizeof(Change)) + items_max_ * sizeof(uint32_t);
}

}  // namespace groundswell
