// Verification: everything that is kept beside the users' edges, computed anew from them alone and
// compared exactly.
#ifndef GROUNDSWELL_GRAPH_UPKEEP_VERIFICATION_H_
#define GROUNDSWELL_GRAPH_UPKEEP_VERIFICATION_H_

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "graph/fold/applier.h"
#include "graph/state/catalogue.h"
#include "graph/state/macro_graph.h"
#include "graph/store/generation.h"
#include "graph/store/rocksdb_log.h"
#include "graph/store/store.h"

namespace groundswell {

inline constexpr size_t kDifferencesMax = 20;

struct Verification {
  // Counts what differs, and keeps the first in words.
  void AddDifference(std::string what);

  Offset applied_offset = 0;
  StateDigest digest;  // of the adjacency
  uint64_t users = 0;
  uint64_t edges = 0;
  uint64_t items = 0;
  uint64_t counters = 0;  // compared
  // What differs, in words; at most kDifferencesMax, and how many there are.
  std::vector<std::string> differences;
  uint64_t difference_count = 0;
};

// Something else in memory that follows the users' edges, to be compared with them as well.
struct VerifiedView {
  // At a batch edge, the moment of the verification: may keep what the view holds.
  std::function<void()> begin;
  // Of every user, as they were at the moment, while the applier goes on.
  std::function<void(std::string_view user_id, const UserState& user)> visit;
  // Behind the last user: tells what differs.
  std::function<absl::Status(Verification& result)> finish;
};

// Compares the item side in memory, and `views`, with the users' edges, as all are at one offset,
// while the applier goes on. Takes the memory of a second item side. Not beside a checkpoint that
// is being written.
absl::StatusOr<Verification> VerifyGraph(const GraphStore& store, const Generation& generation,
                                         Applier& applier, const Catalogue& catalogue,
                                         const MacroGraph& graph,
                                         std::span<const VerifiedView> views);

// The item side of a database that nobody serves: `graph` is loaded up to `state.applied_offset`.
absl::StatusOr<Verification> VerifyLoadedGraph(const Generation& generation,
                                               const GraphState& state, const Catalogue& catalogue,
                                               const MacroGraph& graph);

struct LogVerification {
  Offset begin = 0;
  Offset end = 0;
  uint64_t interactions = 0;
  uint64_t redacted = 0;
  uint64_t changes = 0;
};

// Reads the whole log: every record is there and matches its checksum, and the event ids of the
// window lead to it. DataLoss otherwise.
absl::StatusOr<LogVerification> VerifyLog(const GraphStore& store, Offset begin, Offset end);

}  // namespace groundswell

#endif  // GROUNDSWELL_GRAPH_UPKEEP_VERIFICATION_H_
