// Catalogue: ids, titles, categories and availability of the items, in memory.
//
// Items are only ever added, changed, and marked as removed: an index means the same item for the
// life of a catalogue. An item that comes back after its removal is a new one with a new index.
#ifndef GROUNDSWELL_GRAPH_STATE_CATALOGUE_H_
#define GROUNDSWELL_GRAPH_STATE_CATALOGUE_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "graph/ids.h"
#include "graph/log/availability.h"
#include "graph/mutex.h"

namespace groundswell {

// Thread-safety: what is not const by one thread, beside any number of readers. Views and spans
// stay valid as long as the catalogue.
class Catalogue {
 public:
  // Room for `capacity` items, reserved at once so that nothing moves under a reader.
  explicit Catalogue(size_t capacity);

  // Items get their indices in the order of the calls. False, and nothing added, when it is full.
  // REQUIRES: no item of this id that was not removed.
  bool Add(std::string id, std::string title, std::string_view category);
  // Ends the loading: readers may come. Find takes a lock only for items added after this.
  void FinishLoading() { loading_ = false; }
  // Replaces what Add said of it.
  void Update(ItemIndex item, std::string title, std::string_view category);
  void SetAvailability(ItemIndex item, const Availability& availability);
  // From now on Find does not know it.
  void Remove(ItemIndex item);

  size_t size() const { return size_.load(std::memory_order_acquire); }
  size_t capacity() const { return capacity_; }
  // At least as many as there are items that are removed, or not available at some time or other.
  size_t unavailable_max() const { return unavailable_max_.load(std::memory_order_relaxed); }

  std::optional<ItemIndex> Find(std::string_view id) const;
  bool IsRemoved(ItemIndex item) const { return (FlagsOf(item) & kRemoved) != 0; }
  // Not removed, and within its time.
  bool IsAvailable(ItemIndex item, int64_t now_us) const;
  std::string_view Id(ItemIndex item) const { return items_[ToInt(item)].id; }
  std::string Title(ItemIndex item) const;
  std::string_view Category(ItemIndex item) const;

  // Until it is limited, all time.
  Availability AvailabilityOf(ItemIndex item) const;

  // Categories are numbered in the order in which items bring them.
  std::optional<uint32_t> FindCategory(std::string_view category) const;
  size_t category_count() const;
  // REQUIRES: number < category_count().
  std::string_view CategoryName(uint32_t number) const;
  uint32_t CategoryNumber(ItemIndex item) const;
  // Of every item that there is now. A number may change meanwhile: see CategoryIn.
  std::span<const uint32_t> category_of_item() const { return {category_of_item_.data(), size()}; }

 private:
  struct Details {
    std::string title;
    std::string_view category;  // into categories_
  };
  struct Item {
    std::string id;
    Details details;  // as they were added
  };
  struct AtomicAvailability {
    std::atomic<int64_t> from_us{0};
    std::atomic<int64_t> until_us{0};
  };
  enum Flag : uint8_t { kRemoved = 1, kUpdated = 2, kLimited = 4 };
  // Looked up by view, without making a string.
  struct ViewHash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  using IndexByName = absl::flat_hash_map<std::string, uint32_t, ViewHash, std::equal_to<>>;

  uint8_t FlagsOf(ItemIndex item) const {
    return flags_[ToInt(item)].load(std::memory_order_acquire);
  }
  // True when it was not set before.
  bool Set(Flag flag, ItemIndex item);
  uint32_t NumberOf(std::string_view category) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const size_t capacity_;
  std::atomic<size_t> size_{0};
  std::atomic<size_t> unavailable_max_{0};
  std::vector<Item> items_;                        // never beyond its reserved capacity
  std::vector<uint32_t> category_of_item_;         // likewise
  std::unique_ptr<std::atomic<uint8_t>[]> flags_;  // of Flag
  // Meaningful for kLimited alone.
  std::unique_ptr<AtomicAvailability[]> availability_;
  bool loading_ = true;       // the writer's alone
  IndexByName loaded_by_id_;  // constant once loaded
  std::atomic<size_t> added_count_{0};
  mutable Mutex mutex_;
  IndexByName added_by_id_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<ItemIndex, Details> updated_ ABSL_GUARDED_BY(mutex_);  // of kUpdated
  // The names are stored apart, so that views of them outlive a rehash.
  std::vector<std::unique_ptr<std::string>> categories_ ABSL_GUARDED_BY(mutex_);
  IndexByName category_by_name_ ABSL_GUARDED_BY(mutex_);
};

// The number at `item` of category_of_item(), while the catalogue may give the item another one.
// atomic_ref has no const form in C++20; nothing is written. REQUIRES: item < the size.
inline uint32_t CategoryIn(std::span<const uint32_t> category_of_item, ItemIndex item) {
  return std::atomic_ref(const_cast<uint32_t&>(category_of_item[ToInt(item)]))
      .load(std::memory_order_relaxed);
}

}  // namespace groundswell

#endif  // GROUNDSWELL_GRAPH_STATE_CATALOGUE_H_
