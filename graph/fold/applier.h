// Applier: folds the log into the macro graph and the user records, in the order of offsets,
// exactly once. The single writer of one generation's state.
//
// One batch: the users it touches are read, changed in memory together with the items, and written
// with the applied offset in one atomic batch. Nothing here reads a clock, a random number or an
// unordered container, so the same snapshot and the same log give the same state, whatever the
// batches.
//
// A crash between memory and disk is harmless: the item side is loaded again from what is on disk
// when the server starts, and the log is applied from the recorded offset on.
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
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "graph/fold/user_cache.h"
#include "graph/log/interaction_log.h"
#include "graph/mutex.h"
#include "graph/state/catalogue.h"
#include "graph/state/edge_change.h"
#include "graph/state/macro_graph.h"
#include "graph/store/generation.h"
#include "graph/store/store.h"
#include "scheduling/thread_scheduling.h"

namespace groundswell {

// A user with hypothetical interactions laid over; without any, as stored.
struct OverlaidUser {
  UserState state;
  // What the rows of the items do not have of it: the way from u over its own items back to u,
  //   sum over i of A[u,i] * (A[u,i] - what is stored of it), to be added to H2_u[uc(u)]
  Count own_two_hop = 0;
  // Items that the user has here and not in the graph, ascending.
  std::vector<ItemIndex> joined;
};

class Applier {
 public:
  // What applying one logged interaction came to.
  enum class Outcome {
    kApplied,
    kBelowZero,
    kOverflow,
    kUnknownItem,
    kOutsideWindow,  // older than the window
    kForgotten       // late: its user was forgotten, or its item removed, after it happened
  };

  // How the snapshot assigns macro nodes: pure functions of the snapshot and their arguments.
  struct Clustering {
    std::function<MacroNode(ItemIndex first_item)> of_new_user;
    std::function<MacroNode(const UserState& user)> of_known_user;
    std::function<MacroNode(const UpsertItem& item)> of_new_item;
    // These came with the snapshot, and so did their macro nodes.
    size_t trained_users = 0;
    size_t trained_items = 0;
  };

  // What became of one interaction; it holds during the call that is told of it.
  struct Result {
    const Interaction* interaction;
    Outcome outcome;
  };
  struct Options {
    // Interactions in a batch while four times as many wait; while fewer do, 25.
    size_t batch_max = 1'000;
    // Of the applier's thread (nice(2)), so that callers are answered first where cores are few: an
    // interaction that is not acknowledged in time may be lost, one that is folded late is not.
    int niceness = 10;
    size_t user_cache_bytes = size_t{64} << 20;  // of users kept decoded between batches
    Clustering clustering;
    // Whether the macro node of a new user is written into the log record that made it known.
    bool records_clusters = true;
    // Told of every batch of interactions after it was committed; from the applier's thread.
    std::function<void(std::span<const Result>)> on_applied;
    // Told of every change of an edge, in order, when the graph has it; from the applier's thread.
    std::function<void(const EdgeChange&)> on_edges_changed;
    // Told of an item that was created or changed when the catalogue has it, and of the category
    // that it had if it is an old one; from the applier's thread.
    std::function<void(ItemIndex, const UpsertItem&, std::optional<uint32_t> category_before)>
        on_upserted;
    // Told of an item that was removed; from the applier's thread.
    std::function<void(ItemIndex)> on_removed;
    // Told of how many edges left by the window; from the applier's thread.
    std::function<void(size_t)> on_expired;
    // Told when applying had to stop or could go on again; from the applier's thread.
    std::function<void(const absl::Status&)> on_status;
    // Told that the log asks for another snapshot, when exactly the entries up to `offset` are
    // applied; from the applier's thread.
    std::function<void(Offset offset, const ActivateSnapshot&)> on_activate;
  };

  // Why an interaction that is laid over a user would not be applied.
  struct Refusal {
    size_t position;  // of the interaction, from 0
    Outcome outcome;
    // kBelowZero: A[u,i]. kOutsideWindow: the time at which the window begins. kForgotten: the time
    // until which events are late. Otherwise 0.
    int64_t bound;
  };

  // How far it is; all of one moment.
  struct Progress {
    Offset applied_offset = 0;
    int64_t live_user_count = 0;
    int64_t edge_count = 0;
    int64_t newest_event_time_us = 0;
    Count total_count = 0;  // sum of all A[u,i]
    StateDigest digest;
  };

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
  // once in the calling thread if nothing has to be waited for, else from the applier's thread.
  // `done` must not block.
  void WhenApplied(Offset offset, std::chrono::steady_clock::time_point deadline,
                   std::function<void(bool)> done);

  // `user` (nullopt: never seen) as it would be if `interactions`, all its own, were the next
  // entries of the log: the rules of the fold applied to a copy. Nothing is written, counted or
  // remembered, and what is stored of items and other users stays as it is, also where the window
  // of age would move. The first interaction that the fold would not apply goes to `refusal`, and
  // the result is worthless then. An empty `user_id` is nobody's. Any thread may call it.
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
  struct TouchedUser {
    std::optional<UserState> state;  // nullopt: unknown, or forgotten
    bool is_new = false;
    bool changed = false;
    std::optional<Tombstone> tombstone;
  };
  // One batch in the making. Nothing of it is on disk before it is published.
  struct Batch {
    explicit Batch(const GraphStore& store) : writes(store) {}
    GraphStore::Batch writes;
    std::map<std::string, TouchedUser> users;
    // Of items that were removed, by id.
    std::map<std::string, std::optional<Tombstone>> item_tombstones;
    std::vector<Result> results;
    size_t expired = 0;
  };
  // What an overlay is laid out against.
  struct OverlayFrame {
    Progress progress;
    std::optional<Tombstone> tombstone;  // of the user
  };
  using Entries = std::span<const std::pair<Offset, LogEntry>>;

  void ApplyLoop();
  // Runs what waits for a batch edge, or tells it that there is none.
  void HandleTasks(bool run);
  // Applies the next entries; true when there were any.
  absl::StatusOr<bool> ApplyNextBatch();
  absl::Status ApplyInteractions(Entries entries, bool is_behind);
  absl::Status Expire(int64_t before_us);
  absl::Status ApplyChange(Offset offset, const ForgetUser& forget);
  absl::Status ApplyChange(Offset offset, const RemoveItem& removal);
  absl::Status ApplyChange(Offset offset, const UpsertItem& item);
  absl::Status ApplyChange(Offset offset, const ActivateSnapshot& activation);
  // The item's index when it is created.
  absl::StatusOr<ItemIndex> CreateItem(const UpsertItem& item, Batch& batch);
  absl::Status UpdateItem(ItemIndex index, const UpsertItem& item, Batch& batch);
  absl::Status PutTombstone(Tombstone::Kind kind, const IdHash& hash, Tombstone tombstone,
                            Batch& batch);
  absl::Status ClusterUsersAnew(Batch& batch);

  absl::StatusOr<TouchedUser*> Touch(const std::string& user_id, Batch& batch);
  Outcome ApplyOne(Offset offset, const Interaction& interaction, Batch& batch);
  absl::Status TouchItem(const std::string& item_id, Batch& batch);
  std::optional<ItemIndex> FindItem(const IdHash& hash) const;
  bool IsLate(const Interaction& interaction, const Batch& batch) const;
  bool IsCreated(ItemIndex item) const { return ToInt(item) >= options_.clustering.trained_items; }
  void ApplyRedacted(const Redacted& redacted, Batch& batch);
  MacroNode ClusterOfNewUser(Offset offset, const Interaction& interaction, ItemIndex item,
                             Batch& batch);
  UserState& Create(const std::string& user_id, MacroNode cluster, TouchedUser& user);
  void ApplyWindow(const std::string& user_id, UserState& user, Batch& batch);
  template <typename Change>
  void ChangeEdges(const std::string& user_id, UserState& user, ItemIndex item, Batch& batch,
                   const Change& change);
  void Tell(const EdgeChange& change) const {
    if (options_.on_edges_changed) options_.on_edges_changed(change);
  }
  void NoteExpiries(const std::string& user_id, UserIndex user, std::span<const Edge> before,
                    std::span<const Edge> after, Batch& batch);
  absl::StatusOr<std::optional<Refusal>> OverlayOne(const Interaction& interaction, Recency when,
                                                    OverlayFrame& frame,
                                                    std::optional<UserState>& user) const;
  void RedactLate(Offset offset, const Interaction& interaction, Batch& batch);
  int64_t WindowBegin(int64_t newest_us) const;

  // Whether a batch completes the entry at its offset, or does a part of what the next one asks
  // for.
  enum class Part { kWhole, kOfNext };
  absl::Status Publish(Batch& batch, Offset applied, Part part = Part::kWhole);
  absl::Status CommitStubbornly(Batch& batch);
  void NotifyWaiters();
  std::chrono::steady_clock::time_point NextWake() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  GraphStore& store_;
  const Generation generation_;
  InteractionLog& log_;
  Catalogue& catalogue_;
  MacroGraph& graph_;
  const Options options_;
  const Window window_;
  const EdgeDetail detail_;
  // The applying thread's alone:
  GraphState state_;
  std::optional<Offset> checkpoint_;        // the complete one
  std::optional<Offset> begun_checkpoint_;  // the one that is being written
  UserCache users_;
  size_t tombstone_count_ = 0;
  int64_t next_expiry_us_ = 0;  // no edge in the window is older
  std::vector<Edge> edges_before_;
  Yielding yielding_;

  std::atomic<Offset> applied_;
  int listener_ = 0;

  mutable Mutex mutex_;
  CondVar changed_;
  Progress progress_ ABSL_GUARDED_BY(mutex_);
  std::multimap<Offset, Waiter> waiters_ ABSL_GUARDED_BY(mutex_);
  std::deque<std::function<void(bool)>> tasks_ ABSL_GUARDED_BY(mutex_);
  bool woken_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

// Around a change of the edges between a user and an item: what depends on them follows.
template <typename Change>
void Applier::ChangeEdges(const std::string& user_id, UserState& user, ItemIndex item, Batch& batch,
                          const Change& change) {
  const std::string_view item_id = catalogue_.Id(item);
  const std::span<const Edge> before = user.EdgesTo(item);
  edges_before_.assign(before.begin(), before.end());
  change();
  const std::span<const Edge> after = user.EdgesTo(item);
  state_.digest.RemoveEdges(user_id, item_id, edges_before_);
  state_.digest.AddEdges(user_id, item_id, after);
  Tell({.user = user.index,
        .item = item,
        .cluster_before = user.cluster,
        .cluster_after = user.cluster,
        .before = edges_before_,
        .after = after});
  state_.edge_count += static_cast<int64_t>(!after.empty()) - !edges_before_.empty();
  if (window_.age_us > 0) NoteExpiries(user_id, user.index, edges_before_, after, batch);
}

}  // namespace groundswell

#endif  // GROUNDSWELL_GRAPH_FOLD_APPLIER_H_
