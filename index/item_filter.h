// ItemFilter: which items a request may be answered with. A view, made per request without copying
// the user's history.
#ifndef GROUNDSWELL_INDEX_ITEM_FILTER_H_
#define GROUNDSWELL_INDEX_ITEM_FILTER_H_

#include <cstdint>
#include <span>
#include <vector>

#include "graph/catalogue.h"
#include "graph/ids.h"

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

  // Only items that are in the catalogue and were not removed.
  void RequireListed(const Catalogue& catalogue) { catalogue_ = &catalogue; }

  bool Admits(ItemIndex item) const;
  // True when no rule was given, so that a search need not ask item by item.
  bool AdmitsAll() const;

 private:
  const Catalogue* catalogue_ = nullptr;
  std::vector<std::span<const ItemIndex>> excluded_;
  bool restricted_ = false;
  std::span<const uint32_t> categories_;
  std::span<const uint32_t> category_of_item_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_INDEX_ITEM_FILTER_H_
