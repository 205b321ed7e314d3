// Catalogue: ids, titles and categories of the items, in memory.
//
// Items are only ever added, and marked as removed: an index means the same item for the life of a
// catalogue. An item that comes back after its removal is a new one with a new index.
#ifndef GROUNDSWELL_GRAPH_CATALOGUE_H_
#define GROUNDSWELL_GRAPH_CATALOGUE_H_

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
#include "graph/mutex.h"

namespace groundswell {

// Thread-safety: Add and Remove by one thread, beside any number of readers. Views and spans stay
// valid as long as the catalogue.
class Catalogue {
 public:
  // Room for `capacity` items, reserved at once so that nothing moves under a reader.
  explicit Catalogue(size_t capacity);

  // Items get their indices in the order of the calls. False, and nothing added, when it is full.
  // REQUIRES: no item of this id that was not removed.
  bool Add(std::string id, std::string title, std::string_view category);
  // Ends the loading: readers may come. Find takes a lock only for items added after this.
  void FinishLoading() { loading_ = false; }
  // From now on Find does not know it.
  void Remove(ItemIndex item);

  size_t size() const { return size_.load(std::memory_order_acquire); }
  size_t capacity() const { return capacity_; }
  // Items that were not removed.
  size_t live_count() const { return size() - removed_count_.load(std::memory_order_relaxed); }

  std::optional<ItemIndex> Find(std::string_view id) const;
  bool IsRemoved(ItemIndex item) const {
    return removed_[ToInt(item)].load(std::memory_order_relaxed);
  }
  std::string_view Id(ItemIndex item) const { return items_[ToInt(item)].id; }
  std::string_view Title(ItemIndex item) const { return items_[ToInt(item)].title; }
  std::string_view Category(ItemIndex item) const { return items_[ToInt(item)].category; }

  // Categories are numbered in the order in which items bring them.
  std::optional<uint32_t> FindCategory(std::string_view category) const;
  size_t category_count() const;
  // Of every item that there is now.
  std::span<const uint32_t> category_of_item() const { return {category_of_item_.data(), size()}; }

 private:
  struct Item {
    std::string id;
    std::string title;
    std::string_view category;  // into categories_
  };
  // Looked up by view, without making a string.
  struct ViewHash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  using IndexByName = absl::flat_hash_map<std::string, uint32_t, ViewHash, std::equal_to<>>;

  const size_t capacity_;
  std::atomic<size_t> size_{0};
  std::atomic<size_t> removed_count_{0};
  std::vector<Item> items_;                 // never beyond its reserved capacity
  std::vector<uint32_t> category_of_item_;  // likewise
  std::unique_ptr<std::atomic<bool>[]> removed_;
  bool loading_ = true;       // the writer's alone
  IndexByName loaded_by_id_;  // constant once loaded
  std::atomic<size_t> added_count_{0};
  mutable Mutex mutex_;
  IndexByName added_by_id_ ABSL_GUARDED_BY(mutex_);
  // The names are stored apart, so that views of them outlive a rehash.
  std::vector<std::unique_ptr<std::string>> categories_ ABSL_GUARDED_BY(mutex_);
  IndexByName category_by_name_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace groundswell

#endif  // GROUNDSWELL_GRAPH_CATALOGUE_H_
