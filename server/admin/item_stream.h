// The UpsertItems stream: batches of items in, answers in their order out, one batch at a time.
#ifndef GROUNDSWELL_SERVER_ADMIN_ITEM_STREAM_H_
#define GROUNDSWELL_SERVER_ADMIN_ITEM_STREAM_H_

#include <cstddef>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "graph/ids.h"
#include "graph/log/interaction_log.h"
#include "graph/log/log_entry.h"
#include "groundswell/v1/admin.pb.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/server_callback.h"
#include "server/ingest/ingest_stream.h"
#include "server/ingest/new_item_room.h"
#include "server/process/metrics.h"
#include "server/rpc/access.h"
#include "server/serving/serving_state.h"

namespace groundswell {

// Requests of a batch.
inline constexpr size_t kUpsertedItemsMax = 1'000;

// What the way of an item from a call to the log goes through; all must outlive the calls.
struct ItemParts {
  const AccessControl& access;
  InteractionLog& log;
  const ServingCell& serving;
  NewItemRoom& new_items;
  RequestMetrics& metrics;
  OpenStreams& streams;
  const std::string name_space;
};

// An item that may go to the log. One that the catalogue does not know has a place in `new_items`,
// and has to be settled there.
struct AdmittedItem {
  UpsertItem item;
  std::optional<ItemIndex> known;
};

// CheckUpsertItem, and that there is room: ResourceExhausted, reason CATALOGUE_FULL, when there is
// none.
absl::StatusOr<AdmittedItem> AdmitItem(const v1::UpsertItemRequest& request,
                                       const ServingState& state, NewItemRoom& new_items);

// One stream of UpsertItemsRequest and UpsertItemsResponse, serialized, from now to its end. The
// reactor deletes itself.
grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* StartItemStream(
    const ItemParts& parts, const grpc::CallbackServerContext& context);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_ADMIN_ITEM_STREAM_H_
