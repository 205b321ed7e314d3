// Items of the catalogue as the API shows them.
#ifndef GROUNDSWELL_SERVER_RECOMMEND_ITEM_RESPONSE_H_
#define GROUNDSWELL_SERVER_RECOMMEND_ITEM_RESPONSE_H_

#include <cstdint>

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

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_RECOMMEND_ITEM_RESPONSE_H_
