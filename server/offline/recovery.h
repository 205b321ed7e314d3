// What is done to a database while no server holds it: verify, restore, repair.
#ifndef GROUNDSWELL_SERVER_OFFLINE_RECOVERY_H_
#define GROUNDSWELL_SERVER_OFFLINE_RECOVERY_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "graph/upkeep/checkpoint.h"
#include "graph/upkeep/verification.h"

namespace groundswell {

struct DatabaseVerification {
  LogVerification log;
  Verification graph;
  std::string snapshot_version;
};

// Checks every block of every file, every record of the log, and every counter of the graph as the
// server would load it, against the adjacency. Unavailable while a server holds the database.
absl::StatusOr<DatabaseVerification> VerifyDatabase(const std::string& data_dir,
                                                    const std::string& name_space,
                                                    const LoadProgress& progress);

struct RestoreOptions {
  std::string backup;
  std::string data_dir;
  std::string name_space = "default";
  bool replaces = false;  // a database that is in `data_dir`
};

// Copies a backup beside the database directory, opens the copy, and puts it in place with one
// rename. A database that was there is deleted only then, and FailedPrecondition without
// `replaces`. The backup stays.
absl::Status RestoreBackup(const RestoreOptions& options, const LoadProgress& progress);

// What a repair would do, or did.
struct Repair {
  std::string damage;       // in words; empty: none was found
  Offset kept_until = 0;    // the log is whole up to here
  Offset lost_until = 0;    // acknowledged interactions behind `kept_until` up to here are lost
  Offset continues_at = 0;  // the next interaction gets this offset
};

// Finds out what is whole of a damaged database and, with `accept_loss`, makes it one that serves:
// what is behind the damage in RocksDB's write-ahead log is dropped, the log is cut at the first
// record that is missing or fails its checksum, and goes on behind that and behind what the graph
// contains. What is sent again then counts, since lost event ids and sequences are forgotten.
// Without `accept_loss` a copy is looked at and nothing changes. DataLoss when tables are damaged,
// which only a backup or another import mends.
absl::StatusOr<Repair> RepairDatabase(const std::string& data_dir, const std::string& name_space,
                                      bool accept_loss);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_OFFLINE_RECOVERY_H_
