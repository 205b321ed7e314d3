// GraphJobs: what is done to the live graph and its log beside serving, one job at a time, on the
// background thread.
#ifndef GROUNDSWELL_SERVER_SERVING_GRAPH_JOBS_H_
#define GROUNDSWELL_SERVER_SERVING_GRAPH_JOBS_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "graph/store/rocksdb_log.h"
#include "graph/store/store.h"
#include "graph/upkeep/checkpoint.h"
#include "graph/upkeep/verification.h"
#include "server/process/metrics.h"
#include "server/serving/serving_state.h"

namespace groundswell {

class GraphJobs {
 public:
  struct Options {
    // What the log may keep behind the newest checkpoint; 0: without limit.
    int64_t retention_s = 0;
    int64_t retention_bytes = 0;
    std::function<int64_t()> now_us;  // the clock, in microseconds since 1970
    // Likewise, or why nothing can be cut off by it.
    std::function<absl::StatusOr<int64_t>()> trusted_us;
    // Nothing is cut off by a clock that is further ahead (ClockAhead).
    std::optional<std::chrono::seconds> clock_ahead_max;
  };

  // All references must outlive the jobs.
  GraphJobs(GraphStore& store, RocksdbLog& log, const ServingCell& serving,
            DurabilityMetrics& metrics, Options options);

  // Writes a checkpoint, and cuts the log as the options say: never behind the checkpoint, and by
  // age only while the clock can be believed. Otherwise that is logged.
  absl::StatusOr<CheckpointInfo> Checkpoint(const std::stop_token& stop);
  // Takes the ids of forgotten users and removed items out of the log and, by compaction, out of
  // the database's files. Nothing to do is done at once.
  absl::StatusOr<int64_t> Redact(const std::stop_token& stop);
  absl::StatusOr<Verification> Verify();
  // AlreadyExists when the directory is there.
  absl::Status Backup(const std::string& directory);

 private:
  absl::Status CutLog(Offset checkpoint);
  // The clock, for what is to be cut off by age.
  absl::StatusOr<int64_t> TimeToCutBy() const;
  absl::StatusOr<Offset> FirstYoungEntry(Offset until, int64_t now_us) const;

  GraphStore& store_;
  RocksdbLog& log_;
  const ServingCell& serving_;
  DurabilityMetrics& metrics_;
  const Options options_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_SERVING_GRAPH_JOBS_H_
