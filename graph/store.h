// GraphStore: the RocksDB database of one server, and the only way to change it.
//
// Column families: `log`, `event_ids`, `users`, `items` (the catalogue), `snapshot_files`, and
// RocksDB's own `default` for what describes the others. Every key begins with the number of its
// namespace, so that several tenants can share one database; an open store reads and writes one
// namespace. docs/formats.md gives every key and value.
//
// Thread-safety: all methods may be called from any thread. Errors: NotFound and FailedPrecondition
// as documented, DataLoss for bytes that are not what was written, ResourceExhausted when the disk
// is full, Unavailable for other I/O errors.
#ifndef GROUNDSWELL_GRAPH_STORE_H_
#define GROUNDSWELL_GRAPH_STORE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "graph/catalogue.h"
#include "graph/ids.h"
#include "graph/interaction.h"
#include "graph/user_state.h"

namespace rocksdb {
class ColumnFamilyHandle;
class DB;
class WriteBatch;
}  // namespace rocksdb

namespace groundswell {

// How far the fold has come; see groundswell.storage.v1.GraphState.
struct GraphState {
  std::string snapshot_digest;
  Offset base_offset = 0;
  Offset applied_offset = 0;
  uint32_t user_count = 0;
  int64_t edge_count = 0;
  int64_t newest_event_time_us = 0;
};

class GraphStore {
 public:
  struct Options {
    std::string path;
    std::string name_space = "default";
    bool create = false;  // make the database, or the namespace in it, when it is not there
    size_t block_cache_bytes = size_t{256} << 20;
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
    void PutState(const GraphState& state);
    void PutUser(std::string_view user_id, const UserState& user);
    void PutItem(ItemIndex item, std::string_view id, std::string_view title,
                 std::string_view category);
    // One piece of a snapshot file; readers join the pieces in order.
    void PutSnapshotFileChunk(std::string_view file, uint32_t chunk, std::string_view bytes);
    void PutLogRecord(Offset offset, const Interaction& interaction);
    void PutLogBytes(Offset offset, std::string_view record);
    void PutEventId(std::string_view event_id, Offset offset);
    void DeleteEventId(std::string_view event_id);
    size_t bytes() const;
    void Clear();

   private:
    friend class GraphStore;
    const GraphStore& store_;
    std::unique_ptr<rocksdb::WriteBatch> batch_;
    std::string value_;  // reused for encoding
  };

  // Applies the batch atomically; with `sync` it is on disk when this returns. On an error nothing
  // of it is visible, and the same batch may be committed again.
  absl::Status Commit(Batch& batch, bool sync);

  // NotFound when nothing was imported into this namespace.
  absl::StatusOr<GraphState> ReadState() const;

  // nullopt for a user that was never seen.
  absl::StatusOr<std::optional<UserState>> ReadUser(std::string_view user_id) const;
  // Calls `visit` for every user in key order; stops at the first error, also of `visit`.
  absl::Status ForEachUser(
      const std::function<absl::Status(std::string_view user_id, UserState user)>& visit) const;

  absl::StatusOr<Catalogue> ReadCatalogue() const;

  absl::StatusOr<std::vector<std::string>> ListSnapshotFiles() const;
  absl::StatusOr<uint64_t> SnapshotFileBytes(std::string_view file) const;
  // Fills `out`, whose size must be SnapshotFileBytes.
  absl::Status ReadSnapshotFile(std::string_view file, std::span<std::byte> out) const;

  // Reads up to `limit` records from offset `from` on. A gap between two records, or a record that
  // fails its checksum, is DataLoss.
  absl::StatusOr<std::vector<std::pair<Offset, Interaction>>> ReadLog(Offset from,
                                                                      size_t limit) const;
  // The same as undecoded bytes, for copying.
  absl::Status ForEachLogRecord(
      const std::function<absl::Status(Offset offset, std::string_view record)>& visit) const;
  // Offset of the newest record; 0 when the log is empty.
  absl::StatusOr<Offset> LastLogOffset() const;
  // The offset under which the event id was logged; nullopt when it is not in the window.
  absl::StatusOr<std::optional<Offset>> FindEventId(std::string_view event_id) const;

  // Lets a database that stopped after a full disk write again. OK when there was nothing to do.
  absl::Status Resume();

  // RocksDB's own figures, by name, for the metrics.
  std::vector<std::pair<std::string, double>> Figures() const;

 private:
  enum Column { kDefault, kLog, kEventIds, kUsers, kItems, kSnapshotFiles, kColumnCount };

  GraphStore() = default;
  absl::Status CheckSchema(const Options& options, bool is_new);
  absl::Status BindNamespace(const Options& options);
  std::string Key(std::string_view rest = {}) const;
  std::string LogKey(Offset offset) const;

  std::unique_ptr<rocksdb::DB> db_;
  std::array<rocksdb::ColumnFamilyHandle*, kColumnCount> columns_{};
  std::string prefix_;  // the namespace's number, big-endian
};

}  // namespace groundswell

#endif  // GROUNDSWELL_GRAPH_STORE_H_
