// What an operator set while the server ran, by name.
#include <fmt/format.h>
#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include "graph/store.h"

namespace groundswell {
namespace {

std::string NameOf(std::string_view setting) { return fmt::format("setting/{}", setting); }

}  // namespace

void GraphStore::Batch::PutSetting(std::string_view name, std::string_view value) {
  batch_
      ->Put(store_.columns_[kDefault], store_.Key(NameOf(name)),
            rocksdb::Slice(value.data(), value.size()))
      .PermitUncheckedError();  // only fails on values of 4 GiB
}

absl::StatusOr<std::string> GraphStore::ReadSetting(std::string_view name) const {
  std::string value;
  const rocksdb::Status got = db_->Get({}, columns_[kDefault], Key(NameOf(name)), &value);
  if (got.IsNotFound()) return std::string();
  if (!got.ok()) return ToStatus(got, fmt::format("cannot read the setting {}", name));
  return value;
}

}  // namespace groundswell
