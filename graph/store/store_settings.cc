// What an operator set while the server ran, by name, and how far a shared log was taken.
#include <fmt/format.h>
#include <rocksdb/slice.h>

#include <algorithm>

#include "graph/store/store.h"
#include "groundswell/storage/v1/shared_log.pb.h"

namespace groundswell {
namespace {

constexpr std::string_view kPrefix = "setting/";
constexpr std::string_view kSharedLogKey = "shared_log";

std::string NameOf(std::string_view setting) { return fmt::format("{}{}", kPrefix, setting); }

}  // namespace

void GraphStore::Batch::PutSetting(std::string_view name, std::string_view value) {
  changes_.Put(Column::kDefault, database_.Key(NameOf(name)), value);
}

absl::StatusOr<std::string> GraphStore::ReadSetting(std::string_view name) const {
  rocksdb::PinnableSlice value;
  const absl::StatusOr<bool> found =
      database_->Get(Column::kDefault, database_->Key(NameOf(name)),
                     fmt::format("cannot read the setting {}", name), value);
  if (!found.ok()) return found.status();
  return *found ? value.ToString() : std::string();
}

void GraphStore::Batch::PutSharedLog(const SharedLog& log) {
  storage::v1::SharedLog message;
  message.set_log_id(log.id.data(), log.id.size());
  message.set_position(log.position);
  message.set_checksum(log.checksum);
  message.set_event_ids_max(log.event_ids_max);
  message.set_producers_max(log.producers_max);
  changes_.Put(Column::kDefault, database_.Key(kSharedLogKey), message.SerializeAsString());
}

void GraphStore::Batch::DeleteSharedLog() {
  changes_.Delete(Column::kDefault, database_.Key(kSharedLogKey));
}

absl::StatusOr<std::optional<SharedLog>> GraphStore::ReadSharedLog() const {
  rocksdb::PinnableSlice value;
  const absl::StatusOr<bool> found =
      database_->Get(Column::kDefault, database_->Key(kSharedLogKey),
                     "cannot read how far the shared log was taken", value);
  if (!found.ok()) return found.status();
  if (!*found) return std::nullopt;
  storage::v1::SharedLog message;
  SharedLog log;
  if (!message.ParseFromArray(value.data(), static_cast<int>(value.size())) ||
      message.log_id().size() != log.id.size()) {
    return absl::DataLossError("what the database keeps of its shared log is damaged");
  }
  std::copy(message.log_id().begin(), message.log_id().end(), log.id.begin());
  log.position = message.position();
  log.checksum = message.checksum();
  log.event_ids_max = message.event_ids_max();
  log.producers_max = message.producers_max();
  return std::optional<SharedLog>(log);
}

absl::Status GraphStore::ForEachSetting(
    const std::function<void(std::string_view name, std::string_view value)>& visit) const {
  auto at = database_->Read(Column::kDefault, database_->Key(kPrefix));
  for (; at.Valid(); at.Next()) visit(at.rest(), at.value());
  return at.Check("cannot read the settings");
}

}  // namespace groundswell
