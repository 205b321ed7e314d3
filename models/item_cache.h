// ItemCache: what a ranker computes from an item's features alone, kept until they change.
//
// Thread-safe. Memory is bounded: an item has one slot, which it may share with others, and the
// newest stays.
#ifndef GROUNDSWELL_MODELS_ITEM_CACHE_H_
#define GROUNDSWELL_MODELS_ITEM_CACHE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

namespace groundswell {

class ItemCache {
 public:
  // Vectors of `width` floats of up to `items` items, in at most `bytes_max` bytes; too little for
  // one: keeps nothing. Memory is taken by the slots that are written or touched.
  ItemCache(size_t items, size_t width, size_t bytes_max);

  // Takes the memory of the first items' slots now: the first requests would wait for a page at
  // each of their candidates, 20 ms and more. Before the cache is used.
  void Touch(size_t items);

  // The vectors of `items` of these versions, one per row of `out` (n x width). Appends the
  // positions of those that are not there, whose rows stay as they are, to `missing`.
  void Read(std::span<const uint32_t> items, std::span<const int64_t> versions,
            std::span<float> out, std::vector<uint32_t>& missing) const;

  // Keeps the vector of an item, made from features that are at least as new as `version`.
  void Write(uint32_t item, int64_t version, std::span<const float> vector);

 private:
  static constexpr size_t kStripes = 1024;

  // At the begin of a slot; the vector follows.
  struct Tag {
    int64_t version;
    uint64_t item;  // from 1; 0: nothing is kept
  };
  struct Free {
    void operator()(std::byte* slots) const { std::free(slots); }
  };

  std::byte* SlotOf(uint32_t item) const { return slots_.get() + item % slot_count_ * slot_bytes_; }
  std::mutex& StripeOf(uint32_t item) const { return stripes_[item % slot_count_ % kStripes]; }

  const size_t width_;
  const size_t slot_bytes_;
  const size_t slot_count_;
  std::unique_ptr<std::byte[], Free> slots_;
  mutable std::array<std::mutex, kStripes> stripes_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_ITEM_CACHE_H_
