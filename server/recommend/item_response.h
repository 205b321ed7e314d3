// Items of the catalogue as the API shows them.
#ifndef GROUNDSWELL_SERVER_RECOMMEND_ITEM_RESPONSE_H_
#define GROUNDSWELL_SERVER_RECOMMEND_ITEM_RESPONSE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "graph/ids.h"
#include "groundswell/v1/admin.pb.h"
#include "groundswell/v1/catalogue.pb.h"
#include "server/pipeline/live_state.h"

namespace groundswell {

void WriteCatalogueItem(const LiveState& state, ItemIndex item, int64_t now_us,
                        v1::CatalogueItem& out);

// Everything that is known of it, into an empty response. `rules`: those of its namespace.
void WriteItemDetails(const LiveState& state, const v1::ListRules& rules, ItemIndex item,
                      int64_t now_us, v1::GetItemResponse& response);

// Of an item that was removed: its id, and that it was.
void WriteRemovedItem(const LiveState& state, const std::string& item_id,
                      v1::GetItemResponse& response);

// Those of `items` that were not removed meanwhile.
void WriteItemPage(const LiveState& state, std::span<const ItemIndex> items, int64_t now_us,
                   v1::ListItemsResponse& response);

// The categories from `begin` on, with their counts of items.
void WriteCategoryPage(const LiveState& state, size_t begin, std::span<const size_t> item_counts,
                       v1::ListCategoriesResponse& response);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_RECOMMEND_ITEM_RESPONSE_H_
