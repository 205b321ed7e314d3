// Catalogue: ids, titles and categories of the items, in memory.
#ifndef GROUNDSWELL_GRAPH_CATALOGUE_H_
#define GROUNDSWELL_GRAPH_CATALOGUE_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "graph/ids.h"

namespace groundswell {

// Immutable once filled; then thread-safe.
class Catalogue {
 public:
  // Items get their indices in the order of the calls.
  // REQUIRES: ids are unique.
  void Add(std::string id, std::string title, std::string_view category);

  size_t size() const { return items_.size(); }
  std::optional<ItemIndex> Find(std::string_view id) const;
  std::string_view Id(ItemIndex item) const { return items_[ToInt(item)].id; }
  std::string_view Title(ItemIndex item) const { return items_[ToInt(item)].title; }
  std::string_view Category(ItemIndex item) const {
    return categories_[category_of_item_[ToInt(item)]];
  }

  // Categories are numbered in the order in which items bring them.
  std::optional<uint32_t> FindCategory(std::string_view category) const;
  std::span<const uint32_t> category_of_item() const { return category_of_item_; }

 private:
  struct Item {
    std::string id;
    std::string title;
  };
  // Looked up by view, without making a string.
  struct ViewHash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  using IndexByName = absl::flat_hash_map<std::string, uint32_t, ViewHash, std::equal_to<>>;

  std::vector<Item> items_;
  std::vector<uint32_t> category_of_item_;
  std::vector<std::string> categories_;
  IndexByName item_by_id_;
  IndexByName category_by_name_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_GRAPH_CATALOGUE_H_
