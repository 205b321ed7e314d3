// Database: RocksDB, opened, checked and bound to one namespace: bytes under keys, in columns. What
// they mean is the log's (store.h) and the generations' (generation.h).
//
// Thread-safety: all const methods and Commit may be called from any thread. Errors: DataLoss for
// damaged files, ResourceExhausted when the disk is full, Unavailable for other I/O errors.
#ifndef GROUNDSWELL_GRAPH_STORE_DATABASE_H_
#define GROUNDSWELL_GRAPH_STORE_DATABASE_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "graph/store/write_error.h"
#include "graph/store/write_health.h"

namespace rocksdb {
class ColumnFamilyHandle;
class DB;
class Env;
class Iterator;
class PinnableSlice;
class Snapshot;
class WriteBatch;
}  // namespace rocksdb

namespace groundswell {

class WriteAheadCheck;

// Column families. docs/formats.md gives every key and value.
enum class Column {
  kDefault,  // what there is one of: each key has its own owner
  // The log's:
  kLog,
  kEventIds,
  kProducers,
  kTombstones,
  // The generations':
  kUsers,
  kUserIds,
  kItems,
  kSnapshotFiles,
  kCheckpoints,
  kUsersBefore,
  kExpiries,
  kCount
};

class Database {
 public:
  struct Options {
    std::string path;
    std::string name_space = "default";
    bool create = false;  // make the database, or the namespace in it, when it is not there
    size_t block_cache_bytes = size_t{256} << 20;
    // All column families together; they are flushed together, so that none runs ahead of another.
    // Events go on while full buffers are written: beside a slow disk it can be as much again.
    size_t write_buffer_bytes = size_t{256} << 20;
    rocksdb::Env* env = nullptr;  // the file system; nullptr: the machine's. Must outlive it
    // Opens also a database whose write-ahead log is damaged: what is behind the damage is dropped.
    bool drops_damaged_end = false;
    OnWriteError on_write_error;  // may be empty; must outlive the database
    // Told of writes and of the database's close; null: one of its own. Must outlive it.
    WriteHealth* health = nullptr;
  };

  // NotFound when there is no database and `create` is false; FailedPrecondition when the database
  // has another schema version; Unavailable when another process holds it.
  static absl::StatusOr<std::unique_ptr<Database>> Open(const Options& options);
  // After a write that failed RocksDB may never close. Who gave `health` sees that by it; for
  // others a few seconds are waited, and the files stay open until the process ends. What was
  // synced is safe either way.
  ~Database();

  // Collects changes that become visible together or not at all. Must not outlive the database.
  class Batch {
   public:
    explicit Batch(const Database& database);
    ~Batch();
    void Put(Column column, std::string_view key, std::string_view value);
    void Delete(Column column, std::string_view key);
    void DeleteRange(Column column, std::string_view begin, std::string_view end);
    // Likewise, but only where something is stored now.
    void DeleteStored(Column column, std::string_view begin, std::string_view end);
    size_t bytes() const;
    void Clear();
    // For who encodes a value, so that its memory is reused.
    std::string& scratch() { return scratch_; }

   private:
    friend class Database;
    const Database& database_;
    std::unique_ptr<rocksdb::WriteBatch> batch_;
    std::string scratch_;
  };

  // Applies the batch atomically; with `sync` it is on disk when this returns. On an error nothing
  // of it is visible, and the same batch may be committed again.
  absl::Status Commit(Batch& batch, bool sync,
                      std::string_view doing = "cannot write to the database");

  // A moment of the whole database, for reads that belong together. Must not outlive it.
  using Moment = std::shared_ptr<const rocksdb::Snapshot>;
  Moment Now() const;

  // Whether there is a value. In an error, `doing` says what failed.
  absl::StatusOr<bool> Get(Column column, std::string_view key, std::string_view doing,
                           rocksdb::PinnableSlice& value, const Moment& moment = nullptr) const;

  // Stands on one record after the other of those whose keys begin with a prefix, in their order.
  // Must not outlive the database.
  class Cursor {
   public:
    Cursor(Cursor&&) noexcept;
    ~Cursor();
    // False behind the last, and after an error: who has read to the end asks Check.
    bool Valid() const;
    void Next();
    // On to the first record whose key is not before the prefix and `rest`; back to the last that
    // is not behind it.
    void Seek(std::string_view rest);
    void SeekBack(std::string_view rest);
    // What is behind the prefix in the record's key, and its value; valid until the cursor moves.
    std::string_view rest() const;
    std::string_view value() const;
    absl::Status Check(std::string_view doing) const;

   private:
    friend class Database;
    Cursor(std::unique_ptr<rocksdb::Iterator> iterator, std::string prefix);
    std::unique_ptr<rocksdb::Iterator> iterator_;
    std::string prefix_;
  };
  // At the first key that is not before the prefix and `from`.
  Cursor Read(Column column, std::string prefix, std::string_view from = {},
              const Moment& moment = nullptr) const;

  // `rest` behind the number of the namespace, with which every key begins, so that several tenants
  // can share one database.
  std::string Key(std::string_view rest = {}) const;

  // About how much disk the keys from `begin` to `end` take.
  uint64_t SizeOf(Column column, std::string_view begin, std::string_view end) const;

  // Writes everything that was deleted or replaced out of the files of what users contributed.
  absl::Status EraseDeleted();
  // A consistent copy of the whole database into a directory that is not there yet; on the same
  // disk it costs no space (hard links). Writing goes on meanwhile.
  absl::Status Backup(const std::string& directory) const;
  // RocksDB writes a backup under its name with this behind it first, and empties what is there.
  static constexpr char kBackupStagingSuffix[] = ".tmp";
  // Reads every block and compares checksums.
  absl::Status VerifyFiles() const;
  // Lets a database that stopped after a full disk write again. OK when there was nothing to do.
  absl::Status Resume();
  // Whether the disk takes a small file, apart from the database; after a write that found it full,
  // also whether there is the room without which RocksDB does not go on.
  absl::Status ProbeDisk() const;
  WriteHealth& health() const { return *health_; }
  // RocksDB's own figures, by name, for the metrics.
  std::vector<std::pair<std::string, double>> Figures() const;

  const std::string& path() const { return path_; }

 private:
  Database();
  absl::Status CheckSchema(const Options& options, bool is_new);
  absl::Status BindNamespace(const Options& options);
  rocksdb::ColumnFamilyHandle* HandleOf(Column column) const;

  std::string path_;
  const std::shared_ptr<std::atomic<bool>> write_failed_;  // of any file, ever
  WriteHealth own_health_;
  WriteHealth* health_ = &own_health_;
  uint64_t recovery_bytes_ = 0;             // free ones that RocksDB wants after a full disk
  std::unique_ptr<rocksdb::Env> env_;       // RocksDB's own
  std::unique_ptr<WriteAheadCheck> check_;  // RocksDB keeps its address
  std::unique_ptr<rocksdb::DB> db_;
  std::array<rocksdb::ColumnFamilyHandle*, static_cast<size_t>(Column::kCount)> columns_{};
  std::string prefix_;                      // the namespace's number, big-endian
  std::atomic<bool> disk_was_full_{false};  // when the last write failed
};

}  // namespace groundswell

#endif  // GROUNDSWELL_GRAPH_STORE_DATABASE_H_
