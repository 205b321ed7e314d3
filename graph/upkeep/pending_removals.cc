#include "graph/upkeep/pending_removals.h"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <optional>
#include <variant>

#include "graph/fold/judgement.h"

namespace groundswell {
namespace {

constexpr size_t kEntriesAtOnce = 1'000;

Tombstone Unapplied(Offset offset, int64_t time_us) {
  return {.offset = offset,
          .time_us = time_us,
          .newest_event_time_us = std::numeric_limits<int64_t>::min()};
}

bool Takes(const std::optional<Tombstone>& removal, bool late_too, Offset offset,
           const Interaction& interaction) {
  if (!removal.has_value()) return false;
  if (offset <= removal->offset) return true;
  return late_too && interaction.event_time_us <= LateUntil(removal, interaction);
}

absl::StatusOr<bool> HasTombstones(const GraphStore& store) {
  bool found = false;
  const absl::Status read =
      store.ForEachTombstone([&found](Tombstone::Kind, const IdHash&, const Tombstone&) {
        found = true;
        return absl::CancelledError("one is enough");
      });
  if (!found && !read.ok()) return read;
  return found;
}

}  // namespace

absl::StatusOr<PendingRemovals> PendingRemovals::Read(const GraphStore& store,
                                                      const InteractionLog& log, Offset applied,
                                                      Offset end) {
  PendingRemovals pending(store);
  pending.applied_ = applied;
  for (Offset next = applied + 1; next <= end;) {
    const auto wanted = static_cast<size_t>(end - next + 1);
    const auto entries = log.Read(next, std::min(wanted, kEntriesAtOnce));
    if (!entries.ok()) return entries.status();
    if (entries->empty()) break;
    for (const auto& [offset, entry] : *entries) {
      if (const auto* forget = std::get_if<ForgetUser>(&entry); forget != nullptr) {
        pending.Add({Tombstone::Kind::kUser, forget->user_hash},
                    Unapplied(offset, forget->time_us));
      } else if (const auto* removal = std::get_if<RemoveItem>(&entry); removal != nullptr) {
        pending.Add({Tombstone::Kind::kItem, removal->item_hash},
                    Unapplied(offset, removal->time_us));
      }
    }
    next = entries->back().first + 1;
  }
  // Behind the log: one that is applied meanwhile is found here or there.
  const absl::StatusOr<bool> has_applied = HasTombstones(store);
  if (!has_applied.ok()) return has_applied.status();
  pending.has_applied_ = *has_applied;
  return pending;
}

void PendingRemovals::Add(const GraphStore::TombstoneKey& key, const Tombstone& removal) {
  const auto [at, is_new] = unapplied_.try_emplace(key, removal);
  if (is_new) return;
  at->second.offset = std::max(at->second.offset, removal.offset);
  at->second.time_us = std::max(at->second.time_us, removal.time_us);
}

// What is late of an item, and was folded, is not in the log any more, or counts.
absl::StatusOr<bool> PendingRemovals::Covers(Offset offset, const Interaction& interaction,
                                             const IsOfSnapshot& is_of_snapshot) const {
  if (unapplied_.empty() && !has_applied_) return false;
  absl::StatusOr<bool> covers =
      Covers(Tombstone::Kind::kUser, interaction.user_id, /*late_too=*/true, offset, interaction);
  if (!covers.ok() || *covers) return covers;
  const bool late_too = offset > applied_ && !is_of_snapshot(interaction.item_id);
  return Covers(Tombstone::Kind::kItem, interaction.item_id, late_too, offset, interaction);
}

absl::StatusOr<bool> PendingRemovals::Covers(Tombstone::Kind kind, const std::string& id,
                                             bool late_too, Offset offset,
                                             const Interaction& interaction) const {
  const IdHash hash = HashId(id);
  if (const auto at = unapplied_.find({kind, hash});
      at != unapplied_.end() && Takes(at->second, /*late_too=*/true, offset, interaction)) {
    return true;
  }
  const auto applied = store_->FindTombstone(kind, hash);
  if (!applied.ok()) return applied.status();
  return Takes(*applied, late_too, offset, interaction);
}

}  // namespace groundswell
