// What an operator is told of the server: its snapshots, its graph, checkpoints and verifications.
#ifndef GROUNDSWELL_SERVER_ADMIN_STATUS_RESPONSE_H_
#define GROUNDSWELL_SERVER_ADMIN_STATUS_RESPONSE_H_

#include "graph/store/rocksdb_log.h"
#include "graph/upkeep/verification.h"
#include "groundswell/v1/admin.pb.h"
#include "models/snapshot/snapshot.h"
#include "server/pipeline/live_state.h"
#include "server/serving/served_snapshots.h"

namespace groundswell {

void WriteSnapshot(const Snapshot& snapshot, v1::SnapshotInfo& out);

// `serves`: whether it does now. Whether another can serve again is looked up on the disk.
void WriteServed(const ServedSnapshot& served, bool serves, v1::ServedSnapshot& out);

// How far the graph of `state` is, and where `log`, which it is folded from, begins and ends.
void WriteGraph(const LiveState& state, const RocksdbLog& log, v1::GraphInfo& out);

void WriteCheckpoint(const CheckpointInfo& info, v1::Checkpoint& out);

void WriteVerification(const Verification& verified, v1::GraphVerification& out);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_ADMIN_STATUS_RESPONSE_H_
