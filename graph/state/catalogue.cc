#include "graph/state/catalogue.h"

#include <utility>

namespace groundswell {

Catalogue::Catalogue(size_t capacity)
    : capacity_(capacity),
      flags_(std::make_unique<std::atomic<uint8_t>[]>(capacity)),
      availability_(std::make_unique<AtomicAvailability[]>(capacity)) {
  items_.reserve(capacity);
  category_of_item_.reserve(capacity);
}

bool Catalogue::Add(std::string id, std::string title, std::string_view category) {
  const size_t index = size_.load(std::memory_order_relaxed);
  if (index == capacity_) return false;
  MutexLock lock(mutex_);
  const uint32_t number = NumberOf(category);
  category_of_item_.push_back(number);
  (loading_ ? loaded_by_id_ : added_by_id_).insert_or_assign(id, static_cast<uint32_t>(index));
  items_.push_back({std::move(id), {std::move(title), *categories_[number]}});
  // In this order: who has read the size finds the item.
  if (!loading_) added_count_.fetch_add(1, std::memory_order_release);
  size_.store(index + 1, std::memory_order_release);
  return true;
}

uint32_t Catalogue::NumberOf(std::string_view category) {
  const auto [at, is_new] =
      category_by_name_.try_emplace(category, static_cast<uint32_t>(categories_.size()));
  if (is_new) categories_.push_back(std::make_unique<std::string>(category));
  return at->second;
}

bool Catalogue::Set(Flag flag, ItemIndex item) {
  return (flags_[ToInt(item)].fetch_or(flag, std::memory_order_release) & flag) == 0;
}

void Catalogue::Update(ItemIndex item, std::string title, std::string_view category) {
  MutexLock lock(mutex_);
  const uint32_t number = NumberOf(category);
  updated_[item] = {.title = std::move(title), .category = *categories_[number]};
  std::atomic_ref(category_of_item_[ToInt(item)]).store(number, std::memory_order_relaxed);
  Set(kUpdated, item);
}

void Catalogue::SetAvailability(ItemIndex item, const Availability& availability) {
  if (availability == Availability() && (FlagsOf(item) & kLimited) == 0) return;
  AtomicAvailability& times = availability_[ToInt(item)];
  times.from_us.store(availability.from_us, std::memory_order_relaxed);
  times.until_us.store(availability.until_us, std::memory_order_relaxed);
  if (Set(kLimited, item)) unavailable_max_.fetch_add(1, std::memory_order_relaxed);
}

void Catalogue::Remove(ItemIndex item) {
  if (Set(kRemoved, item)) unavailable_max_.fetch_add(1, std::memory_order_relaxed);
}

bool Catalogue::IsAvailable(ItemIndex item, int64_t now_us) const {
  const uint8_t flags = FlagsOf(item);
  if ((flags & kRemoved) != 0) return false;
  if ((flags & kLimited) == 0) return true;
  const AtomicAvailability& times = availability_[ToInt(item)];
  return times.from_us.load(std::memory_order_relaxed) <= now_us &&
         now_us < times.until_us.load(std::memory_order_relaxed);
}

Availability Catalogue::AvailabilityOf(ItemIndex item) const {
  if ((FlagsOf(item) & kLimited) == 0) return {};
  const AtomicAvailability& times = availability_[ToInt(item)];
  return {.from_us = times.from_us.load(std::memory_order_relaxed),
          .until_us = times.until_us.load(std::memory_order_relaxed)};
}

std::string Catalogue::Title(ItemIndex item) const {
  if ((FlagsOf(item) & kUpdated) == 0) return items_[ToInt(item)].details.title;
  MutexLock lock(mutex_);
  return updated_.at(item).title;
}

std::string_view Catalogue::Category(ItemIndex item) const {
  if ((FlagsOf(item) & kUpdated) == 0) return items_[ToInt(item)].details.category;
  MutexLock lock(mutex_);
  return updated_.at(item).category;
}

uint32_t Catalogue::CategoryNumber(ItemIndex item) const {
  return CategoryIn(category_of_item(), item);
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

std::string_view Catalogue::CategoryName(uint32_t number) const {
  MutexLock lock(mutex_);
  return *categories_[number];
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
