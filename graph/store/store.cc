#include "graph/store/store.h"

#include <fmt/format.h>
#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/options.h>
#include <rocksdb/slice.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/checkpoint.h>
#include <rocksdb/write_batch.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "absl/strings/numbers.h"
#include "graph/log/record.h"
#include "graph/store/write_ahead_check.h"
#include "groundswell/storage/v1/graph_state.pb.h"

namespace groundswell {
namespace {

constexpr std::string_view kSchemaKey = "schema";
constexpr std::string_view kSchemaVersion = "2";
constexpr std::string_view kGenerationKey = "generation";
constexpr std::string_view kLogBeginKey = "log_begin";
constexpr const char* kColumnNames[] = {
    "default",  "log",   "event_ids",      "producers",   "tombstones",   "users",
    "user_ids", "items", "snapshot_files", "checkpoints", "users_before", "expiries"};

rocksdb::Slice ToSlice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }
std::string_view ToView(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }

std::string OffsetBytes(Offset offset) {
  std::string bytes;
  AppendKeyU64(bytes, static_cast<uint64_t>(offset));
  return bytes;
}

}  // namespace

absl::Status ToStatus(const rocksdb::Status& status, std::string_view doing) {
  if (status.ok()) return absl::OkStatus();
  const std::string message = fmt::format("{}: {}", doing, status.ToString());
  if (status.IsNoSpace() || status.ToString().find("No space left") != std::string::npos) {
    return absl::ResourceExhaustedError(
        fmt::format("{}; free space on the disk of server.data_dir", message));
  }
  if (status.IsCorruption()) {
    return absl::DataLossError(fmt::format(
        "{}. Restore a backup (`groundswell-server restore`), or see what `groundswell-server "
        "repair` would lose",
        message));
  }
  return absl::UnavailableError(message);
}

namespace {

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

// Part of a write buffer, for the filter of what is not in it.
constexpr double kMemtableFilterShare = 0.05;
// Full ones wait for the disk while events go into the next, up to this many.
constexpr int kWriteBuffers = 4;

rocksdb::ColumnFamilyOptions ColumnOptions(const std::shared_ptr<rocksdb::Cache>& cache,
                                           size_t write_buffer_bytes) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  rocksdb::ColumnFamilyOptions options;
  options.write_buffer_size = std::min(options.write_buffer_size, write_buffer_bytes);
  options.max_write_buffer_number = kWriteBuffers;
  options.arena_block_size = options.write_buffer_size / 64;  // RocksDB's own, also for small ones
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

struct OpenedFiles {
  std::unique_ptr<WriteAheadCheck> check;
  std::vector<rocksdb::ColumnFamilyHandle*> columns;
  std::unique_ptr<rocksdb::DB> db;
};

// Opens the database, unless what it replays has a hole. Where damage is dropped, so is what is
// behind the hole. One that is just being made has none.
rocksdb::Status OpenFiles(rocksdb::DBOptions options, const std::string& path,
                          const std::vector<rocksdb::ColumnFamilyDescriptor>& columns,
                          OpenedFiles& opened) {
  if (!options.create_if_missing) {
    // Held until the tables' end is known: another process would move it.
    rocksdb::FileLock* lock = nullptr;
    const rocksdb::Status locked = options.env->LockFile(path + "/LOCK", &lock);
    if (!locked.ok()) return locked;
    uint64_t until = 0;
    const rocksdb::Status read = WriteAheadCheck::ReadTablesUntil(options, path, columns, until);
    options.env->UnlockFile(lock).PermitUncheckedError();
    if (!read.ok()) return read;
    const bool drops = options.wal_recovery_mode == rocksdb::WALRecoveryMode::kPointInTimeRecovery;
    opened.check = std::make_unique<WriteAheadCheck>(
        until, drops ? WriteAheadCheck::OnHole::kStop : WriteAheadCheck::OnHole::kRefuse);
    options.wal_filter = opened.check.get();
  }
  rocksdb::DB* db = nullptr;
  const rocksdb::Status status = rocksdb::DB::Open(options, path, columns, &opened.columns, &db);
  opened.db.reset(db);
  if (status.ok() || opened.check == nullptr || opened.check->hole().empty()) return status;
  return rocksdb::Status::Corruption(opened.check->hole());
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
  db_options.max_total_wal_size = uint64_t{512} << 20;
  db_options.db_write_buffer_size = options.write_buffer_bytes;
  db_options.atomic_flush = true;
  if (options.env != nullptr) db_options.env = options.env;
  // Flushes and compactions can wait for the cores, callers cannot.
  for (const auto pool : {rocksdb::Env::Priority::LOW, rocksdb::Env::Priority::HIGH}) {
    db_options.env->LowerThreadPoolCPUPriority(pool, rocksdb::CpuPriority::kLow)
        .PermitUncheckedError();  // as good as it gets
  }
  // The check only warns, of tables that this version itself wrote under the number 0.
  db_options.verify_sst_unique_id_in_manifest = false;
  // A record that was cut off while it was written was never acknowledged. Any other damage is an
  // error, never a shorter log.
  db_options.wal_recovery_mode = options.drops_damaged_end
                                     ? rocksdb::WALRecoveryMode::kPointInTimeRecovery
                                     : rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;

  const auto cache = rocksdb::NewLRUCache(options.block_cache_bytes);
  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
  for (const char* name : kColumnNames) {
    descriptors.emplace_back(name, ColumnOptions(cache, options.write_buffer_bytes));
  }
  // Nearly every event id that is looked up is new.
  descriptors[kEventIds].options.memtable_prefix_bloom_size_ratio = kMemtableFilterShare;
  descriptors[kEventIds].options.memtable_whole_key_filtering = true;
  OpenedFiles files;
  const rocksdb::Status opened = OpenFiles(db_options, options.path, descriptors, files);
  if (opened.IsInvalidArgument()) {  // other column families: not ours, or of another time
    return absl::FailedPreconditionError(
        fmt::format("\"{}\" is not a Groundswell database of schema version {}: {}", options.path,
                    kSchemaVersion, opened.ToString()));
  }
  if (!opened.ok()) return ToStatus(opened, fmt::format("cannot open \"{}\"", options.path));

  std::unique_ptr<GraphStore> store(new GraphStore);
  store->path_ = options.path;
  store->check_ = std::move(files.check);
  store->db_ = std::move(files.db);
  std::copy(files.columns.begin(), files.columns.end(), store->columns_.begin());
  if (absl::Status s = store->CheckSchema(options, is_new); !s.ok()) return s;
  if (absl::Status s = store->BindNamespace(options); !s.ok()) return s;
  return store;
}

GraphStore::GraphStore() = default;

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
  // With nothing in memory to flush, RocksDB would go on with the write-ahead log file whose first
  // write failed, after a full disk, and Debian's build ends the process at the next one.
  return ToStatus(db_->Put({}, columns_[kDefault], ToSlice(kSchemaKey), ToSlice(kSchemaVersion)),
                  "cannot write to the database");
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

std::string GraphStore::TombstoneKey(Tombstone::Kind kind, const IdHash& hash) const {
  std::string key = prefix_;
  key.push_back(static_cast<char>(kind));
  key.append(hash.begin(), hash.end());
  return key;
}

GraphStore::Batch::Batch(const GraphStore& store)
    : store_(store), batch_(std::make_unique<rocksdb::WriteBatch>()) {}
GraphStore::Batch::~Batch() = default;

// WriteBatch's own methods fail only on batches beyond 4 GiB of one key or value; all sizes here
// are bounded far below, so their status is dropped.
void GraphStore::Batch::PutLogEntry(Offset offset, const LogEntry& entry) {
  PutLogBytes(offset, EncodeLogRecord(entry));
}

void GraphStore::Batch::PutLogBytes(Offset offset, std::string_view record) {
  batch_->Put(store_.columns_[kLog], store_.LogKey(offset), ToSlice(record)).PermitUncheckedError();
}

void GraphStore::Batch::TruncateLogBefore(Offset offset) {
  batch_->DeleteRange(store_.columns_[kLog], store_.LogKey(0), store_.LogKey(offset))
      .PermitUncheckedError();
  batch_->Put(store_.columns_[kDefault], store_.Key(kLogBeginKey), OffsetBytes(offset))
      .PermitUncheckedError();
}

void GraphStore::Batch::TruncateLogBehind(Offset offset) {
  batch_->DeleteRange(store_.columns_[kLog], store_.LogKey(offset + 1), store_.LogKey(-1))
      .PermitUncheckedError();
}

void GraphStore::Batch::PutEventId(std::string_view event_id, Offset offset) {
  batch_->Put(store_.columns_[kEventIds], store_.Key(event_id), OffsetBytes(offset))
      .PermitUncheckedError();
}

void GraphStore::Batch::DeleteEventId(std::string_view event_id) {
  batch_->Delete(store_.columns_[kEventIds], store_.Key(event_id)).PermitUncheckedError();
}

void GraphStore::Batch::PutProducer(std::string_view id, const Producer& producer) {
  storage::v1::Producer message;
  message.set_last_sequence(producer.last_sequence);
  message.set_last_offset(producer.last_offset);
  batch_->Put(store_.columns_[kProducers], store_.Key(id), message.SerializeAsString())
      .PermitUncheckedError();
}

void GraphStore::Batch::DeleteProducer(std::string_view id) {
  batch_->Delete(store_.columns_[kProducers], store_.Key(id)).PermitUncheckedError();
}

void GraphStore::Batch::PutTombstone(Tombstone::Kind kind, const IdHash& hash,
                                     const Tombstone& tombstone) {
  storage::v1::Tombstone message;
  message.set_offset(tombstone.offset);
  message.set_time_us(tombstone.time_us);
  message.mutable_removed()->set_users(tombstone.removed.users);
  message.mutable_removed()->set_edges(tombstone.removed.edges);
  message.mutable_removed()->set_weight(tombstone.removed.weight);
  message.set_digest_high(tombstone.digest.words().high);
  message.set_digest_low(tombstone.digest.words().low);
  message.set_redacted_records(tombstone.redacted_records);
  message.set_redacted(tombstone.redacted);
  batch_
      ->Put(store_.columns_[kTombstones], store_.TombstoneKey(kind, hash),
            message.SerializeAsString())
      .PermitUncheckedError();
}

void GraphStore::Batch::PutCurrentGeneration(uint32_t generation) {
  std::string number;
  AppendKeyU32(number, generation);
  batch_->Put(store_.columns_[kDefault], store_.Key(kGenerationKey), number).PermitUncheckedError();
}

size_t GraphStore::Batch::bytes() const { return batch_->GetDataSize(); }
void GraphStore::Batch::Clear() { batch_->Clear(); }

absl::Status GraphStore::Commit(Batch& batch, bool sync) {
  rocksdb::WriteOptions options;
  options.sync = sync;
  return ToStatus(db_->Write(options, batch.batch_.get()), "cannot write to the database");
}

GraphStore::Moment GraphStore::Now() const {
  rocksdb::DB* const db = db_.get();
  return {db->GetSnapshot(),
          [db](const rocksdb::Snapshot* moment) { db->ReleaseSnapshot(moment); }};
}

absl::StatusOr<uint32_t> GraphStore::CurrentGeneration() const {
  std::string value;
  const rocksdb::Status got = db_->Get({}, columns_[kDefault], Key(kGenerationKey), &value);
  if (got.IsNotFound()) return 0u;
  if (!got.ok()) return ToStatus(got, "cannot read which generation serves");
  uint32_t number = 0;
  for (const char byte : value) number = number << 8 | static_cast<uint8_t>(byte);
  return number;
}

absl::Status GraphStore::KeepOnlyGeneration(uint32_t generation) {
  static constexpr Column kColumns[] = {kUsers,       kUserIds,     kItems,   kSnapshotFiles,
                                        kCheckpoints, kUsersBefore, kExpiries};
  const auto key = [this](uint32_t number) {
    std::string bytes = prefix_;
    AppendKeyU32(bytes, number);
    return bytes;
  };
  rocksdb::WriteBatch batch;
  for (const Column column : kColumns) {
    DeleteRange(column, key(0), key(generation), batch);
    DeleteRange(column, key(generation + 1), key(0xffffffff), batch);
  }
  return ToStatus(db_->Write({}, &batch), "cannot delete what another snapshot left");
}

// Only where there is something: every read has to look at what was deleted as a range.
void GraphStore::DeleteRange(Column column, const std::string& begin, const std::string& end,
                             rocksdb::WriteBatch& batch) const {
  std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator({}, columns_[column]));
  it->Seek(begin);
  if (!it->Valid() || ToView(it->key()) >= std::string_view(end)) return;
  batch.DeleteRange(columns_[column], begin, end).PermitUncheckedError();
}

absl::StatusOr<std::vector<std::pair<Offset, LogEntry>>> GraphStore::ReadLog(Offset from,
                                                                             size_t limit) const {
  std::vector<std::pair<Offset, LogEntry>> entries;
  std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator({}, columns_[kLog]));
  for (it->Seek(LogKey(from)); it->Valid() && it->key().starts_with(prefix_); it->Next()) {
    if (entries.size() == limit) break;
    const auto offset = static_cast<Offset>(KeySuffixU64(ToView(it->key())));
    const Offset expected = from + static_cast<Offset>(entries.size());
    if (offset != expected) {
      return absl::DataLossError(
          fmt::format("the log has no record at offset {}; the next is {}", expected, offset));
    }
    absl::StatusOr<LogEntry> entry = DecodeLogRecord(ToView(it->value()));
    if (!entry.ok()) {
      return absl::DataLossError(
          fmt::format("at offset {}: {}", offset, std::string(entry.status().message())));
    }
    entries.emplace_back(offset, *std::move(entry));
  }
  if (absl::Status s = ToStatus(it->status(), "cannot read the log"); !s.ok()) return s;
  return entries;
}

absl::Status GraphStore::ForEachLogRecord(
    Offset from, Offset until,
    const std::function<absl::Status(Offset, std::string_view)>& visit) const {
  std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator({}, columns_[kLog]));
  for (it->Seek(LogKey(from)); it->Valid() && it->key().starts_with(prefix_); it->Next()) {
    const auto offset = static_cast<Offset>(KeySuffixU64(ToView(it->key())));
    if (offset > until) break;
    if (absl::Status s = visit(offset, ToView(it->value())); !s.ok()) return s;
  }
  return ToStatus(it->status(), "cannot read the log");
}

absl::StatusOr<Offset> GraphStore::LogBegin() const {
  std::string value;
  const rocksdb::Status got = db_->Get({}, columns_[kDefault], Key(kLogBeginKey), &value);
  if (got.ok()) return static_cast<Offset>(KeySuffixU64(value));
  if (!got.IsNotFound()) return ToStatus(got, "cannot read where the log begins");
  std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator({}, columns_[kLog]));
  it->Seek(LogKey(0));
  if (absl::Status s = ToStatus(it->status(), "cannot read the log"); !s.ok()) return s;
  if (!it->Valid() || !it->key().starts_with(prefix_)) return Offset{0};
  return static_cast<Offset>(KeySuffixU64(ToView(it->key())));
}

absl::StatusOr<Offset> GraphStore::LastLogOffset() const {
  std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator({}, columns_[kLog]));
  it->SeekForPrev(LogKey(-1));  // all bits set: behind every offset
  if (absl::Status s = ToStatus(it->status(), "cannot read the log"); !s.ok()) return s;
  if (!it->Valid() || !it->key().starts_with(prefix_)) return Offset{0};
  return static_cast<Offset>(KeySuffixU64(ToView(it->key())));
}

uint64_t GraphStore::LogBytes() const {
  const std::string begin = LogKey(0);
  const std::string end = LogKey(-1);
  const rocksdb::Range range(begin, end);
  rocksdb::SizeApproximationOptions options;
  options.include_memtables = true;
  uint64_t bytes = 0;
  db_->GetApproximateSizes(options, columns_[kLog], &range, 1, &bytes).PermitUncheckedError();
  return bytes;
}

absl::StatusOr<std::optional<Offset>> GraphStore::FindEventId(std::string_view event_id) const {
  rocksdb::PinnableSlice value;
  const rocksdb::Status got = db_->Get({}, columns_[kEventIds], Key(event_id), &value);
  if (got.IsNotFound()) return std::nullopt;
  if (!got.ok()) return ToStatus(got, "cannot look up the event id");
  return std::optional<Offset>(static_cast<Offset>(KeySuffixU64(ToView(value))));
}

absl::StatusOr<std::map<std::string, Producer>> GraphStore::ReadProducers() const {
  std::map<std::string, Producer> producers;
  std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator({}, columns_[kProducers]));
  for (it->Seek(prefix_); it->Valid() && it->key().starts_with(prefix_); it->Next()) {
    storage::v1::Producer message;
    if (!message.ParseFromArray(it->value().data(), static_cast<int>(it->value().size()))) {
      return absl::DataLossError("the record of a producer is damaged");
    }
    producers.emplace(
        ToView(it->key()).substr(prefix_.size()),
        Producer{.last_sequence = message.last_sequence(), .last_offset = message.last_offset()});
  }
  if (absl::Status s = ToStatus(it->status(), "cannot read the producers"); !s.ok()) return s;
  return producers;
}

namespace {

absl::StatusOr<Tombstone> ParseTombstone(std::string_view bytes) {
  storage::v1::Tombstone message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return absl::DataLossError("a tombstone is damaged");
  }
  return Tombstone{
      .offset = message.offset(),
      .time_us = message.time_us(),
      .removed = {.users = message.removed().users(),
                  .edges = message.removed().edges(),
                  .weight = message.removed().weight()},
      .digest = StateDigest({.high = message.digest_high(), .low = message.digest_low()}),
      .redacted_records = message.redacted_records(),
      .redacted = message.redacted()};
}

}  // namespace

absl::StatusOr<std::optional<Tombstone>> GraphStore::FindTombstone(Tombstone::Kind kind,
                                                                   const IdHash& hash) const {
  rocksdb::PinnableSlice value;
  const rocksdb::Status got = db_->Get({}, columns_[kTombstones], TombstoneKey(kind, hash), &value);
  if (got.IsNotFound()) return std::nullopt;
  if (!got.ok()) return ToStatus(got, "cannot look up a tombstone");
  absl::StatusOr<Tombstone> tombstone = ParseTombstone(ToView(value));
  if (!tombstone.ok()) return tombstone.status();
  return std::optional<Tombstone>(*tombstone);
}

absl::Status GraphStore::ForEachTombstone(
    const std::function<absl::Status(Tombstone::Kind, const IdHash&, const Tombstone&)>& visit)
    const {
  std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator({}, columns_[kTombstones]));
  for (it->Seek(prefix_); it->Valid() && it->key().starts_with(prefix_); it->Next()) {
    const std::string_view rest = ToView(it->key()).substr(prefix_.size());
    IdHash hash;
    if (rest.size() != 1 + hash.size()) return absl::DataLossError("a tombstone's key is damaged");
    std::copy(rest.begin() + 1, rest.end(), hash.begin());
    const absl::StatusOr<Tombstone> tombstone = ParseTombstone(ToView(it->value()));
    if (!tombstone.ok()) return tombstone.status();
    if (absl::Status s = visit(Tombstone::Kind{rest[0]}, hash, *tombstone); !s.ok()) return s;
  }
  return ToStatus(it->status(), "cannot read the tombstones");
}

absl::Status GraphStore::ForgetAcknowledgedBehind(Offset offset, Batch& batch) const {
  std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator({}, columns_[kEventIds]));
  for (it->Seek(prefix_); it->Valid() && it->key().starts_with(prefix_); it->Next()) {
    if (static_cast<Offset>(KeySuffixU64(ToView(it->value()))) <= offset) continue;
    batch.DeleteEventId(ToView(it->key()).substr(prefix_.size()));
  }
  if (absl::Status s = ToStatus(it->status(), "cannot read the event ids"); !s.ok()) return s;
  const auto producers = ReadProducers();
  if (!producers.ok()) return producers.status();
  for (const auto& [id, producer] : *producers) {
    if (producer.last_offset > offset) batch.DeleteProducer(id);
  }
  return absl::OkStatus();
}

absl::Status GraphStore::EraseDeleted() {
  rocksdb::CompactRangeOptions options;
  options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
  for (const Column column : {kLog, kEventIds, kUsers, kUserIds, kUsersBefore, kExpiries, kItems}) {
    const rocksdb::Status compacted =
        db_->CompactRange(options, columns_[column], nullptr, nullptr);
    if (!compacted.ok()) return ToStatus(compacted, "cannot compact the database");
  }
  return absl::OkStatus();
}

absl::Status GraphStore::Backup(const std::string& directory) const {
  rocksdb::Checkpoint* raw = nullptr;
  const rocksdb::Status created = rocksdb::Checkpoint::Create(db_.get(), &raw);
  if (!created.ok()) return ToStatus(created, "cannot begin a backup");
  const std::unique_ptr<rocksdb::Checkpoint> checkpoint(raw);
  return ToStatus(checkpoint->CreateCheckpoint(directory),
                  fmt::format("cannot write the backup \"{}\"", directory));
}

absl::Status GraphStore::VerifyFiles() const {
  return ToStatus(db_->VerifyChecksum(), "a file of the database is damaged");
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
  // Shared by all columns, so that their sum would be a multiple of it.
  uint64_t cached = 0;
  if (db_->GetIntProperty(columns_[kDefault], "rocksdb.block-cache-usage", &cached)) {
    figures.emplace_back("block_cache_bytes", static_cast<double>(cached));
  }
  return figures;
}

}  // namespace groundswell
