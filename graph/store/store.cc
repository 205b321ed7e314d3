#include "graph/store/store.h"

#include <fmt/format.h>
#include <rocksdb/slice.h>

#include <algorithm>

#include "graph/log/record.h"
#include "groundswell/storage/v1/graph_state.pb.h"

namespace groundswell {
namespace {

constexpr std::string_view kLogBeginKey = "log_begin";

// Of a record of the log, behind the namespace; of -1, all bits set: behind every offset.
std::string OffsetBytes(Offset offset) {
  std::string bytes;
  AppendKeyU64(bytes, static_cast<uint64_t>(offset));
  return bytes;
}

Offset OffsetIn(std::string_view bytes) { return static_cast<Offset>(KeySuffixU64(bytes)); }

std::string KeyOfTombstone(const Database& database, Tombstone::Kind kind, const IdHash& hash) {
  std::string key = database.Key();
  key.push_back(static_cast<char>(kind));
  key.append(hash.begin(), hash.end());
  return key;
}

absl::StatusOr<Tombstone> ParseTombstone(std::string_view bytes) {
  storage::v1::Tombstone message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return absl::DataLossError("a tombstone is damaged");
  }
  return Tombstone{
      .offset = message.offset(),
      .time_us = message.time_us(),
      .newest_event_time_us = message.newest_event_time_us(),
      .removed = {.users = message.removed().users(),
                  .edges = message.removed().edges(),
                  .weight = message.removed().weight()},
      .digest = StateDigest({.high = message.digest_high(), .low = message.digest_low()}),
      .redacted_records = message.redacted_records(),
      .redacted = message.redacted()};
}

}  // namespace

absl::StatusOr<std::unique_ptr<GraphStore>> GraphStore::Open(const Options& options) {
  absl::StatusOr<std::unique_ptr<Database>> database = Database::Open(options);
  if (!database.ok()) return database.status();
  if (absl::Status s = UpgradeEventIds(**database); !s.ok()) return s;
  return std::unique_ptr<GraphStore>(new GraphStore(*std::move(database)));
}

void GraphStore::Batch::PutLogEntry(Offset offset, const LogEntry& entry) {
  PutLogBytes(offset, EncodeLogRecord(entry));
}

void GraphStore::Batch::PutLogBytes(Offset offset, std::string_view record) {
  changes_.Put(Column::kLog, database_.Key(OffsetBytes(offset)), record);
}

void GraphStore::Batch::TruncateLogBefore(Offset offset) {
  changes_.DeleteRange(Column::kLog, database_.Key(OffsetBytes(0)),
                       database_.Key(OffsetBytes(offset)));
  changes_.Put(Column::kDefault, database_.Key(kLogBeginKey), OffsetBytes(offset));
}

void GraphStore::Batch::TruncateLogBehind(Offset offset) {
  changes_.DeleteRange(Column::kLog, database_.Key(OffsetBytes(offset + 1)),
                       database_.Key(OffsetBytes(-1)));
}

void GraphStore::Batch::PutEventId(const EventIdHash& hash, const LoggedEventId& logged) {
  groundswell::PutEventId(hash, logged, database_, changes_);
}

void GraphStore::Batch::DeleteEventId(const EventIdHash& hash) {
  groundswell::DeleteEventId(hash, database_, changes_);
}

void GraphStore::Batch::PutEventIdsBegin(Offset offset) {
  groundswell::PutEventIdsBegin(offset, database_, changes_);
}

void GraphStore::Batch::PutProducer(std::string_view id, const Producer& producer) {
  storage::v1::Producer message;
  message.set_last_sequence(producer.last_sequence);
  message.set_last_offset(producer.last_offset);
  message.set_refused_count(producer.refused_count);
  message.set_mark(producer.mark);
  changes_.Put(Column::kProducers, database_.Key(id), message.SerializeAsString());
}

void GraphStore::Batch::DeleteProducer(std::string_view id) {
  changes_.Delete(Column::kProducers, database_.Key(id));
}

void GraphStore::Batch::PutTombstone(Tombstone::Kind kind, const IdHash& hash,
                                     const Tombstone& tombstone) {
  storage::v1::Tombstone message;
  message.set_offset(tombstone.offset);
  message.set_time_us(tombstone.time_us);
  message.set_newest_event_time_us(tombstone.newest_event_time_us);
  message.mutable_removed()->set_users(tombstone.removed.users);
  message.mutable_removed()->set_edges(tombstone.removed.edges);
  message.mutable_removed()->set_weight(tombstone.removed.weight);
  message.set_digest_high(tombstone.digest.words().high);
  message.set_digest_low(tombstone.digest.words().low);
  message.set_redacted_records(tombstone.redacted_records);
  message.set_redacted(tombstone.redacted);
  changes_.Put(Column::kTombstones, KeyOfTombstone(database_, kind, hash),
               message.SerializeAsString());
  has_tombstones_ = true;
}

void GraphStore::Batch::Clear() {
  changes_.Clear();
  has_tombstones_ = false;
}

absl::Status GraphStore::Commit(Batch& batch, bool sync) {
  if (!batch.has_tombstones_) return database_->Commit(batch.changes(), sync);
  MutexLock lock(tombstones_mutex_);
  return database_->Commit(batch.changes(), sync);
}

absl::Status GraphStore::CommitRedacted(const std::map<TombstoneKey, Tombstone>& tombstones,
                                        Batch& batch) {
  MutexLock lock(tombstones_mutex_);
  for (const auto& [key, tombstone] : tombstones) {
    const auto now = FindTombstone(key.first, key.second);
    if (!now.ok()) return now.status();
    if (!now->has_value() || (*now)->offset != tombstone.offset) continue;
    batch.PutTombstone(key.first, key.second, tombstone);
  }
  return database_->Commit(batch.changes(), /*sync=*/true);
}

absl::StatusOr<std::vector<std::pair<Offset, LogEntry>>> GraphStore::ReadLog(Offset from,
                                                                             size_t limit) const {
  std::vector<std::pair<Offset, LogEntry>> entries;
  auto at = database_->Read(Column::kLog, database_->Key(), OffsetBytes(from));
  for (; at.Valid() && entries.size() < limit; at.Next()) {
    const Offset offset = OffsetIn(at.rest());
    const Offset expected = from + static_cast<Offset>(entries.size());
    if (offset != expected) {
      return absl::DataLossError(
          fmt::format("the log has no record at offset {}; the next is {}", expected, offset));
    }
    absl::StatusOr<LogEntry> entry = DecodeLogRecord(at.value());
    if (!entry.ok()) {
      return absl::DataLossError(
          fmt::format("at offset {}: {}", offset, std::string(entry.status().message())));
    }
    entries.emplace_back(offset, *std::move(entry));
  }
  if (absl::Status s = at.Check("cannot read the log"); !s.ok()) return s;
  return entries;
}

absl::Status GraphStore::ForEachLogRecord(
    Offset from, Offset until,
    const std::function<absl::Status(Offset, std::string_view)>& visit) const {
  auto at = database_->Read(Column::kLog, database_->Key(), OffsetBytes(from));
  for (; at.Valid(); at.Next()) {
    const Offset offset = OffsetIn(at.rest());
    if (offset > until) break;
    if (absl::Status s = visit(offset, at.value()); !s.ok()) return s;
  }
  return at.Check("cannot read the log");
}

absl::StatusOr<Offset> GraphStore::LogBegin() const {
  rocksdb::PinnableSlice value;
  const absl::StatusOr<bool> found = database_->Get(Column::kDefault, database_->Key(kLogBeginKey),
                                                    "cannot read where the log begins", value);
  if (!found.ok()) return found.status();
  if (*found) return OffsetIn(value.ToStringView());
  const auto first = database_->Read(Column::kLog, database_->Key());
  if (absl::Status s = first.Check("cannot read the log"); !s.ok()) return s;
  return first.Valid() ? OffsetIn(first.rest()) : 0;
}

absl::StatusOr<Offset> GraphStore::LastLogOffset() const {
  auto last = database_->Read(Column::kLog, database_->Key(), OffsetBytes(-1));
  last.SeekBack(OffsetBytes(-1));
  if (absl::Status s = last.Check("cannot read the log"); !s.ok()) return s;
  return last.Valid() ? OffsetIn(last.rest()) : 0;
}

uint64_t GraphStore::LogBytes() const {
  return database_->SizeOf(Column::kLog, database_->Key(OffsetBytes(0)),
                           database_->Key(OffsetBytes(-1)));
}

absl::StatusOr<std::optional<LoggedEventId>> GraphStore::FindEventId(
    const EventIdHash& hash) const {
  return groundswell::FindEventId(hash, *database_);
}

absl::StatusOr<std::optional<Offset>> GraphStore::EventIdsBegin() const {
  return ReadEventIdsBegin(*database_);
}

absl::StatusOr<std::map<std::string, Producer>> GraphStore::ReadProducers() const {
  std::map<std::string, Producer> producers;
  auto at = database_->Read(Column::kProducers, database_->Key());
  for (; at.Valid(); at.Next()) {
    storage::v1::Producer message;
    if (!message.ParseFromArray(at.value().data(), static_cast<int>(at.value().size()))) {
      return absl::DataLossError("the record of a producer is damaged");
    }
    producers.emplace(at.rest(), Producer{.last_sequence = message.last_sequence(),
                                          .last_offset = message.last_offset(),
                                          .refused_count = message.refused_count(),
                                          .mark = message.mark()});
  }
  if (absl::Status s = at.Check("cannot read the producers"); !s.ok()) return s;
  return producers;
}

absl::StatusOr<std::optional<Tombstone>> GraphStore::FindTombstone(Tombstone::Kind kind,
                                                                   const IdHash& hash) const {
  rocksdb::PinnableSlice value;
  const absl::StatusOr<bool> found =
      database_->Get(Column::kTombstones, KeyOfTombstone(*database_, kind, hash),
                     "cannot look up a tombstone", value);
  if (!found.ok()) return found.status();
  if (!*found) return std::nullopt;
  absl::StatusOr<Tombstone> tombstone = ParseTombstone(value.ToStringView());
  if (!tombstone.ok()) return tombstone.status();
  return std::optional<Tombstone>(*tombstone);
}

absl::Status GraphStore::ForEachTombstone(
    const std::function<absl::Status(Tombstone::Kind, const IdHash&, const Tombstone&)>& visit)
    const {
  auto at = database_->Read(Column::kTombstones, database_->Key());
  for (; at.Valid(); at.Next()) {
    const std::string_view rest = at.rest();
    IdHash hash;
    if (rest.size() != 1 + hash.size()) return absl::DataLossError("a tombstone's key is damaged");
    std::copy(rest.begin() + 1, rest.end(), hash.begin());
    const absl::StatusOr<Tombstone> tombstone = ParseTombstone(at.value());
    if (!tombstone.ok()) return tombstone.status();
    if (absl::Status s = visit(Tombstone::Kind{rest[0]}, hash, *tombstone); !s.ok()) return s;
  }
  return at.Check("cannot read the tombstones");
}

absl::Status GraphStore::ForgetAcknowledgedBehind(Offset offset, Batch& batch) const {
  absl::Status forgotten = ForgetEventIdsBehind(offset, *database_, batch.changes());
  if (!forgotten.ok()) return forgotten;
  const auto producers = ReadProducers();
  if (!producers.ok()) return producers.status();
  for (const auto& [id, producer] : *producers) {
    if (producer.last_offset > offset) batch.DeleteProducer(id);
  }
  return absl::OkStatus();
}

}  // namespace groundswell
