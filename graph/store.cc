#include "graph/store.h"

#include <fmt/format.h>
#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/options.h>
#include <rocksdb/slice.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "absl/strings/numbers.h"
#include "graph/record.h"
#include "groundswell/storage/v1/graph_state.pb.h"

namespace groundswell {
namespace {

constexpr std::string_view kSchemaKey = "schema";
constexpr std::string_view kSchemaVersion = "1";
constexpr std::string_view kStateKey = "state";
constexpr const char* kColumnNames[] = {"default", "log",   "event_ids",
                                        "users",   "items", "snapshot_files"};

rocksdb::Slice ToSlice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }
std::string_view ToView(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }

absl::Status ToStatus(const rocksdb::Status& status, std::string_view doing) {
  if (status.ok()) return absl::OkStatus();
  const std::string message = fmt::format("{}: {}", doing, status.ToString());
  if (status.IsNoSpace() || status.ToString().find("No space left") != std::string::npos) {
    return absl::ResourceExhaustedError(
        fmt::format("{}; free space on the disk of server.data_dir", message));
  }
  if (status.IsCorruption()) return absl::DataLossError(message);
  return absl::UnavailableError(message);
}

// RocksDB's warnings and errors, into our own log. Its log file would be on the same disk, and
// Debian's build asserts, and so ends the process, when it writes to that file after the disk was
// full.
class LogBridge final : public rocksdb::Logger {
 public:
  LogBridge() : rocksdb::Logger(rocksdb::InfoLogLevel::WARN_LEVEL) {}
  using rocksdb::Logger::Logv;
  void Logv(const char* format, va_list arguments) override {
    char text[kTextBytes];
    std::vsnprintf(text, sizeof(text), format, arguments);
    spdlog::warn("rocksdb: {}", text);
  }

 private:
  static constexpr size_t kTextBytes = 1024;
};

rocksdb::ColumnFamilyOptions ColumnOptions(const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  rocksdb::ColumnFamilyOptions options;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

}  // namespace

absl::StatusOr<std::unique_ptr<GraphStore>> GraphStore::Open(const Options& options) {
  const bool is_new = !std::filesystem::exists(std::filesystem::path(options.path) / "CURRENT");
  if (is_new && !options.create) {
    return absl::NotFoundError(
        fmt::format("server.data_dir \"{}\" holds no database; create it with `groundswell-server "
                    "import --snapshot DIR`",
                    options.path));
  }
  rocksdb::DBOptions db_options;
  db_options.create_if_missing = options.create;
  db_options.create_missing_column_families = options.create;
  db_options.max_background_jobs = 2;
  db_options.info_log = std::make_shared<LogBridge>();
  db_options.max_total_wal_size = uint64_t{256} << 20;

  const auto cache = rocksdb::NewLRUCache(options.block_cache_bytes);
  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
  for (const char* name : kColumnNames) descriptors.emplace_back(name, ColumnOptions(cache));

  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* db = nullptr;
  const rocksdb::Status opened =
      rocksdb::DB::Open(db_options, options.path, descriptors, &handles, &db);
  if (opened.IsInvalidArgument()) {  // other column families: not ours, or of another time
    return absl::FailedPreconditionError(
        fmt::format("\"{}\" is not a Groundswell database of schema version {}: {}", options.path,
                    kSchemaVersion, opened.ToString()));
  }
  if (!opened.ok()) return ToStatus(opened, fmt::format("cannot open \"{}\"", options.path));

  std::unique_ptr<GraphStore> store(new GraphStore);
  store->db_.reset(db);
  std::copy(handles.begin(), handles.end(), store->columns_.begin());
  if (absl::Status s = store->CheckSchema(options, is_new); !s.ok()) return s;
  if (absl::Status s = store->BindNamespace(options); !s.ok()) return s;
  return store;
}

GraphStore::~GraphStore() {
  if (db_ == nullptr) return;
  for (rocksdb::ColumnFamilyHandle* column : columns_) {
    if (column != nullptr) db_->DestroyColumnFamilyHandle(column);
  }
  db_->Close().PermitUncheckedError();  // the process is done with it either way
}

absl::Status GraphStore::CheckSchema(const Options& options, bool is_new) {
  std::string found;
  const rocksdb::Status got = db_->Get({}, columns_[kDefault], ToSlice(kSchemaKey), &found);
  if (got.IsNotFound() && is_new) {
    return ToStatus(db_->Put({}, columns_[kDefault], ToSlice(kSchemaKey), ToSlice(kSchemaVersion)),
                    "cannot write the schema version");
  }
  if (!got.ok() && !got.IsNotFound()) return ToStatus(got, "cannot read the schema version");
  if (found != kSchemaVersion) {
    return absl::FailedPreconditionError(
        fmt::format("database \"{}\" has schema version \"{}\"; this server reads \"{}\". Import "
                    "the snapshot into a new directory",
                    options.path, found, kSchemaVersion));
  }
  return absl::OkStatus();
}

absl::Status GraphStore::BindNamespace(const Options& options) {
  const std::string key = fmt::format("namespace/{}", options.name_space);
  std::string number;
  const rocksdb::Status got = db_->Get({}, columns_[kDefault], key, &number);
  if (got.ok() && number.size() == sizeof(uint32_t)) {
    prefix_ = number;
    return absl::OkStatus();
  }
  if (!got.IsNotFound()) return ToStatus(got, "cannot read the namespace");
  if (!options.create) {
    return absl::NotFoundError(
        fmt::format("database \"{}\" has no namespace \"{}\"; import a snapshot into it",
                    options.path, options.name_space));
  }
  uint32_t count = 0;
  std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator({}, columns_[kDefault]));
  for (it->Seek("namespace/"); it->Valid() && it->key().starts_with("namespace/"); it->Next()) {
    ++count;
  }
  AppendKeyU32(prefix_, count);
  return ToStatus(db_->Put({}, columns_[kDefault], key, prefix_), "cannot add the namespace");
}

std::string GraphStore::Key(std::string_view rest) const { return prefix_ + std::string(rest); }

std::string GraphStore::LogKey(Offset offset) const {
  std::string key = prefix_;
  AppendKeyU64(key, static_cast<uint64_t>(offset));
  return key;
}

GraphStore::Batch::Batch(const GraphStore& store)
    : store_(store), batch_(std::make_unique<rocksdb::WriteBatch>()) {}
GraphStore::Batch::~Batch() = default;

// WriteBatch's own methods fail only on batches beyond 4 GiB of one key or value; all sizes here
// are bounded far below, so their status is dropped.
void GraphStore::Batch::PutState(const GraphState& state) {
  storage::v1::GraphState message;
  message.set_snapshot_digest(state.snapshot_digest);
  message.set_base_offset(state.base_offset);
  message.set_applied_offset(state.applied_offset);
  message.set_user_count(state.user_count);
  message.set_edge_count(state.edge_count);
  message.set_newest_event_time_us(state.newest_event_time_us);
  batch_->Put(store_.columns_[kDefault], store_.Key(kStateKey), message.SerializeAsString())
      .PermitUncheckedError();
}

void GraphStore::Batch::PutUser(std::string_view user_id, const UserState& user) {
  EncodeUserState(user, value_);
  batch_->Put(store_.columns_[kUsers], store_.Key(user_id), value_).PermitUncheckedError();
}

void GraphStore::Batch::PutItem(ItemIndex item, std::string_view id, std::string_view title,
                                std::string_view category) {
  storage::v1::CatalogueItem message;
  message.set_item_id(std::string(id));
  message.set_title(std::string(title));
  message.set_category(std::string(category));
  std::string key = store_.prefix_;
  AppendKeyU32(key, ToInt(item));
  batch_->Put(store_.columns_[kItems], key, message.SerializeAsString()).PermitUncheckedError();
}

void GraphStore::Batch::PutSnapshotFileChunk(std::string_view file, uint32_t chunk,
                                             std::string_view bytes) {
  std::string key = store_.Key(file);
  key.push_back('\0');
  AppendKeyU32(key, chunk);
  batch_->Put(store_.columns_[kSnapshotFiles], key, ToSlice(bytes)).PermitUncheckedError();
}

void GraphStore::Batch::PutLogRecord(Offset offset, const Interaction& interaction) {
  PutLogBytes(offset, EncodeLogRecord(interaction));
}

void GraphStore::Batch::PutLogBytes(Offset offset, std::string_view record) {
  batch_->Put(store_.columns_[kLog], store_.LogKey(offset), ToSlice(record)).PermitUncheckedError();
}

void GraphStore::Batch::PutEventId(std::string_view event_id, Offset offset) {
  std::string value;
  AppendKeyU64(value, static_cast<uint64_t>(offset));
  batch_->Put(store_.columns_[kEventIds], store_.Key(event_id), value).PermitUncheckedError();
}

void GraphStore::Batch::DeleteEventId(std::string_view event_id) {
  batch_->Delete(store_.columns_[kEventIds], store_.Key(event_id)).PermitUncheckedError();
}

size_t GraphStore::Batch::bytes() const { return batch_->GetDataSize(); }
void GraphStore::Batch::Clear() { batch_->Clear(); }

absl::Status GraphStore::Commit(Batch& batch, bool sync) {
  rocksdb::WriteOptions options;
  options.sync = sync;
  return ToStatus(db_->Write(options, batch.batch_.get()), "cannot write to the database");
}

absl::StatusOr<GraphState> GraphStore::ReadState() const {
  std::string value;
  const rocksdb::Status got = db_->Get({}, columns_[kDefault], Key(kStateKey), &value);
  if (got.IsNotFound()) {
    return absl::NotFoundError("the database holds no snapshot; import one first");
  }
  if (!got.ok()) return ToStatus(got, "cannot read the graph state");
  storage::v1::GraphState message;
  if (!message.ParseFromString(value)) return absl::DataLossError("the graph state is damaged");
  return GraphState{.snapshot_digest = message.snapshot_digest(),
                    .base_offset = message.base_offset(),
                    .applied_offset = message.applied_offset(),
                    .user_count = message.user_count(),
                    .edge_count = message.edge_count(),
                    .newest_event_time_us = message.newest_event_time_us()};
}

absl::StatusOr<std::optional<UserState>> GraphStore::ReadUser(std::string_view user_id) const {
  rocksdb::PinnableSlice value;
  const rocksdb::Status got = db_->Get({}, columns_[kUsers], Key(user_id), &value);
  if (got.IsNotFound()) return std::nullopt;
  if (!got.ok()) return ToStatus(got, "cannot read the user");
  absl::StatusOr<UserState> user = DecodeUserState(ToView(value));
  if (!user.ok()) return user.status();
  return std::optional<UserState>(*std::move(user));
}

absl::Status GraphStore::ForEachUser(
    const std::function<absl::Status(std::string_view, UserState)>& visit) const {
  std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator({}, columns_[kUsers]));
  for (it->Seek(prefix_); it->Valid() && it->key().starts_with(prefix_); it->Next()) {
    absl::StatusOr<UserState> user = DecodeUserState(ToView(it->value()));
    if (!user.ok()) return user.status();
    const std::string_view id = ToView(it->key()).substr(prefix_.size());
    if (absl::Status s = visit(id, *std::move(user)); !s.ok()) return s;
  }
  return ToStatus(it->status(), "cannot read the users");
}

absl::StatusOr<Catalogue> GraphStore::ReadCatalogue() const {
  Catalogue catalogue;
  std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator({}, columns_[kItems]));
  for (it->Seek(prefix_); it->Valid() && it->key().starts_with(prefix_); it->Next()) {
    storage::v1::CatalogueItem item;
    if (!item.ParseFromArray(it->value().data(), static_cast<int>(it->value().size()))) {
      return absl::DataLossError(fmt::format("item {} is damaged", catalogue.size()));
    }
    catalogue.Add(item.item_id(), item.title(), item.category());
  }
  if (absl::Status s = ToStatus(it->status(), "cannot read the catalogue"); !s.ok()) return s;
  return catalogue;
}

absl::StatusOr<std::vector<std::string>> GraphStore::ListSnapshotFiles() const {
  std::vector<std::string> files;
  std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator({}, columns_[kSnapshotFiles]));
  it->Seek(prefix_);
  while (it->Valid() && it->key().starts_with(prefix_)) {
    const std::string_view rest = ToView(it->key()).substr(prefix_.size());
    files.emplace_back(rest.substr(0, rest.find('\0')));
    it->Seek(Key(files.back() + "\x01"));
  }
  if (absl::Status s = ToStatus(it->status(), "cannot list the snapshot"); !s.ok()) return s;
  return files;
}

absl::StatusOr<uint64_t> GraphStore::SnapshotFileBytes(std::string_view file) const {
  const std::string first = Key(std::string(file) + '\0');
  uint64_t bytes = 0;
  std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator({}, columns_[kSnapshotFiles]));
  for (it->Seek(first); it->Valid() && it->key().starts_with(first); it->Next()) {
    bytes += it->value().size();
  }
  if (absl::Status s = ToStatus(it->status(), "cannot read the snapshot"); !s.ok()) return s;
  return bytes;
}

absl::Status GraphStore::ReadSnapshotFile(std::string_view file, std::span<std::byte> out) const {
  const std::string first = Key(std::string(file) + '\0');
  size_t at = 0;
  std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator({}, columns_[kSnapshotFiles]));
  for (it->Seek(first); it->Valid() && it->key().starts_with(first); it->Next()) {
    const rocksdb::Slice chunk = it->value();
    if (chunk.size() > out.size() - at) break;
    std::memcpy(out.data() + at, chunk.data(), chunk.size());
    at += chunk.size();
  }
  if (absl::Status s = ToStatus(it->status(), "cannot read the snapshot"); !s.ok()) return s;
  if (at != out.size()) {
    return absl::DataLossError(fmt::format(
        "snapshot file \"{}\" holds {} bytes where {} were expected", file, at, out.size()));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::pair<Offset, Interaction>>> GraphStore::ReadLog(
    Offset from, size_t limit) const {
  std::vector<std::pair<Offset, Interaction>> records;
  std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator({}, columns_[kLog]));
  for (it->Seek(LogKey(from)); it->Valid() && it->key().starts_with(prefix_); it->Next()) {
    if (records.size() == limit) break;
    const auto offset = static_cast<Offset>(KeySuffixU64(ToView(it->key())));
    const Offset expected = from + static_cast<Offset>(records.size());
    if (offset != expected) {
      return absl::DataLossError(
          fmt::format("the log has no record at offset {}; the next is {}", expected, offset));
    }
    absl::StatusOr<Interaction> interaction = DecodeLogRecord(ToView(it->value()));
    if (!interaction.ok()) {
      return absl::DataLossError(
          fmt::format("at offset {}: {}", offset, std::string(interaction.status().message())));
    }
    records.emplace_back(offset, *std::move(interaction));
  }
  if (absl::Status s = ToStatus(it->status(), "cannot read the log"); !s.ok()) return s;
  return records;
}

absl::Status GraphStore::ForEachLogRecord(
    const std::function<absl::Status(Offset, std::string_view)>& visit) const {
  std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator({}, columns_[kLog]));
  for (it->Seek(prefix_); it->Valid() && it->key().starts_with(prefix_); it->Next()) {
    const auto offset = static_cast<Offset>(KeySuffixU64(ToView(it->key())));
    if (absl::Status s = visit(offset, ToView(it->value())); !s.ok()) return s;
  }
  return ToStatus(it->status(), "cannot read the log");
}

absl::StatusOr<Offset> GraphStore::LastLogOffset() const {
  std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator({}, columns_[kLog]));
  it->SeekForPrev(LogKey(-1));  // all bits set: behind every offset
  if (absl::Status s = ToStatus(it->status(), "cannot read the log"); !s.ok()) return s;
  if (!it->Valid() || !it->key().starts_with(prefix_)) return Offset{0};
  return static_cast<Offset>(KeySuffixU64(ToView(it->key())));
}

absl::StatusOr<std::optional<Offset>> GraphStore::FindEventId(std::string_view event_id) const {
  rocksdb::PinnableSlice value;
  const rocksdb::Status got = db_->Get({}, columns_[kEventIds], Key(event_id), &value);
  if (got.IsNotFound()) return std::nullopt;
  if (!got.ok()) return ToStatus(got, "cannot look up the event id");
  return std::optional<Offset>(static_cast<Offset>(KeySuffixU64(ToView(value))));
}

absl::Status GraphStore::Resume() {
  const rocksdb::Status resumed = db_->Resume();
  // After a full disk RocksDB looks for space itself, every few seconds; until then it is busy.
  if (resumed.IsBusy()) {
    return absl::ResourceExhaustedError(
        "the disk was full and the database has not recovered yet; free space on the disk of "
        "server.data_dir");
  }
  return ToStatus(resumed, "the database cannot write again yet");
}

std::vector<std::pair<std::string, double>> GraphStore::Figures() const {
  static constexpr std::pair<const char*, const char*> kProperties[] = {
      {"rocksdb.cur-size-all-mem-tables", "memtable_bytes"},
      {"rocksdb.total-sst-files-size", "sst_bytes"},
      {"rocksdb.block-cache-usage", "block_cache_bytes"},
      {"rocksdb.num-running-compactions", "running_compactions"},
      {"rocksdb.num-running-flushes", "running_flushes"},
      {"rocksdb.is-write-stopped", "write_stopped"},
      {"rocksdb.background-errors", "background_errors"},
      {"rocksdb.estimate-num-keys", "estimated_keys"}};
  std::vector<std::pair<std::string, double>> figures;
  for (const auto& [property, name] : kProperties) {
    uint64_t value = 0;
    if (db_->GetAggregatedIntProperty(property, &value)) {
      figures.emplace_back(name, static_cast<double>(value));
    }
  }
  return figures;
}

}  // namespace groundswell
