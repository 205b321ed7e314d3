// The event ids of the log's entries in the database, by their hashes: GraphStore's, which has them
// for everybody else. docs/formats.md gives keys and values.
#ifndef GROUNDSWELL_GRAPH_STORE_EVENT_IDS_H_
#define GROUNDSWELL_GRAPH_STORE_EVENT_IDS_H_

#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "graph/ids.h"
#include "graph/log/log_entry.h"
#include "graph/store/database.h"

namespace groundswell {

// Where an event id was logged, and what was logged under it (ContentHashOf).
struct LoggedEventId {
  Offset offset = 0;
  uint64_t content_hash = 0;
};

void PutEventId(const EventIdHash& hash, const LoggedEventId& logged, const Database& database,
                Database::Batch& batch);
void DeleteEventId(const EventIdHash& hash, const Database& database, Database::Batch& batch);
absl::StatusOr<std::optional<LoggedEventId>> FindEventId(const EventIdHash& hash,
                                                         const Database& database);

// The ids of the entries before `offset` are not kept any more.
void PutEventIdsBegin(Offset offset, const Database& database, Database::Batch& batch);
// nullopt in a database of an older schema version.
absl::StatusOr<std::optional<Offset>> ReadEventIdsBegin(const Database& database);

// Into `batch`: the ids of entries behind `offset` are not known.
absl::Status ForgetEventIdsBehind(Offset offset, const Database& database, Database::Batch& batch);

// Rewrites the ids of a database of schema version 2, whose keys were the ids themselves; does
// nothing where that was done. An upgrade that was cut off goes on where it was.
absl::Status UpgradeEventIds(Database& database);

}  // namespace groundswell

#endif  // GROUNDSWELL_GRAPH_STORE_EVENT_IDS_H_
