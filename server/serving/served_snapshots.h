// Which snapshots served, and from which directories they came: what can be served again.
//
// Stored in the database beside the log. The snapshots themselves stay where they are; a directory
// that is gone, or holds another snapshot by now, cannot be rolled back to.
#ifndef GROUNDSWELL_SERVER_SERVING_SERVED_SNAPSHOTS_H_
#define GROUNDSWELL_SERVER_SERVING_SERVED_SNAPSHOTS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "graph/store/store.h"

namespace groundswell {

// The oldest ones are forgotten.
inline constexpr size_t kServedSnapshotsMax = 20;

struct ServedSnapshot {
  std::string digest;
  std::string version;           // "name@version"
  std::string directory;         // absolute
  int64_t activate_time_us = 0;  // when it last began to serve, or was imported
};

// The newest activation first; each snapshot once. DataLoss when that is not what was written.
absl::StatusOr<std::vector<ServedSnapshot>> ReadServedSnapshots(const GraphStore& store);

// Into `batch`: `served`, which is to be the batch's newest snapshot, before those of `before`.
void PutServedSnapshot(const ServedSnapshot& served, std::vector<ServedSnapshot> before,
                       GraphStore::Batch& batch);

// Whether the directory still holds the manifest of this snapshot.
bool IsStillThere(const ServedSnapshot& served);

// The one that served before the snapshot with this digest. FailedPrecondition when there was none,
// or its directory does not hold it any more.
absl::StatusOr<ServedSnapshot> ServedBefore(const std::string& digest, const GraphStore& store);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_SERVING_SERVED_SNAPSHOTS_H_
