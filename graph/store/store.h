// GraphStore: the RocksDB database of one server, and the only way to change it.
//
// Every key begins with the number of its namespace, so that several tenants can share one
// database; an open store reads and writes one namespace. The log and what belongs to it (event
// ids, producers, tombstones) are one per namespace. What is folded over a snapshot is a Generation
// (generation.h): the one that serves, and while another snapshot is made ready a second one.
// docs/formats.md gives every key and value.
//
// Thread-safety: all methods may be called from any thread. Errors: NotFound and FailedPrecondition
// as documented, DataLoss for bytes that are not what was written, ResourceExhausted when the disk
// is full, Unavailable for other I/O errors.
#ifndef GROUNDSWELL_GRAPH_STORE_STORE_H_
#define GROUNDSWELL_GRAPH_STORE_STORE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "graph/ids.h"
#include "graph/log/log_entry.h"
#include "graph/state/state_digest.h"

namespace rocksdb {
class ColumnFamilyHandle;
class DB;
class Env;
class Snapshot;
class Status;
class WriteBatch;
}  // namespace rocksdb

namespace groundswell {

class WriteAheadCheck;

// What was taken out of the graph.
struct Removed {
  int64_t users = 0;
  int64_t edges = 0;
  Count weight = 0;  // sum of the counts
};

// That a user was forgotten or an item removed.
struct Tombstone {
  enum class Kind : char { kUser = 'u', kItem = 'i' };
  Offset offset = 0;    // of the log entry that asked for it
  int64_t time_us = 0;  // events that happened until then are late
  Removed removed;
  StateDigest digest;  // of the graph after it
  int64_t redacted_records = 0;
  bool redacted = false;  // no log record up to `offset` holds the id any more
};

// Where a producer's sequence stands.
struct Producer {
  int64_t last_sequence = 0;
  Offset last_offset = 0;  // the log's end when that was
};

class GraphStore {
 public:
  struct Options {
    std::string path;
    std::string name_space = "default";
    bool create = false;  // make the database, or the namespace in it, when it is not there
    size_t block_cache_bytes = size_t{256} << 20;
    // All column families together; they are flushed together, so that none runs ahead of another.
    // Events go on while full buffers are written: beside a slow disk it can be as much again.
    size_t write_buffer_bytes = size_t{256} << 20;
    rocksdb::Env* env = nullptr;  // the file system; nullptr: the machine's. Must outlive the store
    // Opens also a database whose write-ahead log is damaged: what is behind the damage is dropped.
    bool drops_damaged_end = false;
  };

  // NotFound when there is no database and `create` is false; FailedPrecondition when the database
  // has another schema version; Unavailable when another process holds it.
  static absl::StatusOr<std::unique_ptr<GraphStore>> Open(const Options& options);
  ~GraphStore();

  // Collects changes that become visible together or not at all.
  class Batch {
   public:
    explicit Batch(const GraphStore& store);
    ~Batch();
    void PutLogEntry(Offset offset, const LogEntry& entry);
    void PutLogBytes(Offset offset, std::string_view record);
    // Takes the records before `offset` out of the log, which then begins there.
    void TruncateLogBefore(Offset offset);
    // Takes out the records behind `offset`.
    void TruncateLogBehind(Offset offset);
    void PutEventId(std::string_view event_id, Offset offset);
    void DeleteEventId(std::string_view event_id);
    void PutProducer(std::string_view id, const Producer& producer);
    void DeleteProducer(std::string_view id);
    void PutTombstone(Tombstone::Kind kind, const IdHash& hash, const Tombstone& tombstone);
    // Makes this generation the one that serves.
    void PutCurrentGeneration(uint32_t generation);
    // What an operator set while the server ran; kept as it is by everything that replaces a
    // snapshot or cuts the log.
    void PutSetting(std::string_view name, std::string_view value);
    size_t bytes() const;
    void Clear();

   private:
    friend class GraphStore;
    friend class Generation;
    const GraphStore& store_;
    std::unique_ptr<rocksdb::WriteBatch> batch_;
    std::string value_;  // reused for encoding
  };

  // Applies the batch atomically; with `sync` it is on disk when this returns. On an error nothing
  // of it is visible, and the same batch may be committed again.
  absl::Status Commit(Batch& batch, bool sync);

  // A moment of the whole store, for reads that belong together. Must not outlive the store.
  using Moment = std::shared_ptr<const rocksdb::Snapshot>;
  Moment Now() const;

  // Number of the generation that serves; 0 when nothing was imported.
  absl::StatusOr<uint32_t> CurrentGeneration() const;
  // Deletes every generation but this one: what an activation that was cut off left behind, or what
  // a finished one replaced.
  absl::Status KeepOnlyGeneration(uint32_t generation);

  // What PutSetting wrote; empty when it never did.
  absl::StatusOr<std::string> ReadSetting(std::string_view name) const;
  absl::Status ForEachSetting(
      const std::function<void(std::string_view name, std::string_view value)>& visit) const;

  // Reads up to `limit` entries from offset `from` on. A gap between two records, a record that
  // fails its checksum, or a beginning of the log behind `from`, is DataLoss.
  absl::StatusOr<std::vector<std::pair<Offset, LogEntry>>> ReadLog(Offset from, size_t limit) const;
  // The records from `from` to `until`, undecoded.
  absl::Status ForEachLogRecord(
      Offset from, Offset until,
      const std::function<absl::Status(Offset offset, std::string_view record)>& visit) const;
  // Offset of the oldest record kept, or of the first that will come where one was ever cut off; 0
  // for a log that is empty and was never cut.
  absl::StatusOr<Offset> LogBegin() const;
  // Offset of the newest record; 0 when the log is empty.
  absl::StatusOr<Offset> LastLogOffset() const;
  // About how much disk the log takes.
  uint64_t LogBytes() const;
  // The offset under which the event id was logged; nullopt when it is not in the window.
  absl::StatusOr<std::optional<Offset>> FindEventId(std::string_view event_id) const;
  absl::StatusOr<std::map<std::string, Producer>> ReadProducers() const;
  absl::StatusOr<std::optional<Tombstone>> FindTombstone(Tombstone::Kind kind,
                                                         const IdHash& hash) const;
  absl::Status ForEachTombstone(const std::function<absl::Status(Tombstone::Kind, const IdHash&,
                                                                 const Tombstone&)>& visit) const;

  // Into `batch`: that event ids and producers' sequences of entries behind `offset`, which were
  // lost, are not known any more.
  absl::Status ForgetAcknowledgedBehind(Offset offset, Batch& batch) const;

  // Writes everything that was deleted or replaced out of the files of the log and the users.
  absl::Status EraseDeleted();
  // A consistent copy of the whole database into a directory that is not there yet; on the same
  // disk it costs no space (hard links). Writing goes on meanwhile.
  absl::Status Backup(const std::string& directory) const;
  // Reads every block and compares checksums.
  absl::Status VerifyFiles() const;

  // Lets a database that stopped after a full disk write again. OK when there was nothing to do.
  absl::Status Resume();

  // RocksDB's own figures, by name, for the metrics.
  std::vector<std::pair<std::string, double>> Figures() const;

  const std::string& path() const { return path_; }

 private:
  friend class Generation;
  enum Column {
    kDefault,
    kLog,
    kEventIds,
    kProducers,
    kTombstones,
    kUsers,
    kUserIds,
    kItems,
    kSnapshotFiles,
    kCheckpoints,
    kUsersBefore,
    kExpiries,
    kColumnCount
  };

  GraphStore();
  absl::Status CheckSchema(const Options& options, bool is_new);
  absl::Status BindNamespace(const Options& options);
  void DeleteRange(Column column, const std::string& begin, const std::string& end,
                   rocksdb::WriteBatch& batch) const;
  std::string Key(std::string_view rest = {}) const;
  std::string LogKey(Offset offset) const;
  std::string TombstoneKey(Tombstone::Kind kind, const IdHash& hash) const;

  std::string path_;
  std::unique_ptr<WriteAheadCheck> check_;  // RocksDB keeps its address
  std::unique_ptr<rocksdb::DB> db_;
  std::array<rocksdb::ColumnFamilyHandle*, kColumnCount> columns_{};
  std::string prefix_;  // the namespace's number, big-endian
};

// A RocksDB error in our terms; `doing` says what failed.
absl::Status ToStatus(const rocksdb::Status& status, std::string_view doing);

}  // namespace groundswell

#endif  // GROUNDSWELL_GRAPH_STORE_STORE_H_
