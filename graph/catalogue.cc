#include "graph/catalogue.h"

#include <utility>

namespace groundswell {

void Catalogue::Add(std::string id, std::string title, std::string_view category) {
  const auto [at, is_new] =
      category_by_name_.try_emplace(category, static_cast<uint32_t>(categories_.size()));
  if (is_new) categories_.emplace_back(category);
  category_of_item_.push_back(at->second);
  item_by_id_.emplace(id, static_cast<uint32_t>(items_.size()));
  items_.push_back({std::move(id), std::move(title)});
}

std::optional<ItemIndex> Catalogue::Find(std::string_view id) const {
  const auto at = item_by_id_.find(id);
  if (at == item_by_id_.end()) return std::nullopt;
  return ItemIndex{at->second};
}

std::optional<uint32_t> Catalogue::FindCategory(std::string_view category) const {
  const auto at = category_by_name_.find(category);
  if (at == category_by_name_.end()) return std::nullopt;
  return at->second;
}

}  // namespace groundswell
