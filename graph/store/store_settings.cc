// What an operator set while the server ran, by name.
#include <fmt/format.h>
#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include "graph/store/store.h"

namespace groundswell {
namespace {

constexpr std::string_view kPrefix = "setting/";

std::string NameOf(std::string_view setting) { return fmt::format("{}{}", kPrefix, setting); }

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

absl::Status GraphStore::ForEachSetting(
    const std::function<void(std::string_view name, std::string_view value)>& visit) const {
  const std::string begin = Key(kPrefix);
  std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator({}, columns_[kDefault]));
  for (it->Seek(begin); it->Valid() && it->key().starts_with(begin); it->Next()) {
    const std::string_view key(it->key().data(), it->key().size());
    visit(key.substr(begin.size()), {it->value().data(), it->value().size()});
  }
  return ToStatus(it->status(), "cannot read the settings");
}

}  // namespace groundswell
