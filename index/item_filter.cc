#include "index/item_filter.h"

#include <algorithm>

namespace groundswell {

void ItemFilter::Exclude(std::span<const ItemIndex> sorted_items) {
  if (!sorted_items.empty()) excluded_.push_back(sorted_items);
}

void ItemFilter::RestrictToCategories(std::span<const uint32_t> categories,
                                      std::span<const uint32_t> category_of_item) {
  restricted_ = true;
  categories_ = categories;
  category_of_item_ = category_of_item;
}

bool ItemFilter::Admits(ItemIndex item) const {
  if (catalogue_ != nullptr && (ToInt(item) >= catalogue_->size() || catalogue_->IsRemoved(item))) {
    return false;
  }
  if (restricted_) {
    if (ToInt(item) >= category_of_item_.size()) return false;
    const uint32_t category = category_of_item_[ToInt(item)];
    if (std::ranges::find(categories_, category) == categories_.end()) return false;
  }
  return std::ranges::none_of(excluded_, [item](std::span<const ItemIndex> items) {
    return std::ranges::binary_search(items, item);
  });
}

bool ItemFilter::AdmitsAll() const {
  const bool all_listed = catalogue_ == nullptr || catalogue_->live_count() == catalogue_->size();
  return all_listed && !restricted_ && excluded_.empty();
}

}  // namespace groundswell
