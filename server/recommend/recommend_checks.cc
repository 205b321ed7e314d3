#include "server/recommend/recommend_checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "server/pipeline/retrieval.h"
#include "server/rpc/field_checks.h"
#include "server/rpc/status_details.h"

namespace groundswell {
absl::StatusOr<size_t> CheckPageSize(int32_t page_size) {
  if (page_size < 0) {
    return InvalidField(
        "page_size", std::to_string(page_size),
        fmt::format("must be 1 to {}, or 0 for {}", kPageSizeMax, kPageSizeDefault));
  }
  if (page_size == 0) return static_cast<size_t>(kPageSizeDefault);
  return static_cast<size_t>(std::min(page_size, kPageSizeMax));
}

absl::StatusOr<size_t> CheckExplainItems(int32_t explain_items) {
  if (explain_items < 0) {
    return InvalidField("explain_items", std::to_string(explain_items),
                        fmt::format("must be 1 to {}, or 0 for none", kExplainedItemsMax));
  }
  return std::min(static_cast<size_t>(explain_items), kExplainedItemsMax);
}

absl::StatusOr<ItemRules> CheckFilter(const v1::ItemFilter& filter, const Catalogue& catalogue,
                                      int64_t now_us) {
  if (static_cast<size_t>(filter.categories_size()) > kCategoriesMax) {
    return TooMany("filter.categories", filter.categories_size(), kCategoriesMax);
  }
  if (static_cast<size_t>(filter.excluded_item_ids_size()) > kExcludedItemsMax) {
    return TooMany("filter.excluded_item_ids", filter.excluded_item_ids_size(), kExcludedItemsMax);
  }
  ItemRules rules{.include_seen = filter.include_seen(), .now_us = now_us};
  for (const std::string& name : filter.categories()) {
    const std::optional<uint32_t> category = catalogue.FindCategory(name);
    if (!category.has_value()) {
      return InvalidField("filter.categories", name, "must be a category of the catalogue");
    }
    rules.categories.push_back(*category);
  }
  for (const std::string& id : filter.excluded_item_ids()) {
    if (absl::Status s = CheckId("filter.excluded_item_ids", id); !s.ok()) return s;
    const std::optional<ItemIndex> item = catalogue.Find(id);
    if (item.has_value()) rules.excluded.push_back(*item);
  }
  std::sort(rules.excluded.begin(), rules.excluded.end());
  return rules;
}

absl::StatusOr<uint32_t> CheckOnlySources(
    const google::protobuf::RepeatedField<int>& only_sources) {
  uint32_t bits = 0;
  for (const int named : only_sources) {
    const auto* const source = std::find_if(std::begin(kSources), std::end(kSources),
                                            [&](const auto& one) { return one.second == named; });
    const bool proposes =
        source != std::end(kSources) && (source->first & Retrieval::kSources) != 0;
    if (!proposes || (bits & source->first) != 0) {
      return InvalidField("only_sources",
                          v1::CandidateSource_IsValid(named) ? v1::CandidateSource_Name(named)
                                                             : std::to_string(named),
                          "must be a source that proposes candidates, and not be repeated");
    }
    bits |= source->first;
  }
  return bits;
}

absl::StatusOr<Diversity> CheckDiversity(const v1::ListDiversity& diversity) {
  if (!(diversity.strength() >= 0 && diversity.strength() <= 1)) {
    return InvalidField("diversity.strength", std::to_string(diversity.strength()),
                        "must be 0 to 1");
  }
  if (diversity.category_max() < 0) {
    return InvalidField("diversity.category_max", std::to_string(diversity.category_max()),
                        "must be at least 1, or 0 for any number");
  }
  return Diversity{.strength = static_cast<float>(diversity.strength()),
                   .category_max = static_cast<size_t>(diversity.category_max())};
}

absl::StatusOr<const Ranker*> CheckRanker(std::string_view ranker, const Snapshot& snapshot) {
  const Ranker* found = snapshot.FindRanker(ranker);
  if (found != nullptr || ranker.empty()) return found;
  std::string known;
  for (const auto& one : snapshot.rankers()) {
    known += (known.empty() ? "\"" : ", \"") + std::string(one->name()) + "\"";
  }
  return UnknownResource(
      "ranker", ranker, "RANKER_UNKNOWN",
      known.empty() ? std::string("the snapshot has no models") : "the snapshot has " + known);
}

}  // namespace groundswell
