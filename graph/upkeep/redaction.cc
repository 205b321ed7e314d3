#include "graph/upkeep/redaction.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "graph/log/entry_hash.h"
#include "graph/log/record.h"

namespace groundswell {
namespace {

constexpr size_t kBatchBytes = size_t{1} << 20;

using Tombstones = std::map<GraphStore::TombstoneKey, Tombstone>;

// The entry without what a tombstone forbids, and whose tombstone that is; nullopt: it may stay.
struct Replacement {
  LogEntry entry;
  Tombstones::iterator tombstone;
};

class Redactor {
 public:
  Redactor(GraphStore& store, Tombstones tombstones)
      : store_(store), tombstones_(std::move(tombstones)), batch_(store) {}

  absl::Status Visit(Offset offset, std::string_view record) {
    const absl::StatusOr<LogEntry> entry = DecodeLogRecord(record);
    if (!entry.ok()) return entry.status();
    std::optional<Replacement> replacement =
        std::visit([&](const auto& one) { return Replace(offset, one); }, *entry);
    if (!replacement.has_value()) return absl::OkStatus();
    batch_.PutLogEntry(offset, replacement->entry);
    ++replacement->tombstone->second.redacted_records;
    ++redacted_;
    return batch_.bytes() < kBatchBytes ? absl::OkStatus() : Commit();
  }

  // Everything up to the tombstones' offsets was visited.
  absl::StatusOr<int64_t> Finish() {
    for (auto& [key, tombstone] : tombstones_) tombstone.redacted = true;
    if (absl::Status s = store_.CommitRedacted(tombstones_, batch_); !s.ok()) return s;
    return redacted_;
  }

 private:
  Tombstones::iterator Find(Offset offset, Tombstone::Kind kind, const std::string& id) {
    const auto at = id.empty() ? tombstones_.end() : tombstones_.find({kind, HashId(id)});
    return at != tombstones_.end() && offset <= at->second.offset ? at : tombstones_.end();
  }

  std::optional<Replacement> Replace(Offset offset, const Interaction& interaction) {
    Redacted redacted{.event_time_us = interaction.event_time_us,
                      .event_id_hash = HashEventId(interaction.event_id)};
    const auto user = Find(offset, Tombstone::Kind::kUser, interaction.user_id);
    const auto item = Find(offset, Tombstone::Kind::kItem, interaction.item_id);
    if (user == tombstones_.end() && item == tombstones_.end()) return std::nullopt;
    if (user == tombstones_.end() && interaction.user_cluster.has_value()) {
      redacted.user_id = interaction.user_id;
      redacted.user_cluster = interaction.user_cluster;
    }
    if (item == tombstones_.end() && interaction.item_creation == ItemCreation::kDone) {
      redacted.created_item_id = interaction.item_id;
    }
    return Replacement{std::move(redacted), user != tombstones_.end() ? user : item};
  }

  std::optional<Replacement> Replace(Offset offset, const Redacted& redacted) {
    const auto user = Find(offset, Tombstone::Kind::kUser, redacted.user_id);
    const auto item = Find(offset, Tombstone::Kind::kItem, redacted.created_item_id);
    if (user == tombstones_.end() && item == tombstones_.end()) return std::nullopt;
    Redacted without = redacted;
    if (user != tombstones_.end()) {
      without.user_id.clear();
      without.user_cluster.reset();
    }
    if (item != tombstones_.end()) without.created_item_id.clear();
    return Replacement{std::move(without), user != tombstones_.end() ? user : item};
  }

  std::optional<Replacement> Replace(Offset offset, const ForgetUser& forget) {
    const auto at = Find(offset, Tombstone::Kind::kUser, forget.user_id);
    if (at == tombstones_.end()) return std::nullopt;
    ForgetUser without_id = forget;
    without_id.user_id.clear();
    return Replacement{std::move(without_id), at};
  }

  std::optional<Replacement> Replace(Offset offset, const RemoveItem& removal) {
    const auto at = Find(offset, Tombstone::Kind::kItem, removal.item_id);
    if (at == tombstones_.end()) return std::nullopt;
    RemoveItem without_id = removal;
    without_id.item_id.clear();
    return Replacement{std::move(without_id), at};
  }

  std::optional<Replacement> Replace(Offset offset, const UpsertItem& item) {
    const auto at = Find(offset, Tombstone::Kind::kItem, item.item_id);
    if (at == tombstones_.end()) return std::nullopt;
    return Replacement{Redacted{.event_id_hash = HashEventId(item.event_id)}, at};
  }

  std::optional<Replacement> Replace(Offset, const ActivateSnapshot&) { return std::nullopt; }
  std::optional<Replacement> Replace(Offset, const ResetBlend&) { return std::nullopt; }
  std::optional<Replacement> Replace(Offset, const SetListRules&) { return std::nullopt; }

  absl::Status Commit() {
    absl::Status status = store_.Commit(batch_, /*sync=*/false);
    batch_.Clear();
    return status;
  }

  GraphStore& store_;
  Tombstones tombstones_;
  GraphStore::Batch batch_;
  int64_t redacted_ = 0;
};

}  // namespace

absl::StatusOr<int64_t> RedactLog(GraphStore& store, Offset begin,
                                  const std::function<bool()>& keep_going) {
  Tombstones tombstones;
  Offset until = 0;
  absl::Status read = store.ForEachTombstone(
      [&](Tombstone::Kind kind, const IdHash& hash, const Tombstone& tombstone) {
        if (tombstone.redacted) return absl::OkStatus();
        tombstones.emplace(GraphStore::TombstoneKey{kind, hash}, tombstone);
        until = std::max(until, tombstone.offset);
        return absl::OkStatus();
      });
  if (!read.ok()) return read;
  if (tombstones.empty()) return int64_t{0};
  Redactor redactor(store, std::move(tombstones));
  absl::Status visited = store.ForEachLogRecord(
      begin, until, [&](Offset offset, std::string_view record) -> absl::Status {
        if (!keep_going()) return absl::CancelledError("the redaction was interrupted");
        return redactor.Visit(offset, record);
      });
  if (!visited.ok()) return visited;
  return redactor.Finish();
}

}  // namespace groundswell
