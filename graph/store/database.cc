#include "graph/store/database.h"

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
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdarg>
#include <cstdio>
#include <filesystem>
#include <future>
#include <limits>
#include <memory>
#include <thread>

#include "graph/log/record.h"
#include "graph/store/recoverable_files.h"
#include "graph/store/write_ahead_check.h"

namespace groundswell {
namespace {

constexpr std::string_view kSchemaKey = "schema";
constexpr std::string_view kSchemaVersion = "3";
// The same columns; what differs is rewritten by who owns it, once its namespace is opened.
constexpr std::string_view kUpgradedSchemaVersion = "2";
// A file of ours beside RocksDB's, there for a moment.
constexpr char kProbeName[] = "PROBE";
constexpr size_t kProbeBytes = 4096;
// After a write that failed.
constexpr std::chrono::seconds kCloseMax{5};
// In the order of Column.
constexpr const char* kColumnNames[] = {
    "default",  "log",   "event_ids",      "producers",   "tombstones",   "users",
    "user_ids", "items", "snapshot_files", "checkpoints", "users_before", "expiries"};
// Columns that hold what users contributed, or who they are.
constexpr Column kPersonalColumns[] = {Column::kLog,     Column::kEventIds,    Column::kUsers,
                                       Column::kUserIds, Column::kUsersBefore, Column::kExpiries,
                                       Column::kItems};

rocksdb::Slice ToSlice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }

// A RocksDB error in our terms; `doing` says what failed.
absl::Status ToStatus(const rocksdb::Status& status, std::string_view doing) {
  if (status.ok()) return absl::OkStatus();
  const std::string message = fmt::format("{}: {}", doing, status.ToString());
  if (status.IsNoSpace() || status.ToString().find("No space left") != std::string::npos) {
    return MarkPassing(absl::ResourceExhaustedError(
        fmt::format("{}; free space on the disk of server.data_dir", message)));
  }
  if (status.IsCorruption()) {
    return absl::DataLossError(fmt::format(
        "{}. Restore a backup (`groundswell-server restore`), or see what `groundswell-server "
        "repair` would lose",
        message));
  }
  absl::Status failed = absl::UnavailableError(message);
  return KindOfWriteError(message) == WriteErrorKind::kOther ? failed : MarkPassing(failed);
}

// What is wrong where the backup goes is no matter of the database's own disk.
absl::Status BackupStatus(const rocksdb::Status& status, const std::string& directory) {
  const std::string doing = fmt::format("cannot write the backup \"{}\"", directory);
  const std::string text = status.ToString();
  const std::string staging = directory + std::string(Database::kBackupStagingSuffix);
  const bool is_there = text.find(staging) != text.npos || text.find(directory + "/") != text.npos;
  if (status.ok() || status.IsCorruption() || !is_there) return ToStatus(status, doing);
  switch (KindOfWriteError(text)) {
    case WriteErrorKind::kNoSpace:
    case WriteErrorKind::kQuota:
      return absl::ResourceExhaustedError(fmt::format(
          "{}: {}; free space there, or name a directory on another disk", doing, text));
    case WriteErrorKind::kOther:
      return absl::FailedPreconditionError(
          fmt::format("{}: {}{}", doing, text,
                      text.find("Permission denied") == text.npos
                          ? ""
                          : "; see who owns the directory that is to hold it"));
    default:
      return ToStatus(status, doing);
  }
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

// Part of a write buffer, for the filter of what is not in it.
constexpr double kMemtableFilterShare = 0.05;
// Full ones wait for the disk while events go into the next, up to this many.
constexpr int kWriteBuffers = 4;

// Of one column, where all together have so much.
size_t OneWriteBuffer(size_t write_buffer_bytes) {
  return std::min(rocksdb::ColumnFamilyOptions().write_buffer_size, write_buffer_bytes);
}

rocksdb::ColumnFamilyOptions ColumnOptions(const std::shared_ptr<rocksdb::Cache>& cache,
                                           size_t write_buffer_bytes) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  rocksdb::ColumnFamilyOptions options;
  options.write_buffer_size = OneWriteBuffer(write_buffer_bytes);
  options.max_write_buffer_number = kWriteBuffers;
  options.arena_block_size = options.write_buffer_size / 64;  // RocksDB's own, also for small ones
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

// Open tables may take half of the descriptors: else they would take all of a small limit, and
// nothing could be written any more. -1: as many as there are.
int OpenTablesMax() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return -1;
  return static_cast<int>(std::min<rlim_t>(limit.rlim_cur / 2, std::numeric_limits<int>::max()));
}

rocksdb::DBOptions OptionsOf(const Database::Options& options, rocksdb::Env& env) {
  rocksdb::DBOptions db_options;
  db_options.create_if_missing = options.create;
  db_options.create_missing_column_families = options.create;
  db_options.max_background_jobs = 2;
  db_options.max_open_files = OpenTablesMax();
  db_options.info_log = std::make_shared<LogBridge>();
  db_options.max_total_wal_size = uint64_t{512} << 20;
  db_options.db_write_buffer_size = options.write_buffer_bytes;
  db_options.atomic_flush = true;
  db_options.env = &env;
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
  return db_options;
}

std::vector<rocksdb::ColumnFamilyDescriptor> ColumnsOf(const Database::Options& options) {
  const auto cache = rocksdb::NewLRUCache(options.block_cache_bytes);
  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
  for (const char* name : kColumnNames) {
    descriptors.emplace_back(name, ColumnOptions(cache, options.write_buffer_bytes));
  }
  // Nearly every event id that is looked up is new.
  rocksdb::ColumnFamilyOptions& event_ids =
      descriptors[static_cast<size_t>(Column::kEventIds)].options;
  event_ids.memtable_prefix_bloom_size_ratio = kMemtableFilterShare;
  event_ids.memtable_whole_key_filtering = true;
  return descriptors;
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
    rocksdb::Status locked = options.env->LockFile(path + "/LOCK", &lock);
    if (!locked.ok()) return locked;
    uint64_t until = 0;
    rocksdb::Status read = WriteAheadCheck::ReadTablesUntil(options, path, columns, until);
    options.env->UnlockFile(lock).PermitUncheckedError();
    if (!read.ok()) return read;
    const bool drops = options.wal_recovery_mode == rocksdb::WALRecoveryMode::kPointInTimeRecovery;
    opened.check = std::make_unique<WriteAheadCheck>(
        until, drops ? WriteAheadCheck::OnHole::kStop : WriteAheadCheck::OnHole::kRefuse);
    options.wal_filter = opened.check.get();
  }
  rocksdb::DB* db = nullptr;
  rocksdb::Status status = rocksdb::DB::Open(options, path, columns, &opened.columns, &db);
  opened.db.reset(db);
  if (status.ok() || opened.check == nullptr || opened.check->hole().empty()) return status;
  return rocksdb::Status::Corruption(opened.check->hole());
}

// RocksDB 7.8 can wait for ever for a recovery that it has given up: after an error of the
// write-ahead log that passes neither by itself nor by room on the disk.
bool ClosesInTime(rocksdb::DB& db) {
  const auto closed = std::make_shared<std::promise<void>>();
  std::future<void> done = closed->get_future();
  std::thread([&db, closed] {
    db.Close().PermitUncheckedError();
    closed->set_value();
  }).detach();
  return done.wait_for(kCloseMax) == std::future_status::ready;
}

// RocksDB has no code for it. Of a lock file that cannot be opened it says something else.
bool IsHeldByAnother(const rocksdb::Status& opened) {
  const std::string said = opened.ToString();
  return opened.IsIOError() && (said.find("While lock file") != std::string::npos ||
                                said.find("lock hold by current process") != std::string::npos);
}

// RocksDB takes it for a fault of its options when the manifest cannot be opened: for direct I/O,
// which is not asked for here, when it can the second time.
bool FailedAtManifest(const rocksdb::Status& opened) {
  const std::string said = opened.ToString();
  return opened.IsInvalidArgument() && (said.find("Direct I/O") != std::string::npos ||
                                        KindOfWriteError(said) != WriteErrorKind::kOther);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Database>> Database::Open(const Options& options) {
  const bool is_new = !std::filesystem::exists(std::filesystem::path(options.path) / "CURRENT");
  if (is_new && !options.create) {
    return absl::NotFoundError(
        fmt::format("server.data_dir \"{}\" holds no database; create it with `groundswell-server "
                    "import --snapshot DIR`",
                    options.path));
  }
  std::unique_ptr<Database> database(new Database);
  if (options.health != nullptr) database->health_ = options.health;
  // The files may outlive the database.
  const auto note = [failed = database->write_failed_,
                     tell = options.on_write_error](WriteErrorKind kind) {
    *failed = true;
    if (tell) tell(kind);
  };
  database->env_ =
      MakeRecoverableFiles(options.env != nullptr ? *options.env : *rocksdb::Env::Default(), note);
  OpenedFiles files;
  const rocksdb::Status opened =
      OpenFiles(OptionsOf(options, *database->env_), options.path, ColumnsOf(options), files);
  if (FailedAtManifest(opened)) {
    return MarkPassing(absl::UnavailableError(
        fmt::format("cannot open \"{}\": the disk did not let its manifest be opened ({})",
                    options.path, opened.ToString())));
  }
  if (opened.IsInvalidArgument()) {  // other column families: not ours, or of another time
    return absl::FailedPreconditionError(
        fmt::format("\"{}\" is not a Groundswell database of schema version {}: {}", options.path,
                    kSchemaVersion, opened.ToString()));
  }
  if (IsHeldByAnother(opened)) {
    return absl::UnavailableError(fmt::format(
        "\"{}\" is in use by another process, perhaps the server that serves it; stop that one "
        "first, or give another directory ({})",
        options.path, opened.ToString()));
  }
  if (!opened.ok()) return ToStatus(opened, fmt::format("cannot open \"{}\"", options.path));

  database->path_ = options.path;
  database->recovery_bytes_ = OneWriteBuffer(options.write_buffer_bytes);
  database->check_ = std::move(files.check);
  database->db_ = std::move(files.db);
  std::copy(files.columns.begin(), files.columns.end(), database->columns_.begin());
  if (absl::Status s = database->CheckSchema(options, is_new); !s.ok()) return s;
  if (absl::Status s = database->BindNamespace(options); !s.ok()) return s;
  return database;
}

Database::Database() : write_failed_(std::make_shared<std::atomic<bool>>(false)) {}

Database::~Database() {
  if (db_ == nullptr) return;
  const WriteHealth::Write closing(*health_);  // it waits for what RocksDB still writes
  for (rocksdb::ColumnFamilyHandle* column : columns_) {
    if (column != nullptr) db_->DestroyColumnFamilyHandle(column);
  }
  if (!*write_failed_ || health_ != &own_health_) {
    db_->Close().PermitUncheckedError();  // the process is done with it either way
    return;
  }
  if (ClosesInTime(*db_)) return;
  spdlog::error("the database \"{}\" does not close after a write that failed; it is left open",
                path_);
  // The thread that closes it uses all of them as long as there is a process.
  static_cast<void>(db_.release());
  static_cast<void>(check_.release());
  static_cast<void>(env_.release());
}

absl::Status Database::CheckSchema(const Options& options, bool is_new) {
  std::string found;
  const rocksdb::Status got = db_->Get({}, HandleOf(Column::kDefault), ToSlice(kSchemaKey), &found);
  if (got.IsNotFound() && is_new) {
    return ToStatus(
        db_->Put({}, HandleOf(Column::kDefault), ToSlice(kSchemaKey), ToSlice(kSchemaVersion)),
        "cannot write the schema version");
  }
  if (!got.ok() && !got.IsNotFound()) return ToStatus(got, "cannot read the schema version");
  if (found != kSchemaVersion && found != kUpgradedSchemaVersion) {
    return absl::FailedPreconditionError(
        fmt::format("database \"{}\" has schema version \"{}\"; this server reads \"{}\". Import "
                    "the snapshot into a new directory",
                    options.path, found, kSchemaVersion));
  }
  // Before anything else is written: an older server, which would not understand it, must refuse
  // it. And with nothing in memory to flush, RocksDB would go on with the write-ahead log file
  // whose first write failed, after a full disk, and Debian's build ends the process at the next
  // one.
  return ToStatus(
      db_->Put({}, HandleOf(Column::kDefault), ToSlice(kSchemaKey), ToSlice(kSchemaVersion)),
      "cannot write to the database");
}

absl::Status Database::BindNamespace(const Options& options) {
  const std::string key = fmt::format("namespace/{}", options.name_space);
  std::string number;
  const rocksdb::Status got = db_->Get({}, HandleOf(Column::kDefault), key, &number);
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
  std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator({}, HandleOf(Column::kDefault)));
  for (it->Seek("namespace/"); it->Valid() && it->key().starts_with("namespace/"); it->Next()) {
    ++count;
  }
  AppendKeyU32(prefix_, count);
  return ToStatus(db_->Put({}, HandleOf(Column::kDefault), key, prefix_),
                  "cannot add the namespace");
}

rocksdb::ColumnFamilyHandle* Database::HandleOf(Column column) const {
  return columns_[static_cast<size_t>(column)];
}

std::string Database::Key(std::string_view rest) const {
  std::string key;
  key.reserve(prefix_.size() + rest.size());
  return key.append(prefix_).append(rest);
}

Database::Batch::Batch(const Database& database)
    : database_(database), batch_(std::make_unique<rocksdb::WriteBatch>()) {}
Database::Batch::~Batch() = default;

// WriteBatch's own methods fail only on batches beyond 4 GiB of one key or value; all sizes here
// are bounded far below, so their status is dropped.
void Database::Batch::Put(Column column, std::string_view key, std::string_view value) {
  batch_->Put(database_.HandleOf(column), ToSlice(key), ToSlice(value)).PermitUncheckedError();
}

void Database::Batch::Delete(Column column, std::string_view key) {
  batch_->Delete(database_.HandleOf(column), ToSlice(key)).PermitUncheckedError();
}

void Database::Batch::DeleteRange(Column column, std::string_view begin, std::string_view end) {
  batch_->DeleteRange(database_.HandleOf(column), ToSlice(begin), ToSlice(end))
      .PermitUncheckedError();
}

// Every read has to look at what was deleted as a range.
void Database::Batch::DeleteStored(Column column, std::string_view begin, std::string_view end) {
  std::unique_ptr<rocksdb::Iterator> it(database_.db_->NewIterator({}, database_.HandleOf(column)));
  it->Seek(ToSlice(begin));
  // Iterators that fail are not valid: then nothing is deleted, and the next call sees to it.
  if (it->Valid() && it->key().compare(ToSlice(end)) < 0) DeleteRange(column, begin, end);
}

size_t Database::Batch::bytes() const { return batch_->GetDataSize(); }
void Database::Batch::Clear() { batch_->Clear(); }

absl::Status Database::Commit(Batch& batch, bool sync, std::string_view doing) {
  const WriteHealth::Write write(*health_);
  rocksdb::WriteOptions options;
  options.sync = sync;
  absl::Status written = ToStatus(db_->Write(options, batch.batch_.get()), doing);
  if (!written.ok()) disk_was_full_ = absl::IsResourceExhausted(written);
  return written;
}

Database::Moment Database::Now() const {
  rocksdb::DB* const db = db_.get();
  return {db->GetSnapshot(),
          [db](const rocksdb::Snapshot* moment) { db->ReleaseSnapshot(moment); }};
}

absl::StatusOr<bool> Database::Get(Column column, std::string_view key, std::string_view doing,
                                   rocksdb::PinnableSlice& value, const Moment& moment) const {
  rocksdb::ReadOptions options;
  options.snapshot = moment.get();
  const rocksdb::Status got = db_->Get(options, HandleOf(column), ToSlice(key), &value);
  if (got.IsNotFound()) return false;
  if (!got.ok()) return ToStatus(got, doing);
  return true;
}

Database::Cursor::Cursor(std::unique_ptr<rocksdb::Iterator> iterator, std::string prefix)
    : iterator_(std::move(iterator)), prefix_(std::move(prefix)) {}
Database::Cursor::Cursor(Cursor&&) noexcept = default;
Database::Cursor::~Cursor() = default;

bool Database::Cursor::Valid() const {
  return iterator_->Valid() && iterator_->key().starts_with(prefix_);
}

void Database::Cursor::Next() { iterator_->Next(); }
void Database::Cursor::Seek(std::string_view rest) { iterator_->Seek(prefix_ + std::string(rest)); }
void Database::Cursor::SeekBack(std::string_view rest) {
  iterator_->SeekForPrev(prefix_ + std::string(rest));
}

std::string_view Database::Cursor::rest() const {
  return iterator_->key().ToStringView().substr(prefix_.size());
}

std::string_view Database::Cursor::value() const { return iterator_->value().ToStringView(); }

absl::Status Database::Cursor::Check(std::string_view doing) const {
  return ToStatus(iterator_->status(), doing);
}

Database::Cursor Database::Read(Column column, std::string prefix, std::string_view from,
                                const Moment& moment) const {
  rocksdb::ReadOptions options;
  options.snapshot = moment.get();
  std::unique_ptr<rocksdb::Iterator> iterator(db_->NewIterator(options, HandleOf(column)));
  Cursor cursor(std::move(iterator), std::move(prefix));
  cursor.Seek(from);
  return cursor;
}

uint64_t Database::SizeOf(Column column, std::string_view begin, std::string_view end) const {
  const rocksdb::Range range(ToSlice(begin), ToSlice(end));
  rocksdb::SizeApproximationOptions options;
  options.include_memtables = true;
  uint64_t bytes = 0;
  db_->GetApproximateSizes(options, HandleOf(column), &range, 1, &bytes).PermitUncheckedError();
  return bytes;
}

absl::Status Database::EraseDeleted() {
  rocksdb::CompactRangeOptions options;
  options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
  for (const Column column : kPersonalColumns) {
    const rocksdb::Status compacted =
        db_->CompactRange(options, HandleOf(column), nullptr, nullptr);
    if (!compacted.ok()) return ToStatus(compacted, "cannot compact the database");
  }
  return absl::OkStatus();
}

absl::Status Database::Backup(const std::string& directory) const {
  rocksdb::Checkpoint* raw = nullptr;
  const rocksdb::Status created = rocksdb::Checkpoint::Create(db_.get(), &raw);
  if (!created.ok()) return ToStatus(created, "cannot begin a backup");
  const std::unique_ptr<rocksdb::Checkpoint> checkpoint(raw);
  return BackupStatus(checkpoint->CreateCheckpoint(directory), directory);
}

absl::Status Database::VerifyFiles() const {
  return ToStatus(db_->VerifyChecksum(), "a file of the database is damaged");
}

absl::Status Database::Resume() {
  const WriteHealth::Write write(*health_);
  const rocksdb::Status resumed = db_->Resume();
  // RocksDB looks itself whether the error has passed, every few seconds; until then it is busy.
  if (resumed.IsBusy() && disk_was_full_) {
    return absl::ResourceExhaustedError(
        "the disk was full and the database has not recovered yet; free space on the disk of "
        "server.data_dir");
  }
  if (resumed.IsBusy()) {
    return absl::UnavailableError(
        "a write failed and the database has not recovered yet; the log says why");
  }
  return ToStatus(resumed, "the database cannot write again yet");
}

absl::Status Database::ProbeDisk() const {
  const WriteHealth::Write write(*health_);
  if (disk_was_full_) {
    std::error_code error;
    const auto space = std::filesystem::space(path_, error);
    if (error || space.available < recovery_bytes_) {
      return absl::ResourceExhaustedError("the disk of server.data_dir is full");
    }
  }
  const std::string file = path_ + "/" + kProbeName;
  const rocksdb::Status written =
      rocksdb::WriteStringToFile(env_.get(), std::string(kProbeBytes, 'x'), file, /*sync=*/true);
  env_->DeleteFile(file).PermitUncheckedError();  // the next one writes it anew
  return ToStatus(written, "the disk of server.data_dir takes no file");
}

std::vector<std::pair<std::string, double>> Database::Figures() const {
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
  if (db_->GetIntProperty(HandleOf(Column::kDefault), "rocksdb.block-cache-usage", &cached)) {
    figures.emplace_back("block_cache_bytes", static_cast<double>(cached));
  }
  return figures;
}

}  // namespace groundswell
