#include "models/item_cache.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <new>

namespace groundswell {
namespace {

constexpr size_t kCacheLine = 64;
constexpr size_t kPage = 4096;
// Slots fetched ahead of the one at hand.
constexpr size_t kPrefetchAhead = 4;

void Prefetch(const std::byte* slot, size_t bytes) {
  for (size_t at = 0; at < bytes; at += kCacheLine) __builtin_prefetch(slot + at);
}

}  // namespace

// calloc, so that slots of nothing cost address space only.
ItemCache::ItemCache(size_t items, size_t width, size_t bytes_max)
    : width_(width),
      slot_bytes_((sizeof(Tag) + width * sizeof(float) + kCacheLine - 1) / kCacheLine * kCacheLine),
      slot_count_(std::min(items, bytes_max / slot_bytes_)) {
  if (slot_count_ == 0) return;
  slots_.reset(static_cast<std::byte*>(std::calloc(slot_count_, slot_bytes_)));
  if (slots_ == nullptr) throw std::bad_alloc();
  // Slots are met at random. Only whole pages can be advised, and it is only slower without.
  const auto begin = reinterpret_cast<uintptr_t>(slots_.get());
  const uintptr_t first_page = (begin + kPage - 1) / kPage * kPage;
  const uintptr_t end = begin + slot_count_ * slot_bytes_;
  if (end > first_page) {
    madvise(reinterpret_cast<void*>(first_page), end - first_page, MADV_HUGEPAGE);
  }
}

void ItemCache::Touch(size_t items) {
  const size_t bytes = std::min(items, slot_count_) * slot_bytes_;
  for (size_t at = 0; at < bytes; at += kPage) {
    *static_cast<volatile std::byte*>(slots_.get() + at) = std::byte{0};
  }
}

void ItemCache::Read(std::span<const uint32_t> items, std::span<const int64_t> versions,
                     std::span<float> out, std::vector<uint32_t>& missing) const {
  for (size_t i = 0; i < std::min(kPrefetchAhead, items.size()) && slot_count_ > 0; ++i) {
    Prefetch(SlotOf(items[i]), slot_bytes_);
  }
  for (size_t i = 0; i < items.size(); ++i) {
    if (slot_count_ == 0) {
      missing.push_back(static_cast<uint32_t>(i));
      continue;
    }
    if (i + kPrefetchAhead < items.size()) {
      Prefetch(SlotOf(items[i + kPrefetchAhead]), slot_bytes_);
    }
    const std::byte* slot = SlotOf(items[i]);
    const std::lock_guard lock(StripeOf(items[i]));
    Tag tag;
    std::memcpy(&tag, slot, sizeof(tag));
    if (tag.item == uint64_t{items[i]} + 1 && tag.version == versions[i]) {
      std::memcpy(out.data() + i * width_, slot + sizeof(tag), width_ * sizeof(float));
    } else {
      missing.push_back(static_cast<uint32_t>(i));
    }
  }
}

void ItemCache::Write(uint32_t item, int64_t version, std::span<const float> vector) {
  if (slot_count_ == 0) return;
  std::byte* slot = SlotOf(item);
  const Tag tag{.version = version, .item = uint64_t{item} + 1};
  const std::lock_guard lock(StripeOf(item));
  std::memcpy(slot, &tag, sizeof(tag));
  std::memcpy(slot + sizeof(tag), vector.data(), width_ * sizeof(float));
}

}  // namespace groundswell
