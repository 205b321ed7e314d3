#include "index/item_filter.h"

#include <algorithm>

namespace groundswell {

void ItemFilter::Exclude(std::span<const ItemIndex> sorted_items) {
  if (sorted_items.empty()) return;
  excluded_.push_back(sorted_items);
  for (const ItemIndex item : sorted_items) excluded_bits_.set(ToInt(item) % kExcludedBits);
}

void ItemFilter::RestrictToCategories(std::span<const uint32_t> categories,
                                      std::span<const uint32_t> category_of_item) {
  restricted_ = true;
  is_wanted_category_.assign(categories.empty() ? 0 : size_t{std::ranges::max(categories)} + 1,
                             false);
  for (const uint32_t category : categories) is_wanted_category_[category] = true;
  category_of_item_ = category_of_item;
}

bool ItemFilter::Admits(ItemIndex item) const {
  if (catalogue_ != nullptr &&
      (ToInt(item) >= catalogue_->size() || !catalogue_->IsAvailable(item, now_us_))) {
    return false;
  }
  if (restricted_) {
    if (ToInt(item) >= category_of_item_.size()) return false;
    const uint32_t category = CategoryIn(category_of_item_, item);
    if (category >= is_wanted_category_.size() || !is_wanted_category_[category]) return false;
  }
  if (!excluded_bits_.test(ToInt(item) % kExcludedBits)) return true;
  return std::ranges::none_of(excluded_, [item](std::span<const ItemIndex> items) {
    return std::ranges::binary_search(items, item);
  });
}

std::optional<size_t> ItemFilter::RejectsAtMost() const {
  if (restricted_) return std::nullopt;
  size_t rejects = catalogue_ == nullptr ? 0 : catalogue_->unavailable_max();
  for (const std::span<const ItemIndex> items : excluded_) rejects += items.size();
  return rejects;
}

}  // namespace groundswell
