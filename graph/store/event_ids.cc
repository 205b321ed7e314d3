#include "graph/store/event_ids.h"

#include <rocksdb/slice.h>

#include <algorithm>
#include <limits>
#include <string>
#include <string_view>

#include "graph/log/entry_hash.h"
#include "graph/log/record.h"

namespace groundswell {
namespace {

constexpr std::string_view kBeginKey = "event_ids_begin";
constexpr size_t kUpgradeBatchBytes = size_t{1} << 20;
constexpr size_t kOffsetBytes = sizeof(uint64_t);
// Of a value of schema version 2: the offset alone.
constexpr size_t kOldValueBytes = kOffsetBytes;
constexpr size_t kValueBytes = kOffsetBytes + sizeof(uint64_t);

std::string KeyOf(const EventIdHash& hash, const Database& database) {
  return database.Key({reinterpret_cast<const char*>(hash.data()), hash.size()});
}

Offset OffsetOf(std::string_view value) {
  return static_cast<Offset>(KeySuffixU64(value.substr(0, kOffsetBytes)));
}

// What the id at `offset` was logged with. Of a record that cannot be read nothing is known: 0, and
// what comes again under the id is refused as something else.
absl::StatusOr<uint64_t> ContentHashAt(Offset offset, const Database& database) {
  std::string key = database.Key();
  AppendKeyU64(key, static_cast<uint64_t>(offset));
  rocksdb::PinnableSlice record;
  const absl::StatusOr<bool> found = database.Get(Column::kLog, key, "cannot read the log", record);
  if (!found.ok()) return found.status();
  if (!*found) return 0;
  const absl::StatusOr<LogEntry> entry = DecodeLogRecord(record.ToStringView());
  return entry.ok() ? ContentHashOf(*entry) : 0;
}

}  // namespace

void PutEventId(const EventIdHash& hash, const LoggedEventId& logged, const Database& database,
                Database::Batch& batch) {
  std::string value;
  AppendKeyU64(value, static_cast<uint64_t>(logged.offset));
  AppendKeyU64(value, logged.content_hash);
  batch.Put(Column::kEventIds, KeyOf(hash, database), value);
}

void DeleteEventId(const EventIdHash& hash, const Database& database, Database::Batch& batch) {
  batch.Delete(Column::kEventIds, KeyOf(hash, database));
}

absl::StatusOr<std::optional<LoggedEventId>> FindEventId(const EventIdHash& hash,
                                                         const Database& database) {
  rocksdb::PinnableSlice value;
  const absl::StatusOr<bool> found =
      database.Get(Column::kEventIds, KeyOf(hash, database), "cannot look up the event id", value);
  if (!found.ok()) return found.status();
  if (!*found) return std::nullopt;
  if (value.size() != kValueBytes) {
    return absl::DataLossError("what is kept of an event id is damaged");
  }
  return LoggedEventId{.offset = OffsetOf(value.ToStringView()),
                       .content_hash = KeySuffixU64(value.ToStringView())};
}

void PutEventIdsBegin(Offset offset, const Database& database, Database::Batch& batch) {
  std::string value;
  AppendKeyU64(value, static_cast<uint64_t>(offset));
  batch.Put(Column::kDefault, database.Key(kBeginKey), value);
}

absl::StatusOr<std::optional<Offset>> ReadEventIdsBegin(const Database& database) {
  rocksdb::PinnableSlice value;
  const absl::StatusOr<bool> found = database.Get(Column::kDefault, database.Key(kBeginKey),
                                                  "cannot read where the event ids begin", value);
  if (!found.ok()) return found.status();
  if (!*found) return std::nullopt;
  return OffsetOf(value.ToStringView());
}

absl::Status ForgetEventIdsBehind(Offset offset, const Database& database, Database::Batch& batch) {
  auto at = database.Read(Column::kEventIds, database.Key());
  for (; at.Valid(); at.Next()) {
    if (OffsetOf(at.value()) > offset) batch.Delete(Column::kEventIds, database.Key(at.rest()));
  }
  if (absl::Status s = at.Check("cannot read the event ids"); !s.ok()) return s;
  const absl::StatusOr<std::optional<Offset>> begin = ReadEventIdsBegin(database);
  if (!begin.ok()) return begin.status();
  if (begin->value_or(0) > offset) PutEventIdsBegin(offset + 1, database, batch);
  return absl::OkStatus();
}

absl::Status UpgradeEventIds(Database& database) {
  const absl::StatusOr<std::optional<Offset>> upgraded = ReadEventIdsBegin(database);
  if (!upgraded.ok()) return upgraded.status();
  if (upgraded->has_value()) return absl::OkStatus();
  Database::Batch batch(database);
  Offset begin = std::numeric_limits<Offset>::max();
  auto at = database.Read(Column::kEventIds, database.Key());
  for (; at.Valid(); at.Next()) {
    const Offset offset = OffsetOf(at.value());
    begin = std::min(begin, offset);
    if (at.value().size() != kOldValueBytes) continue;
    const absl::StatusOr<uint64_t> content_hash = ContentHashAt(offset, database);
    if (!content_hash.ok()) return content_hash.status();
    batch.Delete(Column::kEventIds, database.Key(at.rest()));
    PutEventId(HashEventId(at.rest()), {.offset = offset, .content_hash = *content_hash}, database,
               batch);
    if (batch.bytes() < kUpgradeBatchBytes) continue;
    if (absl::Status s = database.Commit(batch, /*sync=*/false); !s.ok()) return s;
    batch.Clear();
  }
  if (absl::Status s = at.Check("cannot read the event ids"); !s.ok()) return s;
  if (begin == std::numeric_limits<Offset>::max()) begin = 0;
  PutEventIdsBegin(begin, database, batch);
  return database.Commit(batch, /*sync=*/true);
}

}  // namespace groundswell
