// Import: a snapshot directory becomes a database that the server serves from alone.
#ifndef GROUNDSWELL_SERVER_OFFLINE_IMPORT_H_
#define GROUNDSWELL_SERVER_OFFLINE_IMPORT_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "graph/store/generation.h"
#include "models/snapshot/examples.h"

namespace groundswell {

struct ImportOptions {
  std::string snapshot_directory;
  std::string data_dir;
  std::string name_space = "default";
  // What the graph keeps of a user's past. Belongs to the database: a change is an import, which
  // folds the log anew.
  Window window{.traced = Window::kTraceLengthDefault};
  int64_t now_us = 0;  // the clock, in microseconds since 1970: when this snapshot came
};

struct ImportReport {
  bool already_there = false;  // the database holds this very snapshot; nothing was done
  std::string snapshot_version;
  uint64_t users = 0;
  uint64_t items = 0;
  uint64_t edges = 0;
  ExampleAgreement examples;
  // Interactions of the database's own log that were carried over behind the new snapshot.
  uint64_t carried_interactions = 0;
};

// `done` of `total` bytes, users or records of one step.
using ImportProgress = std::function<void(std::string_view step, uint64_t done, uint64_t total)>;

// Validates the whole snapshot and scores its examples before it writes anything, then builds the
// database beside `data_dir` ("<data_dir>.importing") and swaps it in with one rename. After a
// crash or an error at any point `data_dir` is what it was. Importing the snapshot that is there
// already, with the same window, changes nothing.
//
// A database that took interactions already keeps them: its log is carried over and applied behind
// the new snapshot's graph when the server starts. So it keeps its settings, such as list rules.
// FailedPrecondition when the offsets of log and snapshot do not meet; Unavailable while a server
// holds the database; Cancelled when `cancelled` answers true.
absl::StatusOr<ImportReport> Import(const ImportOptions& options, const ImportProgress& progress,
                                    const std::function<bool()>& cancelled);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_OFFLINE_IMPORT_H_
