// What the admin service demands of its requests. Errors name the field, its value and what would
// be right.
#ifndef GROUNDSWELL_SERVER_ADMIN_ADMIN_CHECKS_H_
#define GROUNDSWELL_SERVER_ADMIN_ADMIN_CHECKS_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "graph/log/log_entry.h"
#include "groundswell/v1/admin.pb.h"
#include "models/snapshot/snapshot.h"

namespace groundswell {

// Of an entry of the log, which are told apart by it: the id of its request, or one of its own
// where the request has none.
std::string EventIdOf(const std::string& request_id);

absl::Status CheckDirectory(std::string_view directory);

// What is to be logged, in the terms of the snapshot that serves, but without an event id.
absl::StatusOr<UpsertItem> CheckUpsertItem(const v1::UpsertItemRequest& request,
                                           const Snapshot& snapshot);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_ADMIN_ADMIN_CHECKS_H_
