// What an operator set while the server ran, by name.
#include <fmt/format.h>
#include <rocksdb/slice.h>

#include "graph/store/store.h"

namespace groundswell {
namespace {

constexpr std::string_view kPrefix = "setting/";

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

absl::Status GraphStore::ForEachSetting(
    const std::function<void(std::string_view name, std::string_view value)>& visit) const {
  auto at = database_->Read(Column::kDefault, database_->Key(kPrefix));
  for (; at.Valid(); at.Next()) visit(at.rest(), at.value());
  return at.Check("cannot read the settings");
}

}  // namespace groundswell
