// A store with its log, graph and applier, as a server holds them, without a server.
#ifndef GROUNDSWELL_TESTS_SUPPORT_LIVE_GRAPH_H_
#define GROUNDSWELL_TESTS_SUPPORT_LIVE_GRAPH_H_

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "graph/fold/applier.h"
#include "graph/fold/interaction_adjacency.h"
#include "graph/state/edge_change.h"
#include "graph/store/rocksdb_log.h"
#include "graph/upkeep/checkpoint.h"
#include "graph/upkeep/verification.h"
#include "tests/support/graph_fixture.h"

namespace groundswell {

struct LiveGraphOptions {
  size_t user_cache_bytes = 4096;  // some users share a slot, and not all fit
  MacroShape shape{.user_clusters = 2, .item_clusters = 2, .recent_len = 2};
  size_t spare_items = 16;
  size_t batch_max = 1'000;
  LoadFrom load_from = LoadFrom::kCheckpoint;
  size_t neighbors_max = 4096;
  // Told of every change of an edge, beside the adjacency.
  std::function<void(const EdgeChange&)> on_edges_changed;
  decltype(Applier::Options::on_digest) on_digest;
  RocksdbLog::Options log;
  size_t write_buffer_bytes = size_t{256} << 20;
  rocksdb::Env* env = nullptr;
};

class LiveGraph {
 public:
  // Opens what MakeStore made, loads it, and applies what the log holds. Throws on an error.
  explicit LiveGraph(const std::string& path, LiveGraphOptions options = {});
  ~LiveGraph();

  // Appends and waits until it is durable. The offset of the last.
  Offset Append(std::vector<LogEntry> entries);
  Offset Append(LogEntry entry) { return Append(std::vector<LogEntry>{std::move(entry)}); }
  absl::StatusOr<AppendResult> Send(AppendRequest request);
  bool WaitFor(Offset offset, std::chrono::milliseconds limit = std::chrono::minutes(5));
  // Appends and waits until it is applied.
  Offset Apply(std::vector<LogEntry> entries);
  Offset Apply(LogEntry entry) { return Apply(std::vector<LogEntry>{std::move(entry)}); }
  // What became of the interactions, in order. They are all told once the applier has stopped.
  std::vector<FoldOutcome> StopAndTakeOutcomes();

  Applier::Progress progress() const { return applier->progress(); }
  std::string Digest() const { return progress().digest.ToString(); }
  // No users: nothing is known of this one.
  UserState User(const std::string& id) const;
  absl::StatusOr<CheckpointInfo> Checkpoint();
  // Fails the test when the counters are not those of the users' edges, or the adjacency in memory
  // is not.
  void ExpectVerified();

  std::unique_ptr<GraphStore> store;
  Generation generation;
  std::unique_ptr<Catalogue> catalogue;
  std::unique_ptr<RocksdbLog> log;
  std::unique_ptr<MacroGraph> graph;
  LoadedItemSide loaded;
  std::unique_ptr<InteractionAdjacency> adjacency;
  std::unique_ptr<Applier> applier;

 private:
  const size_t neighbors_max_;
  std::mutex mutex_;
  std::vector<FoldOutcome> outcomes_;  // guarded by mutex_
};

}  // namespace groundswell

#endif  // GROUNDSWELL_TESTS_SUPPORT_LIVE_GRAPH_H_
