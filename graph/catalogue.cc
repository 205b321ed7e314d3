#include "graph/catalogue.h"

#include <utility>

namespace groundswell {

Catalogue::Catalogue(size_t capacity)
    : capacity_(capacity), removed_(std::make_unique<std::atomic<bool>[]>(capacity)) {
  items_.reserve(capacity);
  category_of_item_.reserve(capacity);
}

bool Catalogue::Add(std::string id, std::string title, std::string_view category) {
  const size_t index = size_.load(std::memory_order_relaxed);
  if (index == capacity_) return false;
  MutexLock lock(mutex_);
  const auto [at, is_new] =
      category_by_name_.try_emplace(category, static_cast<uint32_t>(categories_.size()));
  if (is_new) categories_.push_back(std::make_unique<std::string>(category));
  category_of_item_.push_back(at->second);
  (loading_ ? loaded_by_id_ : added_by_id_).insert_or_assign(id, static_cast<uint32_t>(index));
  items_.push_back({std::move(id), std::move(title), *categories_[at->second]});
  size_.store(index + 1, std::memory_order_release);
  if (!loading_) added_count_.fetch_add(1, std::memory_order_release);
  return true;
}

void Catalogue::Remove(ItemIndex item) {
  if (removed_[ToInt(item)].exchange(true, std::memory_order_relaxed)) return;
  removed_count_.fetch_add(1, std::memory_order_relaxed);
}

std::optional<ItemIndex> Catalogue::Find(std::string_view id) const {
  if (added_count_.load(std::memory_order_acquire) > 0) {
    MutexLock lock(mutex_);
    const auto at = added_by_id_.find(id);
    if (at != added_by_id_.end() && !IsRemoved(ItemIndex{at->second})) return ItemIndex{at->second};
  }
  const auto at = loaded_by_id_.find(id);
  if (at == loaded_by_id_.end() || IsRemoved(ItemIndex{at->second})) return std::nullopt;
  return ItemIndex{at->second};
}

size_t Catalogue::category_count() const {
  MutexLock lock(mutex_);
  return categories_.size();
}

std::optional<uint32_t> Catalogue::FindCategory(std::string_view category) const {
  MutexLock lock(mutex_);
  const auto at = category_by_name_.find(category);
  if (at == category_by_name_.end()) return std::nullopt;
  return at->second;
}

}  // namespace groundswell
