// Applier: the thread that folds the log into the live graph (fold.h), batch by batch, and those
// who wait for it. It reads what the log has, has it folded, commits the batch, tries again while
// the disk refuses, and then tells whoever waited for the offset. A batch may take long, such as
// one that lets a whole year leave a window: who waits no longer than until a deadline is told by
// another thread.
//
// Between two batches, at a "batch edge", memory and disk agree: there checkpoints begin and end.
#ifndef GROUNDSWELL_GRAPH_FOLD_APPLIER_H_
#define GROUNDSWELL_GRAPH_FOLD_APPLIER_H_

#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "graph/fold/fold.h"
#include "graph/log/interaction_log.h"
#include "graph/mutex.h"
#include "graph/state/catalogue.h"
#include "graph/state/macro_graph.h"
#include "graph/state/shard_capture.h"
#include "graph/store/generation.h"
#include "graph/store/store.h"
#include "scheduling/thread_scheduling.h"

namespace groundswell {

class Applier {
 public:
  using Clustering = Fold::Clustering;
  using Result = Fold::Result;
  using Refusal = Fold::Refusal;
  using Progress = Fold::Progress;

  // All functions are called from the applier's thread.
  struct Options {
    // `fold.batch_max` entries are in a batch while four times as many wait; while fewer do, 25.
    Fold::Options fold;
    // Of the applier's thread (nice(2)), so that callers are answered first where cores are few: an
    // interaction that is not acknowledged in time may be lost, one that is folded late is not.
    int niceness = 10;
    // Told of every batch of interactions after it was committed. What it is told holds during the
    // call.
    std::function<void(std::span<const Result>)> on_applied;
    // Told of how many edges left by the window.
    std::function<void(size_t)> on_expired;
    // Told when applying had to stop or could go on again.
    std::function<void(const absl::Status&)> on_status;
    // Told that the log asks for another snapshot, when exactly the entries up to `offset` are
    // applied.
    std::function<void(Offset offset, const ActivateSnapshot&)> on_activate;
    // Told of every kDigestInterval-th offset, when exactly the entries up to it are applied.
    std::function<void(Offset offset, const std::string& snapshot_digest, const StateDigest&)>
        on_digest;
  };
  static constexpr Offset kDigestInterval = 4'096;

  // All references must outlive the applier; `graph` and `catalogue` are loaded up to
  // `state.applied_offset`. `checkpoint` is the complete one, if any.
  Applier(GraphStore& store, Generation generation, InteractionLog& log, Catalogue& catalogue,
          MacroGraph& graph, GraphState state, std::optional<Offset> checkpoint, Options options);
  // Stops at a batch edge.
  ~Applier();

  // Applies what the log holds now, in the calling thread, then starts the applier's own thread.
  // `progress` is told the applied and the last offset. Stops early with Cancelled when `cancelled`
  // answers true.
  absl::Status CatchUp(const std::function<void(Offset applied, Offset end)>& progress,
                       const std::function<bool()>& cancelled);

  // Every reader sees at least the entries up to here.
  Offset applied_offset() const { return applied_.load(std::memory_order_acquire); }
  Progress progress() const;

  // Calls `done(true)` once `offset` is applied, or `done(false)` when `deadline` comes first: at
  // once in the calling thread if nothing has to be waited for, else from a thread of the applier.
  // `done` must not block.
  void WhenApplied(Offset offset, std::chrono::steady_clock::time_point deadline,
                   std::function<void(bool)> done);

  // Fold::Overlay on the graph as it is now. Any thread may call it.
  absl::StatusOr<OverlaidUser> Overlay(std::optional<UserState> user,
                                       std::span<const Interaction> interactions,
                                       std::optional<Refusal>& refusal) const;

  // Runs `task` on the applier's thread between two batches and waits for it. Unavailable, without
  // having run it, when the applier stops or cannot write to the disk.
  absl::Status RunAtBatchEdge(const std::function<void()>& task);

  // At a batch edge: the item side as it is now goes to `sink`, while the applier goes on.
  std::shared_ptr<ShardCapture> BeginCapture(ShardCapture::Sink sink);
  // At a batch edge: likewise; and from here on, users are kept as they are now for a checkpoint at
  // the applied offset, whose shards go to `sink`.
  std::shared_ptr<ShardCapture> BeginCheckpoint(ShardCapture::Sink sink);
  // At a batch edge: the checkpoint that was begun is complete, or was given up.
  void EndCheckpoint(bool complete);

 private:
  struct Waiter {
    std::chrono::steady_clock::time_point deadline;
    std::function<void(bool)> done;
  };

  void ApplyLoop();
  // Tells those whose deadline has come, while the applying thread is in a batch.
  void DeadlineLoop();
  // Runs what waits for a batch edge, or tells it that there is none.
  void HandleTasks(bool run);
  // Applies the next entries; true when there were any.
  absl::StatusOr<bool> ApplyNextBatch();
  absl::Status Publish(Fold::Batch& batch);
  absl::Status CommitStubbornly(GraphStore::Batch& writes);
  void NotifyWaiters();
  // The first deadline of those who wait; when there is none, some time from now.
  std::chrono::steady_clock::time_point FirstDeadline() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  GraphStore& store_;
  InteractionLog& log_;
  MacroGraph& graph_;
  const Options options_;
  // The applying thread's alone, but for Fold::Overlay:
  Fold fold_;
  std::optional<Offset> checkpoint_;        // the complete one
  std::optional<Offset> begun_checkpoint_;  // the one that is being written
  Yielding yielding_;
  const std::function<void()> make_way_ = [this] { yielding_.BetweenPieces(); };

  std::atomic<Offset> applied_;
  int listener_ = 0;

  mutable Mutex mutex_;
  CondVar changed_;           // something to do for the applying thread
  CondVar deadline_changed_;  // for DeadlineLoop: it would sleep too long
  Progress progress_ ABSL_GUARDED_BY(mutex_);
  std::multimap<Offset, Waiter> waiters_ ABSL_GUARDED_BY(mutex_);
  std::deque<std::function<void(bool)>> tasks_ ABSL_GUARDED_BY(mutex_);
  // Until when DeadlineLoop sleeps.
  std::chrono::steady_clock::time_point deadline_wake_ ABSL_GUARDED_BY(mutex_);
  bool woken_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
  std::thread deadlines_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_GRAPH_FOLD_APPLIER_H_
