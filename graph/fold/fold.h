// Fold: the graph as a function of the snapshot and the log. Entries go in, in the order of
// offsets and each exactly once; out come batches for the store, and the items in memory follow.
//
// One batch: the users it touches are read, changed in memory together with the items, and written
// with the applied offset in one atomic batch, which the caller commits. Nothing here has a thread,
// waits, or reads a clock, a random number or an unordered container, so the same snapshot and the
// same log give the same state, whatever the batches.
//
// A crash between memory and disk is harmless: the item side is loaded again from what is on disk
// when the server starts, and the log is folded from the recorded offset on.
//
// Thread-safety: one thread, the single writer of one generation's state; Overlay by any.
#ifndef GROUNDSWELL_GRAPH_FOLD_FOLD_H_
#define GROUNDSWELL_GRAPH_FOLD_FOLD_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "graph/fold/judgement.h"
#include "graph/fold/user_cache.h"
#include "graph/ids.h"
#include "graph/log/log_entry.h"
#include "graph/state/catalogue.h"
#include "graph/state/edge_change.h"
#include "graph/state/macro_graph.h"
#include "graph/state/state_digest.h"
#include "graph/state/user_state.h"
#include "graph/store/generation.h"
#include "graph/store/store.h"

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

class Fold {
 public:
  // How the snapshot assigns clusters: pure functions of the snapshot and their arguments.
  struct Clustering {
    std::function<Cluster(ItemIndex first_item)> of_new_user;
    std::function<Cluster(const UserState& user)> of_known_user;
    std::function<Cluster(const UpsertItem& item)> of_new_item;
    // These came with the snapshot, and so did their clusters.
    size_t trained_users = 0;
    size_t trained_items = 0;
  };

  // An interaction that is about to be applied. What it points to holds during the call.
  struct Arrival {
    Offset offset = 0;
    const UserState* user = nullptr;  // as it is until then; null: never seen
    ItemIndex item{};
    int64_t now_us = 0;  // the newest event time up to it
  };
  // What learns from the log, of which the graph knows nothing but its bytes. They are stored in
  // the batch that made them: a start loads the graph as of the applied offset and replays nothing
  // behind a checkpoint, and so must find them as of that offset, whenever it was cut off.
  struct Learning {
    // Told of every interaction of positive weight, in the exact state of the entries before it.
    std::function<void(const Arrival&)> before_applied;
    // What is learned begins anew: this snapshot was activated here, or somebody asked for it.
    std::function<void()> begin_anew;
    // What it is now, if that was not taken yet.
    std::function<std::optional<std::string>()> take_changed;
  };

  struct Options {
    // Edges, or users, in a batch that is a part of what an entry asks for.
    size_t batch_max = 1'000;
    size_t user_cache_bytes = size_t{64} << 20;  // of users kept decoded between batches
    Clustering clustering;
    // Whether it is written into the log record of an interaction that it made its user or its item
    // known, and into which cluster the user came.
    bool records_clusters = true;
    // Told of every change of an edge, in order, when the graph has it.
    std::function<void(const EdgeChange&)> on_edges_changed;
    // Told of an item that was created or changed when the catalogue has it, and of the category
    // that it had if it is an old one.
    std::function<void(ItemIndex, const UpsertItem&, std::optional<uint32_t> category_before)>
        on_upserted;
    // Told of an item that was removed.
    std::function<void(ItemIndex)> on_removed;
    Learning learning;  // may be empty
  };

  // How far it is; all of one moment.
  struct Progress {
    Offset applied_offset = 0;
    int64_t live_user_count = 0;
    int64_t edge_count = 0;
    int64_t newest_event_time_us = 0;
    std::optional<int64_t> least_delay_us;  // from an event to its receipt
    Count total_count = 0;                  // sum of all A[u,i]
    StateDigest digest;
  };

  // What became of one interaction.
  struct Result {
    const Interaction* interaction;
    FoldOutcome outcome;
  };

  // Why an interaction that is laid over a user would not be applied.
  struct Refusal {
    size_t position;  // of the interaction, from 0
    FoldOutcome outcome;
    int64_t bound;  // see Judgement
  };

  using Entries = std::span<const std::pair<Offset, LogEntry>>;
  // Offsets of the checkpoints to which users are settled: the complete one and one in the making.
  using Checkpoints = std::array<std::optional<Offset>, 2>;
  class Batch;

  // All references must outlive it; `graph` and `catalogue` are loaded up to
  // `state.applied_offset`.
  Fold(GraphStore& store, Generation generation, Catalogue& catalogue, MacroGraph& graph,
       GraphState state, Options options);

  // Once, before the first Next.
  absl::Status CountTombstones();

  // Folds the first of `entries`, which follow what is applied, into the empty `batch`: an entry
  // that changes users or items, or else the interactions before the next such one, or some of
  // them. The caller commits `batch.writes` and calls Keep. What is too much for one batch is done
  // in parts: after a batch that is a part, the caller goes on with the same entries.
  // `between_entries` is called where the fold could make way for others; it may be empty.
  // After an error nothing in memory has changed, unless it came after parts: these stay.
  absl::Status Next(Entries entries, const std::function<void()>& between_entries, Batch& batch);

  // The batch is on disk: its users may be read from memory from here on.
  void Keep(Batch& batch);

  // As of the newest batch.
  Progress progress() const;
  // Of the snapshot whose clusters the graph has.
  const std::string& snapshot_digest() const { return state_.snapshot_digest; }

  // `user` (nullopt: never seen) as it would be if `interactions`, all its own, were the next
  // entries of the log after `now`: the rules of the fold applied to a copy. Nothing is written,
  // counted or remembered, and what is stored of items and other users stays as it is, also where
  // the window of age would move. The first interaction that the fold would not apply goes to
  // `refusal`, and the result is worthless then. An empty `user_id` is nobody's.
  absl::StatusOr<OverlaidUser> Overlay(const Progress& now, std::optional<UserState> user,
                                       std::span<const Interaction> interactions,
                                       std::optional<Refusal>& refusal) const;

 private:
  struct TouchedUser {
    std::optional<UserState> state;  // nullopt: unknown, or forgotten
    bool is_new = false;
    bool changed = false;
    std::optional<Tombstone> tombstone;
  };
  // Whether a batch completes the entry at its offset, or does a part of what the next one asks
  // for.
  enum class Part { kWhole, kOfNext };

  absl::Status FoldInteractions(Entries entries, const std::function<void()>& between_entries,
                                Batch& batch);
  absl::Status FoldExpiries(int64_t before_us, Batch& batch);
  absl::Status FoldChange(Offset offset, const ForgetUser& forget, Batch& batch);
  absl::Status FoldChange(Offset offset, const RemoveItem& removal, Batch& batch);
  absl::Status FoldChange(Offset offset, const UpsertItem& item, Batch& batch);
  absl::Status FoldChange(Offset offset, const ActivateSnapshot& activation, Batch& batch);
  absl::Status FoldChange(Offset offset, const ResetBlend& reset, Batch& batch);
  absl::Status FoldChange(Offset offset, const SetListRules& set, Batch& batch);
  absl::Status CheckRoomForItem() const;
  // The item's index; there is room. `upserted`: by the log in its own name, see StoredItem.
  ItemIndex CreateItem(const UpsertItem& item, bool upserted, Batch& batch);
  // Of the first of `entries` those for whose new items there is room; ResourceExhausted where
  // there is none for the first.
  absl::StatusOr<Entries> WithRoomForItems(Entries entries) const;
  // The item that an interaction makes known.
  ItemIndex CreateItemOf(const std::string& item_id, Batch& batch);
  absl::Status UpdateItem(ItemIndex index, const UpsertItem& item, Batch& batch);
  absl::Status RemoveUsersOf(ItemIndex item, std::span<const UserIndex> users, Batch& batch);
  void RetireItem(ItemIndex item, Batch& batch);
  Removed RemoveUser(const std::string& user_id, const UserState& user, Batch& batch);
  void PutTombstone(Tombstone::Kind kind, const IdHash& hash,
                    const std::optional<Tombstone>& earlier, Tombstone tombstone, Batch& batch);
  absl::Status ClusterUsersAnew(Batch& batch);

  absl::StatusOr<TouchedUser*> Touch(const std::string& user_id, Batch& batch);
  void KeepBefore(const std::string& user_id, const TouchedUser& touched, Batch& batch) const;
  absl::Status TouchItem(const std::string& item_id, Batch& batch);
  std::optional<ItemIndex> FindItem(const RemoveItem& removal) const;
  bool IsCreated(ItemIndex item) const { return ToInt(item) >= options_.clustering.trained_items; }
  void NoteDelay(const Interaction& interaction);
  FoldOutcome FoldOne(Offset offset, const Interaction& interaction, Batch& batch);
  // What Judge is told of an interaction with `item`. The tombstones are those of its user and of
  // its item; the newest time counts its own.
  Surroundings SurroundingsOf(const Interaction& interaction, std::optional<ItemIndex> item,
                              const std::optional<Tombstone>& of_user,
                              const std::optional<Tombstone>& of_item, int64_t newest_event_time_us,
                              Count total_count) const;
  // What an interaction that is applied does to its user: the fold and Overlay differ in how edges
  // change alone. `add_edge` adds the interaction's own; the others as for LeaveWindows.
  template <typename AddEdge, typename TakeEdge, typename TakeItem, typename MergeEdge>
  void ChangeUser(const Interaction& interaction, ItemIndex item, UserState& user,
                  const AddEdge& add_edge, const TakeEdge& take_edge, const TakeItem& take_item,
                  const MergeEdge& merge_edge) const;
  void ApplyToUser(Offset offset, const Interaction& interaction, ItemIndex item, UserState& user,
                   Batch& batch);
  void FoldRedacted(const Redacted& redacted, Batch& batch);
  Cluster ClusterOfNewUser(const Interaction& interaction, ItemIndex item) const;
  // What was decided here and a later fold of the same log must repeat.
  void RecordDecisions(Offset offset, const Interaction& interaction,
                       const std::optional<AssignedCluster>& user_cluster, bool creates_item,
                       Batch& batch) const;
  UserState& Create(const std::string& user_id, Cluster cluster, TouchedUser& user);
  template <typename Change>
  void ChangeEdges(const std::string& user_id, UserState& user, ItemIndex item, Batch& batch,
                   const Change& change);
  void Tell(const EdgeChange& change) const {
    if (options_.on_edges_changed) options_.on_edges_changed(change);
  }
  void NoteExpiries(const std::string& user_id, UserIndex user, std::span<const Edge> before,
                    std::span<const Edge> after, Batch& batch);
  void RedactLate(Offset offset, const Interaction& interaction, Batch& batch);
  // Everything is in it: what its users have become, and how far the fold is with it.
  void Finish(Batch& batch, Offset applied, Part part = Part::kWhole);

  absl::StatusOr<std::optional<Refusal>> OverlayOne(const Interaction& interaction, Recency when,
                                                    const std::optional<Tombstone>& forgotten,
                                                    Progress& now,
                                                    std::optional<UserState>& user) const;

  GraphStore& store_;
  const Generation generation_;
  Catalogue& catalogue_;
  MacroGraph& graph_;
  const Options options_;
  const Window window_;
  const EdgeDetail detail_;
  GraphState state_;
  UserCache users_;
  size_t tombstone_count_ = 0;
  int64_t next_expiry_us_ = 0;             // no edge in the window is older
  std::optional<ItemIndex> removed_item_;  // between the parts of its removal
  std::vector<Edge> edges_before_;         // scratch
};

// One batch in the making. Nothing of it is on disk before the caller committed `writes`.
class Fold::Batch {
 public:
  Batch(const GraphStore& store, const Checkpoints& checkpoints)
      : writes(store), checkpoints_(checkpoints) {}

  GraphStore::Batch writes;
  // Only a part of what the entry behind the applied offset asks for.
  bool is_part = false;
  std::vector<Result> results;  // they hold as long as the entries do
  size_t expired = 0;           // edges that left by the window
  // The entry asks for another snapshot; as long as the entries.
  const ActivateSnapshot* activation = nullptr;

 private:
  friend class Fold;
  const Checkpoints checkpoints_;
  std::map<std::string, TouchedUser> users_;
  // Of items that are not there or came back, by id.
  std::map<std::string, std::optional<Tombstone>> item_tombstones_;
};

// Around a change of the edges between a user and an item: what depends on them follows.
template <typename Change>
void Fold::ChangeEdges(const std::string& user_id, UserState& user, ItemIndex item, Batch& batch,
                       const Change& change) {
  const std::string_view item_id = catalogue_.Id(item);
  // `change` may move the edges, so what they were is copied, into memory that is kept.
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
        .after = after,
        .of_user = user.edges});
  state_.edge_count += static_cast<int64_t>(!after.empty()) - !edges_before_.empty();
  if (window_.age_us > 0) NoteExpiries(user_id, user.index, edges_before_, after, batch);
}

template <typename AddEdge, typename TakeEdge, typename TakeItem, typename MergeEdge>
void Fold::ChangeUser(const Interaction& interaction, ItemIndex item, UserState& user,
                      const AddEdge& add_edge, const TakeEdge& take_edge, const TakeItem& take_item,
                      const MergeEdge& merge_edge) const {
  if (interaction.weight == 0) {
    Hide(user, item, interaction.event_time_us);
    return;
  }
  if (interaction.weight > 0) Reveal(user, item, interaction.event_time_us);
  add_edge();
  LeaveWindows(window_, user, take_edge, take_item, merge_edge);
}

}  // namespace groundswell

#endif  // GROUNDSWELL_GRAPH_FOLD_FOLD_H_
