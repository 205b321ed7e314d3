// Redaction: takes the ids of forgotten users and removed items out of what the log can be read to
// say. Records keep their offsets.
#ifndef GROUNDSWELL_GRAPH_UPKEEP_REDACTION_H_
#define GROUNDSWELL_GRAPH_UPKEEP_REDACTION_H_

#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "graph/store/store.h"

namespace groundswell {

// Redacts, in one pass over the log, for every tombstone that is not redacted yet, and marks those.
// Every generation must have applied the log up to their offsets. Returns the records that were
// redacted. Those of a tombstone that was replaced meanwhile, as by a second removal, are redacted
// by the next call. Cancelled when `keep_going` answers false: the next call begins anew.
absl::StatusOr<int64_t> RedactLog(GraphStore& store, Offset begin,
                                  const std::function<bool()>& keep_going);

}  // namespace groundswell

#endif  // GROUNDSWELL_GRAPH_UPKEEP_REDACTION_H_
