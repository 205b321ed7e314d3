// AppliedRules: what the operator's rules say of one request, in the server's own terms.
#ifndef GROUNDSWELL_SERVER_PIPELINE_APPLIED_RULES_H_
#define GROUNDSWELL_SERVER_PIPELINE_APPLIED_RULES_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "graph/ids.h"
#include "graph/state/catalogue.h"

namespace groundswell {

struct Pin {
  ItemIndex item{};
  size_t place = 0;  // from 0
};

// Factors of the votes that order a list.
struct Boosts {
  // What several rules may come to together.
  static constexpr float kFactorMin = 0.01f;
  static constexpr float kFactorMax = 100.0f;

  absl::flat_hash_map<ItemIndex, float> of_item;
  absl::flat_hash_map<uint32_t, float> of_category;  // by number of the catalogue

  bool empty() const { return of_item.empty() && of_category.empty(); }
  // The product of the item's own and its category's.
  float Of(ItemIndex item, std::span<const uint32_t> category_of_item) const {
    float factor = 1;
    if (const auto at = of_item.find(item); at != of_item.end()) factor *= at->second;
    if (!of_category.empty() && ToInt(item) < category_of_item.size()) {
      const auto at = of_category.find(CategoryIn(category_of_item, item));
      if (at != of_category.end()) factor *= at->second;
    }
    return std::clamp(factor, kFactorMin, kFactorMax);
  }
};

struct AppliedRules {
  std::vector<Pin> pins;  // in the order of the rules
  Boosts boosts;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_PIPELINE_APPLIED_RULES_H_
