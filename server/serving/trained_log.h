// TrainedLog: what an imported snapshot was trained on, where that is not the server's own log.
// Such interactions are counted by the snapshot's graph already; ingested, they would count twice.
#ifndef GROUNDSWELL_SERVER_SERVING_TRAINED_LOG_H_
#define GROUNDSWELL_SERVER_SERVING_TRAINED_LOG_H_

#include <cstdint>
#include <limits>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "graph/ids.h"
#include "graph/log/interaction.h"
#include "graph/store/store.h"

namespace groundswell {

struct TrainedLog {
  // The manifest's graph_offset of snapshots trained on what preceded the server's log: those of a
  // later one were trained on that.
  Offset offset = 0;
  // Time of the newest interaction in it.
  int64_t until_us = std::numeric_limits<int64_t>::min();
};

// Kept by later imports, and by everything else that replaces a snapshot.
void PutTrainedLog(const TrainedLog& trained, GraphStore::Batch& batch);
// One that holds nothing where none was put; DataLoss when it is damaged.
absl::StatusOr<TrainedLog> ReadTrainedLog(const GraphStore& store);

// InvalidArgument, reason ALREADY_TRAINED, for an interaction that the snapshot with this graph
// offset, or what was imported before it, has in its graph, by its time. A snapshot that ends
// before `trained` counts as one that was trained on that, too.
absl::Status CheckNotTrained(const TrainedLog& trained, Offset graph_offset,
                             const Interaction& interaction);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_SERVING_TRAINED_LOG_H_
