#include "server/recommend/item_response.h"

#include <algorithm>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "server/rpc/api_time.h"

namespace groundswell {
namespace {

v1::ItemVector VectorOfItem(const EmbeddingIndex& index, ItemIndex item) {
  const EmbeddingIndex::View now = index.Now();
  const EmbeddingIndex::View trained = index.Trained();
  const std::span<const float> vector = now.VectorOf(item);
  if (vector.empty()) return v1::ITEM_VECTOR_NONE;
  return std::ranges::equal(vector, trained.VectorOf(item)) ? v1::ITEM_VECTOR_TRAINED
                                                            : v1::ITEM_VECTOR_LIVE;
}

bool Concerns(const v1::ListRule& rule, std::string_view item_id, std::string_view category) {
  if (rule.has_pin()) return rule.pin().item_id() == item_id;
  if (rule.boost().target_case() == v1::BoostItems::kCategory) {
    return rule.boost().category() == category;
  }
  return rule.boost().item_id() == item_id;
}

// Their number, and when the newest of them took the item.
void WriteUsers(const NeighborLists& users_of_items, ItemIndex item,
                v1::GetItemResponse& response) {
  while (true) {
    const NeighborLists::List users = users_of_items.Find(ToInt(item));
    response.set_user_count(static_cast<int64_t>(users.size()));
    if (users.size() == 0) return;
    const auto newest = NeighborLists::Read(users, users.size() - 1);
    if (!newest.has_value()) continue;  // the list moved
    response.mutable_last_interaction_time()->set_seconds(newest->time_s);
    return;
  }
}

}  // namespace

void WriteCatalogueItem(const LiveState& state, ItemIndex item, int64_t now_us,
                        v1::CatalogueItem& out) {
  const Catalogue& catalogue = *state.catalogue;
  out.set_item_id(std::string(catalogue.Id(item)));
  out.set_title(catalogue.Title(item));
  out.set_category(std::string(catalogue.Category(item)));
  out.set_state(catalogue.IsAvailable(item, now_us) ? v1::ITEM_STATE_ACTIVE
                                                    : v1::ITEM_STATE_NOT_AVAILABLE);
  out.set_created(ToInt(item) >= state.snapshot->manifest().items);
  const Availability availability = catalogue.AvailabilityOf(item);
  const Availability always;
  if (availability.from_us != always.from_us) {
    *out.mutable_available_from() = ToTimestamp(availability.from_us);
  }
  if (availability.until_us != always.until_us) {
    *out.mutable_available_until() = ToTimestamp(availability.until_us);
  }
}

void WriteItemDetails(const LiveState& state, const v1::ListRules& rules, ItemIndex item,
                      int64_t now_us, v1::GetItemResponse& response) {
  constexpr uint32_t kNobody = std::numeric_limits<uint32_t>::max();
  response.set_applied_offset(state.applier->applied_offset());  // before what it is to contain
  WriteCatalogueItem(state, item, now_us, *response.mutable_item());
  response.set_item_cluster(static_cast<int32_t>(state.graph->ClusterOf(item)));
  const ItemState& rows = state.graph->items();
  std::vector<uint32_t> newest_users(rows.shape().recent_len);
  rows.ReadRows({&item, 1}, {}, {}, newest_users, kNobody);
  response.set_newest_user_count(static_cast<int32_t>(
      newest_users.size() - static_cast<size_t>(std::ranges::count(newest_users, kNobody))));
  response.set_total_count(rows.Total(item));
  WriteUsers(state.adjacency->users_of_items(), item, response);
  response.set_vector(VectorOfItem(*state.embedding_index, item));
  for (const v1::ListRule& rule : rules.rules()) {
    if (Concerns(rule, response.item().item_id(), response.item().category())) {
      response.add_rule_names(rule.name());
    }
  }
  response.set_snapshot_version(state.snapshot->manifest().FullVersion());
}

void WriteRemovedItem(const LiveState& state, const std::string& item_id,
                      v1::GetItemResponse& response) {
  response.mutable_item()->set_item_id(item_id);
  response.mutable_item()->set_state(v1::ITEM_STATE_REMOVED);
  response.set_snapshot_version(state.snapshot->manifest().FullVersion());
  response.set_applied_offset(state.applier->applied_offset());
}

void WriteItemPage(const LiveState& state, std::span<const ItemIndex> items, int64_t now_us,
                   v1::ListItemsResponse& response) {
  for (const ItemIndex item : items) {
    WriteCatalogueItem(state, item, now_us, *response.add_items());
    if (state.catalogue->IsRemoved(item)) response.mutable_items()->RemoveLast();  // meanwhile
  }
  response.set_snapshot_version(state.snapshot->manifest().FullVersion());
}

void WriteCategoryPage(const LiveState& state, size_t begin, std::span<const size_t> item_counts,
                       v1::ListCategoriesResponse& response) {
  for (size_t at = 0; at < item_counts.size(); ++at) {
    v1::CatalogueCategory& category = *response.add_categories();
    const auto number = static_cast<uint32_t>(begin + at);
    category.set_category(std::string(state.catalogue->CategoryName(number)));
    category.set_item_count(static_cast<int64_t>(item_counts[at]));
  }
  response.set_snapshot_version(state.snapshot->manifest().FullVersion());
}

}  // namespace groundswell
