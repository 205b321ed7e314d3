#include "graph/upkeep/pending_removals.h"

#include <algorithm>
#include <cstddef>
#include <variant>

namespace groundswell {
namespace {

constexpr size_t kEntriesAtOnce = 1'000;

}  // namespace

absl::StatusOr<PendingRemovals> PendingRemovals::Read(const GraphStore& store,
                                                      const InteractionLog& log, Offset applied,
                                                      Offset end) {
  PendingRemovals pending;
  for (Offset next = applied + 1; next <= end;) {
    const auto wanted = static_cast<size_t>(end - next + 1);
    const auto entries = log.Read(next, std::min(wanted, kEntriesAtOnce));
    if (!entries.ok()) return entries.status();
    if (entries->empty()) break;
    for (const auto& [offset, entry] : *entries) {
      if (const auto* forget = std::get_if<ForgetUser>(&entry); forget != nullptr) {
        pending.Add({Tombstone::Kind::kUser, forget->user_hash}, {offset, forget->time_us});
      } else if (const auto* removal = std::get_if<RemoveItem>(&entry); removal != nullptr) {
        pending.Add({Tombstone::Kind::kItem, removal->item_hash}, {offset, removal->time_us});
      }
    }
    next = entries->back().first + 1;
  }
  // Behind the log: one that is applied meanwhile is found here or there.
  absl::Status read = store.ForEachTombstone(
      [&](Tombstone::Kind kind, const IdHash& hash, const Tombstone& tombstone) {
        if (!tombstone.redacted) pending.Add({kind, hash}, {tombstone.offset, tombstone.time_us});
        return absl::OkStatus();
      });
  if (!read.ok()) return read;
  return pending;
}

void PendingRemovals::Add(const GraphStore::TombstoneKey& key, const Removal& removal) {
  Removal& latest = removals_[key];
  latest.offset = std::max(latest.offset, removal.offset);
  latest.time_us = std::max(latest.time_us, removal.time_us);
}

bool PendingRemovals::Covers(Offset offset, const Interaction& interaction) const {
  if (removals_.empty()) return false;
  const int64_t time_us = interaction.event_time_us;
  return Covers(Tombstone::Kind::kUser, interaction.user_id, offset, time_us) ||
         Covers(Tombstone::Kind::kItem, interaction.item_id, offset, time_us);
}

bool PendingRemovals::Covers(Tombstone::Kind kind, const std::string& id, Offset offset,
                             int64_t time_us) const {
  const auto at = removals_.find({kind, HashId(id)});
  return at != removals_.end() && (offset <= at->second.offset || time_us <= at->second.time_us);
}

}  // namespace groundswell
