// Removals: the way of a ForgetUser or a RemoveItem, from the request to its receipt.
//
//   log (durable) -> fold takes it out of the graph -> background takes the ids out of the log
#ifndef GROUNDSWELL_SERVER_INGEST_REMOVALS_H_
#define GROUNDSWELL_SERVER_INGEST_REMOVALS_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "graph/log/interaction_log.h"
#include "graph/store/store.h"
#include "groundswell/v1/interaction.pb.h"
#include "server/serving/background.h"
#include "server/serving/graph_jobs.h"
#include "server/serving/serving_state.h"

namespace groundswell {

// Thread-safe.
class Removals {
 public:
  // Called once, from any thread.
  using Done = std::function<void(absl::StatusOr<v1::RemovalReceipt>)>;

  // All references must outlive the removals; `background` what they began.
  // The server's clock may be `clock_ahead_max` after the newest interaction, and as much more as
  // every interaction was behind it when it was received; nullopt: any time.
  Removals(InteractionLog& log, const GraphStore& store, const ServingCell& serving,
           BackgroundThread& background, GraphJobs& jobs,
           std::optional<std::chrono::seconds> clock_ahead_max = std::nullopt);

  // `entry` is a ForgetUser or a RemoveItem. FailedPrecondition, reason CLOCK_AHEAD, when its time,
  // by the server's clock, cannot be right; AlreadyExists when its id is that of another, different
  // entry; DeadlineExceeded when the receipt is not ready at `deadline`; what was begun is finished
  // all the same.
  void Remove(LogEntry entry, std::chrono::steady_clock::time_point deadline, Done done);

 private:
  absl::Status CheckTime(int64_t time_us) const;
  absl::StatusOr<v1::RemovalReceipt> ReadReceipt(Tombstone::Kind kind, const IdHash& hash) const;

  InteractionLog& log_;
  const GraphStore& store_;
  const ServingCell& serving_;
  BackgroundThread& background_;
  GraphJobs& jobs_;
  const std::optional<std::chrono::seconds> clock_ahead_max_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_INGEST_REMOVALS_H_
