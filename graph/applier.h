// Applier: folds the log into the macro graph and the user records, in the order of offsets,
// exactly once. The single writer of state.
//
// One batch: the users it touches are read, changed in memory together with the items, and written
// with the applied offset in one atomic batch. Nothing here reads a clock, a random number or an
// unordered container, so the same snapshot and the same log give the same state.
//
// A crash between memory and disk is harmless: the item side is rebuilt from the user records when
// the server starts, and the log is applied from the recorded offset on.
#ifndef GROUNDSWELL_GRAPH_APPLIER_H_
#define GROUNDSWELL_GRAPH_APPLIER_H_

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "graph/catalogue.h"
#include "graph/interaction_log.h"
#include "graph/macro_graph.h"
#include "graph/mutex.h"
#include "graph/store.h"

namespace groundswell {

class Applier {
 public:
  // What applying one logged interaction came to.
  enum class Outcome { kApplied, kBelowZero, kOverflow, kUnknownItem };

  struct Options {
    size_t batch_max = 1'000;
    // The macro node of a user first seen with this item: a pure function of the snapshot.
    std::function<MacroNode(ItemIndex first_item)> cluster_of_new_user;
    // Told of every interaction after its batch was committed; from the applier's thread.
    std::function<void(const Interaction&, Outcome)> on_applied;
    // Told when applying had to stop or could go on again; from the applier's thread.
    std::function<void(const absl::Status&)> on_status;
  };

  // All references must outlive the applier; `graph` is loaded up to `state.applied_offset`.
  Applier(GraphStore& store, InteractionLog& log, const Catalogue& catalogue, MacroGraph& graph,
          GraphState state, Options options);
  // Stops at a batch edge.
  ~Applier();

  // Applies what the log holds now, in the calling thread, then starts the applier's own thread.
  // `progress` is told the applied and the last offset. Stops early with Cancelled when `cancelled`
  // answers true.
  absl::Status CatchUp(const std::function<void(Offset applied, Offset end)>& progress,
                       const std::function<bool()>& cancelled);

  // Every reader sees at least the interactions up to here.
  Offset applied_offset() const { return applied_.load(std::memory_order_acquire); }
  int64_t newest_event_time_us() const { return newest_time_.load(std::memory_order_relaxed); }
  uint32_t user_count() const { return user_count_.load(std::memory_order_relaxed); }
  int64_t edge_count() const { return edge_count_.load(std::memory_order_relaxed); }

  // Calls `done(true)` once `offset` is applied, or `done(false)` when `deadline` comes first: at
  // once in the calling thread if nothing has to be waited for, else from the applier's thread.
  // `done` must not block.
  void WhenApplied(Offset offset, std::chrono::steady_clock::time_point deadline,
                   std::function<void(bool)> done);

 private:
  struct Waiter {
    std::chrono::steady_clock::time_point deadline;
    std::function<void(bool)> done;
  };

  void ApplyLoop();
  // Applies the next records; true when there were any.
  absl::StatusOr<bool> ApplyNextBatch();
  absl::StatusOr<Outcome> ApplyOne(Offset offset, const Interaction& interaction,
                                   std::map<std::string, UserState>& touched);
  absl::Status Publish(const std::map<std::string, UserState>& touched);
  void NotifyWaiters();
  std::chrono::steady_clock::time_point NextWake() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  GraphStore& store_;
  InteractionLog& log_;
  const Catalogue& catalogue_;
  MacroGraph& graph_;
  GraphState state_;  // the applying thread's alone
  const Options options_;
  std::atomic<Offset> applied_;
  std::atomic<int64_t> newest_time_;
  std::atomic<uint32_t> user_count_;
  std::atomic<int64_t> edge_count_;

  Mutex mutex_;
  CondVar changed_;
  std::multimap<Offset, Waiter> waiters_ ABSL_GUARDED_BY(mutex_);
  bool woken_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_GRAPH_APPLIER_H_
