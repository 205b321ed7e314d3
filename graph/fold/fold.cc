#include "graph/fold/fold.h"

#include <algorithm>
#include <limits>
#include <set>
#include <type_traits>
#include <utility>
#include <variant>

#include "graph/log/entry_hash.h"

namespace groundswell {
namespace {

constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

bool IsChange(const LogEntry& entry) {
  return !std::holds_alternative<Interaction>(entry) && !std::holds_alternative<Redacted>(entry);
}

int64_t EventTimeOf(const LogEntry& entry) {
  const auto* interaction = std::get_if<Interaction>(&entry);
  return interaction != nullptr ? interaction->event_time_us
                                : std::get<Redacted>(entry).event_time_us;
}

// What takes back has nothing to take back from an item that nobody has.
bool MayCreateItem(const Interaction& interaction) {
  return interaction.item_creation != ItemCreation::kNo && interaction.weight >= 0;
}

// Empty when it makes none known.
std::string_view ItemThatMayBeNew(const LogEntry& entry) {
  const auto* interaction = std::get_if<Interaction>(&entry);
  if (interaction == nullptr) return std::get<Redacted>(entry).created_item_id;
  return MayCreateItem(*interaction) ? interaction->item_id : std::string_view();
}

std::optional<ItemIndex> NextItem(const Catalogue& catalogue) {
  return ItemIndex{static_cast<uint32_t>(catalogue.size())};
}

const std::string& UserIdOf(const LogEntry& entry) {
  const auto* interaction = std::get_if<Interaction>(&entry);
  return interaction != nullptr ? interaction->user_id : std::get<Redacted>(entry).user_id;
}

}  // namespace

Fold::Fold(GraphStore& store, Generation generation, Catalogue& catalogue, MacroGraph& graph,
           GraphState state, Options options)
    : store_(store),
      generation_(std::move(generation)),
      catalogue_(catalogue),
      graph_(graph),
      options_(std::move(options)),
      window_(state.window),
      detail_(DetailOf(state.window)),
      state_(std::move(state)),
      users_(options_.user_cache_bytes) {}

// Most logs have none. Knowing that saves two reads for every interaction.
absl::Status Fold::CountTombstones() {
  return store_.ForEachTombstone([this](Tombstone::Kind, const IdHash&, const Tombstone&) {
    ++tombstone_count_;
    return absl::OkStatus();
  });
}

Fold::Progress Fold::progress() const {
  return {.applied_offset = state_.applied_offset,
          .live_user_count = state_.live_user_count,
          .edge_count = state_.edge_count,
          .newest_event_time_us = state_.newest_event_time_us,
          .least_delay_us = state_.least_delay_us,
          .total_count = graph_.total_count(),
          .digest = state_.digest};
}

absl::Status Fold::Next(Entries entries, const std::function<void()>& between_entries,
                        Batch& batch) {
  const Offset offset = entries.front().first;
  const LogEntry& entry = entries.front().second;
  return std::visit(
      [&](const auto& one) -> absl::Status {
        using Kind = std::decay_t<decltype(one)>;
        if constexpr (std::is_same_v<Kind, Interaction> || std::is_same_v<Kind, Redacted>) {
          const auto end = std::find_if(entries.begin(), entries.end(),
                                        [](const auto& other) { return IsChange(other.second); });
          return FoldInteractions({entries.begin(), end}, between_entries, batch);
        } else {
          return FoldChange(offset, one, batch);
        }
      },
      entry);
}

// Edges leave before the entry that moves the window past them, in batches of their own. So no
// batch holds an entry before which an edge of the same batch would have to leave.
absl::Status Fold::FoldInteractions(Entries entries, const std::function<void()>& between_entries,
                                    Batch& batch) {
  const int64_t window_begin =
      window_.begin_us(std::max(state_.newest_event_time_us, EventTimeOf(entries.front().second)));
  if (next_expiry_us_ < window_begin) return FoldExpiries(window_begin, batch);
  const absl::StatusOr<Entries> with_room = WithRoomForItems(entries);
  if (!with_room.ok()) return with_room.status();
  entries = *with_room;
  // The users are read before anything changes in memory, so that an unreadable one stops the batch
  // as a whole.
  for (const auto& [offset, entry] : entries) {
    const std::string& user_id = UserIdOf(entry);
    if (user_id.empty()) continue;
    if (between_entries) between_entries();
    const auto touched = Touch(user_id, batch);
    if (!touched.ok()) return touched.status();
    const auto* interaction = std::get_if<Interaction>(&entry);
    if (interaction == nullptr) continue;
    if (absl::Status s = TouchItem(interaction->item_id, batch); !s.ok()) return s;
  }
  Offset applied = state_.applied_offset;
  for (const auto& [offset, entry] : entries) {
    if (between_entries) between_entries();
    const int64_t newest = std::max(state_.newest_event_time_us, EventTimeOf(entry));
    // What comes from here on is the next batch's, behind the edges that leave first.
    if (next_expiry_us_ < window_.begin_us(newest)) break;
    state_.newest_event_time_us = newest;
    if (const auto* interaction = std::get_if<Interaction>(&entry); interaction != nullptr) {
      NoteDelay(*interaction);
      batch.results.push_back({interaction, FoldOne(offset, *interaction, batch)});
    } else {
      FoldRedacted(std::get<Redacted>(entry), batch);
    }
    applied = offset;
  }
  Finish(batch, applied);
  return absl::OkStatus();
}

absl::StatusOr<Fold::Entries> Fold::WithRoomForItems(Entries entries) const {
  std::set<std::string_view> new_items;
  for (size_t at = 0; at < entries.size(); ++at) {
    const std::string_view item = ItemThatMayBeNew(entries[at].second);
    if (item.empty() || new_items.contains(item) || catalogue_.Find(item).has_value()) continue;
    if (catalogue_.size() + new_items.size() == catalogue_.capacity()) {
      if (at > 0) return entries.first(at);
      return CheckRoomForItem();
    }
    new_items.insert(item);
  }
  return entries;
}

absl::Status Fold::FoldExpiries(int64_t before_us, Batch& batch) {
  // One more than leaves, to know when the next one will.
  const auto expiries = generation_.ReadExpiries(next_expiry_us_, options_.batch_max + 1);
  if (!expiries.ok()) return expiries.status();
  size_t due = 0;
  while (due < std::min(expiries->size(), options_.batch_max) &&
         (*expiries)[due].last.time_us < before_us) {
    const auto touched = Touch((*expiries)[due].user_id, batch);
    if (!touched.ok()) return touched.status();
    ++due;
  }
  for (const Expiry& expiry : std::span(*expiries).first(due)) {
    generation_.DeleteExpiry(batch.writes, expiry.last, expiry.user);
    TouchedUser& touched = batch.users_.at(expiry.user_id);
    if (!touched.state.has_value()) continue;
    UserState& user = *touched.state;
    for (size_t at = 0; at < user.edges.size(); ++at) {
      if (user.edges[at].last != expiry.last) continue;
      ChangeEdges(expiry.user_id, user, user.edges[at].item, batch,
                  [&] { graph_.RemoveEdge(user, at); });
      touched.changed = true;
      ++batch.expired;
      break;
    }
  }
  next_expiry_us_ = due < expiries->size() ? (*expiries)[due].last.time_us : kNever;
  // The entry that moved the window is not applied yet: a start that finds this batch comes to it
  // again, and lets go of what is left.
  Finish(batch, state_.applied_offset, Part::kOfNext);
  return absl::OkStatus();
}

absl::Status Fold::TouchItem(const std::string& item_id, Batch& batch) {
  if (tombstone_count_ == 0 || batch.item_tombstones_.contains(item_id)) return absl::OkStatus();
  if (!WasPerhapsRemoved(catalogue_.Find(item_id), options_.clustering.trained_items)) {
    return absl::OkStatus();
  }
  const auto tombstone = store_.FindTombstone(Tombstone::Kind::kItem, HashId(item_id));
  if (!tombstone.ok()) return tombstone.status();
  batch.item_tombstones_.emplace(item_id, *tombstone);
  return absl::OkStatus();
}

// Reads a user into the batch, and keeps the record for the checkpoints that do not have it yet.
absl::StatusOr<Fold::TouchedUser*> Fold::Touch(const std::string& user_id, Batch& batch) {
  if (const auto at = batch.users_.find(user_id); at != batch.users_.end()) return &at->second;
  TouchedUser touched{.state = users_.Take(user_id)};
  if (!touched.state.has_value()) {
    absl::StatusOr<std::optional<UserState>> user = generation_.ReadUser(user_id);
    if (!user.ok()) return user.status();
    touched.state = *std::move(user);
  }
  if (tombstone_count_ > 0) {
    auto tombstone = store_.FindTombstone(Tombstone::Kind::kUser, HashId(user_id));
    if (!tombstone.ok()) return tombstone.status();
    touched.tombstone = *tombstone;
  }
  KeepBefore(user_id, touched, batch);
  return &batch.users_.emplace(user_id, std::move(touched)).first->second;
}

// A user's first change behind a checkpoint: what the checkpoint has of it, and a start takes out
// again, is kept beside it. `changed_at` tells the first; who is not there yet is kept as nobody.
void Fold::KeepBefore(const std::string& user_id, const TouchedUser& touched, Batch& batch) const {
  for (const std::optional<Offset>& checkpoint : batch.checkpoints_) {
    if (!checkpoint.has_value()) continue;
    if (touched.state.has_value() && touched.state->changed_at <= *checkpoint) {
      generation_.PutUserBefore(batch.writes, *checkpoint, user_id, &*touched.state);
    }
    // One that was forgotten since the checkpoint was kept then.
    const bool was_there = touched.tombstone.has_value() && touched.tombstone->offset > *checkpoint;
    if (!touched.state.has_value() && !was_there) {
      generation_.PutUserBefore(batch.writes, *checkpoint, user_id, nullptr);
    }
  }
}

// An edge's time in the window is written where expiries are found in order of time. Both spans
// ascend by recency.
void Fold::NoteExpiries(const std::string& user_id, UserIndex user, std::span<const Edge> before,
                        std::span<const Edge> after, Batch& batch) {
  const auto missing = [](std::span<const Edge> edges, const Edge& edge) {
    return std::none_of(edges.begin(), edges.end(),
                        [&](const Edge& other) { return other.last == edge.last; });
  };
  for (const Edge& edge : before) {
    if (missing(after, edge)) generation_.DeleteExpiry(batch.writes, edge.last, user);
  }
  for (const Edge& edge : after) {
    if (!missing(before, edge)) continue;
    generation_.PutExpiry(batch.writes, {.last = edge.last, .user = user, .user_id = user_id});
    next_expiry_us_ = std::min(next_expiry_us_, edge.last.time_us);
  }
}

// Takes a late event out of the log again: what it says of a forgotten user may not be kept. Its
// time stays, since it moves the window, and so does the hash of its id.
void Fold::RedactLate(Offset offset, const Interaction& interaction, Batch& batch) {
  batch.writes.PutLogEntry(offset, Redacted{.event_time_us = interaction.event_time_us,
                                            .event_id_hash = HashEventId(interaction.event_id)});
}

// As recorded, or computed.
Cluster Fold::ClusterOfNewUser(const Interaction& interaction, ItemIndex item) const {
  const std::optional<AssignedCluster>& assigned = interaction.user_cluster;
  if (assigned.has_value() && assigned->clusters_of == state_.snapshot_digest) {
    return assigned->cluster;
  }
  return options_.clustering.of_new_user(item);
}

// Another build, or another machine's arithmetic, must not choose differently when it folds the
// same log; and what is left of the record once it is redacted must still make the item known.
void Fold::RecordDecisions(Offset offset, const Interaction& interaction,
                           const std::optional<AssignedCluster>& user_cluster, bool creates_item,
                           Batch& batch) const {
  const bool is_known = !user_cluster.has_value() || user_cluster == interaction.user_cluster;
  const bool creates_first = creates_item && interaction.item_creation != ItemCreation::kDone;
  if (!options_.records_clusters || (is_known && !creates_first)) return;
  Interaction recorded = interaction;
  if (user_cluster.has_value()) recorded.user_cluster = user_cluster;
  if (creates_item) recorded.item_creation = ItemCreation::kDone;
  batch.writes.PutLogEntry(offset, recorded);
}

UserState& Fold::Create(const std::string& user_id, Cluster cluster, TouchedUser& user) {
  user.state = UserState{.index = UserIndex{state_.user_count++}, .cluster = cluster, .edges = {}};
  user.is_new = true;
  ++state_.live_user_count;
  state_.digest.AddUser(user_id, cluster);
  return *user.state;
}

// What is left of it makes its user or its item known, as it did when it was whole.
void Fold::FoldRedacted(const Redacted& redacted, Batch& batch) {
  if (!redacted.created_item_id.empty() && !catalogue_.Find(redacted.created_item_id).has_value()) {
    CreateItemOf(redacted.created_item_id, batch);
  }
  if (redacted.user_id.empty()) return;
  TouchedUser& touched = batch.users_.at(redacted.user_id);
  // A cluster of another snapshot says nothing here, and the item to compute one from is gone: then
  // the user's next interaction makes him known.
  const bool applies = !touched.state.has_value() && redacted.user_cluster.has_value() &&
                       redacted.user_cluster->clusters_of == state_.snapshot_digest;
  if (applies) Create(redacted.user_id, redacted.user_cluster->cluster, touched);
}

void Fold::NoteDelay(const Interaction& interaction) {
  if (interaction.received_time_us == 0) return;
  const int64_t delay_us = interaction.received_time_us - interaction.event_time_us;
  state_.least_delay_us = std::min(state_.least_delay_us.value_or(delay_us), delay_us);
}

Surroundings Fold::SurroundingsOf(const Interaction& interaction, std::optional<ItemIndex> item,
                                  const std::optional<Tombstone>& of_user,
                                  const std::optional<Tombstone>& of_item,
                                  int64_t newest_event_time_us, Count total_count) const {
  return {
      .item = item,
      .late_until_us = std::max(LateUntil(of_user, interaction), LateUntil(of_item, interaction)),
      .window_begin_us = window_.begin_us(newest_event_time_us),
      .total_count = total_count};
}

FoldOutcome Fold::FoldOne(Offset offset, const Interaction& interaction, Batch& batch) {
  TouchedUser& touched = batch.users_.at(interaction.user_id);
  const UserState* const before = touched.state.has_value() ? &*touched.state : nullptr;
  const std::optional<ItemIndex> known = catalogue_.Find(interaction.item_id);
  const bool creates_item = !known.has_value() && MayCreateItem(interaction);
  const auto removed = batch.item_tombstones_.find(interaction.item_id);
  const std::optional<Tombstone> of_item =
      removed != batch.item_tombstones_.end() ? removed->second : std::nullopt;
  // As if the item were there already, at the index that it would get: what is refused for another
  // reason creates none.
  const Surroundings around =
      SurroundingsOf(interaction, creates_item ? NextItem(catalogue_) : known, touched.tombstone,
                     of_item, state_.newest_event_time_us, graph_.total_count());
  const FoldOutcome outcome = Judge(interaction, around, before).outcome;
  if (outcome == FoldOutcome::kForgotten) RedactLate(offset, interaction, batch);
  if (outcome != FoldOutcome::kApplied) return outcome;

  // The learner sees the state before the interaction, in which a new item must have its index.
  const ItemIndex item = creates_item ? CreateItemOf(interaction.item_id, batch) : *known;
  if (interaction.weight > 0 && options_.learning.before_applied) {
    options_.learning.before_applied(
        {.offset = offset, .user = before, .item = item, .now_us = state_.newest_event_time_us});
  }
  std::optional<AssignedCluster> new_cluster;
  if (!touched.state.has_value()) {
    new_cluster = {.cluster = ClusterOfNewUser(interaction, item),
                   .clusters_of = state_.snapshot_digest};
    Create(interaction.user_id, new_cluster->cluster, touched);
  }
  // Before anything depends on them: whoever folds the log again, over another snapshot too, takes
  // the same cluster and creates the same item.
  RecordDecisions(offset, interaction, new_cluster, creates_item, batch);
  touched.changed = true;
  ApplyToUser(offset, interaction, item, *touched.state, batch);
  return outcome;
}

void Fold::ApplyToUser(Offset offset, const Interaction& interaction, ItemIndex item,
                       UserState& user, Batch& batch) {
  const auto change = [&](ItemIndex of, const auto& edges) {
    ChangeEdges(interaction.user_id, user, of, batch, edges);
  };
  ChangeUser(
      interaction, item, user,
      [&] {
        change(item, [&] {
          graph_.Apply(user, item, interaction.weight,
                       {.time_us = interaction.event_time_us, .offset = offset}, detail_);
        });
      },
      [&](size_t at) {
        change(user.edges[at].item, [&] { graph_.RemoveEdge(user, at); });
        ++batch.expired;
      },
      [&](ItemIndex beyond) {
        change(beyond, [&] { graph_.RemoveEdgesTo(user, beyond); });
        ++batch.expired;
      },
      [&](size_t at) {
        // The sums of the macro graph stay, and so does the newest interaction with the item.
        change(user.edges[at].item, [&] { MergeIntoOlder(user, at); });
      });
}

void Fold::Finish(Batch& batch, Offset applied, Part part) {
  state_.applied_offset = applied;
  batch.is_part = part == Part::kOfNext;
  // A checkpoint at `applied` does not know what is a part of the next entry.
  const Offset changed_at = part == Part::kWhole ? applied : applied + 1;
  for (auto& [user_id, touched] : batch.users_) {
    if (!touched.changed && !touched.is_new) continue;
    touched.state->changed_at = changed_at;
    if (touched.is_new) {
      generation_.PutNewUser(batch.writes, user_id, *touched.state);
    } else {
      generation_.PutUser(batch.writes, user_id, *touched.state);
    }
  }
  if (options_.learning.take_changed) {
    if (const auto learned = options_.learning.take_changed(); learned.has_value()) {
      generation_.PutLearned(batch.writes, *learned);
    }
  }
  generation_.PutState(batch.writes, state_);
}

void Fold::Keep(Batch& batch) {
  // All of them, changed or only read: Touch took each out of the cache.
  for (auto& [user_id, touched] : batch.users_) {
    if (touched.state.has_value()) users_.Put(user_id, *std::move(touched.state));
  }
}

}  // namespace groundswell
