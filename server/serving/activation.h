// Activation: another snapshot is made ready beside the one that serves, and takes its place.
//
//   check the directory and score its examples -> log the activation -> copy the adjacency as of
//   that entry, with the new snapshot's indices and clusters -> load graph and index -> catch up
//   with the log -> swap
#ifndef GROUNDSWELL_SERVER_SERVING_ACTIVATION_H_
#define GROUNDSWELL_SERVER_SERVING_ACTIVATION_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "graph/mutex.h"
#include "graph/store/rocksdb_log.h"
#include "graph/store/store.h"
#include "server/serving/load_state.h"
#include "server/serving/serving_state.h"
#include "server/serving/snapshot_staging.h"

namespace groundswell {

// Where the serving applier says that it reached the entry that asks for a snapshot. Thread-safe.
class ActivationPoint {
 public:
  // From here on, the activation of this snapshot is awaited.
  void Expect(const std::string& snapshot_digest);
  // From the applier, when exactly the entries up to the activation are applied; see
  // Applier::Options::on_activate.
  void Reached(const ActivateSnapshot& activation, const GraphStore& store);
  // The store as it was when the expected activation was reached; nullptr when it is to stop first.
  GraphStore::Moment Await(const std::stop_token& stop);

 private:
  Mutex mutex_;
  CondVar changed_;
  std::string expected_ ABSL_GUARDED_BY(mutex_);
  GraphStore::Moment moment_ ABSL_GUARDED_BY(mutex_);
};

struct ActivationContext {
  GraphStore& store;
  RocksdbLog& log;
  ServingCell& serving;
  ActivationPoint& point;
  LoadOptions load;
  // Gives a loaded state its applier (which begins to catch up) and its pipeline.
  std::function<absl::Status(ServingState&, const std::function<bool()>& cancelled)> start;
  // Told that `state` serves from now on.
  std::function<void(const ServingState& state)> on_served;
  std::function<int64_t()> now_us;  // the clock, in microseconds since 1970
};

// What is to serve.
struct Activated {
  std::string directory;
  std::string digest;  // of the snapshot that the directory must hold; empty: whichever it holds
};

// The snapshot in `directory`, which could be activated. Errors of CheckSnapshot;
// FailedPrecondition when its graph_offset is beyond what the log has, for what was removed until
// then counts as known to the snapshot. With `without_snapshot`, where none serves, likewise for an
// empty log: what the snapshot was trained on would be missing from the graph.
absl::StatusOr<CheckedSnapshot> CheckToActivate(const std::string& directory,
                                                const GraphStore& store,
                                                bool without_snapshot = false);

// Makes the snapshot in the directory serve. AlreadyExists when it does, and when the log has
// `event_id` already (EVENT_ID_REUSED); ResourceExhausted (LOG_FULL) when it has no room;
// FailedPrecondition when the directory holds another snapshot than it must. On an error, or when
// it is to stop, everything is as before. On the background thread, after which nothing of the old
// state is left.
absl::StatusOr<std::shared_ptr<ServingState>> ActivateSnapshotFrom(const Activated& activated,
                                                                   const std::string& event_id,
                                                                   const ActivationContext& context,
                                                                   const std::stop_token& stop);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_SERVING_ACTIVATION_H_
