// ItemFilter: which items a request may be answered with. A view, made per request without copying
// the user's history; asking it about an item takes some nanoseconds.
#ifndef GROUNDSWELL_INDEX_ITEM_FILTER_H_
#define GROUNDSWELL_INDEX_ITEM_FILTER_H_

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "graph/ids.h"
#include "graph/state/catalogue.h"

namespace groundswell {

class ItemFilter {
 public:
  // Admits everything.
  ItemFilter() = default;

  // The rules, combined with "and"; each view must outlive the filter. Set before use, then const
  // and thread-safe.
  //
  // Leaves these out; call it once per list. Ascending, repeats allowed.
  void Exclude(std::span<const ItemIndex> sorted_items);
  // Only items whose category is one of `categories` (at most 32), looked up in `category_of_item`.
  // No category at all admits nothing, and so does an item outside `category_of_item`.
  void RestrictToCategories(std::span<const uint32_t> categories,
                            std::span<const uint32_t> category_of_item);

  // Only items that are in the catalogue, were not removed, and may be answered at this time.
  void RequireAvailable(const Catalogue& catalogue, int64_t now_us) {
    catalogue_ = &catalogue;
    now_us_ = now_us;
  }

  bool Admits(ItemIndex item) const;
  // An upper bound of the listed items that it leaves out; nothing when it may be most of them. For
  // a search that would rather fetch some more than ask item by item.
  std::optional<size_t> RejectsAtMost() const;

 private:
  // 2 KB: with 500 items excluded, 3 of 100 others are looked up for nothing.
  static constexpr size_t kExcludedBits = 16'384;

  const Catalogue* catalogue_ = nullptr;
  int64_t now_us_ = 0;
  std::vector<std::span<const ItemIndex>> excluded_;
  // One bit of each excluded item: where it is not set, the lists need not be searched.
  std::bitset<kExcludedBits> excluded_bits_;
  bool restricted_ = false;
  std::vector<bool> is_wanted_category_;  // by category, as far as the highest one wanted
  std::span<const uint32_t> category_of_item_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_INDEX_ITEM_FILTER_H_
