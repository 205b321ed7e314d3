// Generation: what the store holds of one snapshot and of the graph folded over it: users, items,
// snapshot files, how far the fold has come, and a checkpoint of the item side.
//
// A checkpoint holds the item side as of an offset C. The user records go on; so the first change
// of a user behind C keeps the record as it was ("before"). The item side as of now is then the
// checkpoint's, less what those users contributed before, plus what they contribute now.
//
// Thread-safety: as GraphStore.
#ifndef GROUNDSWELL_GRAPH_STORE_GENERATION_H_
#define GROUNDSWELL_GRAPH_STORE_GENERATION_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "graph/ids.h"
#include "graph/state/catalogue.h"
#include "graph/state/shard_capture.h"
#include "graph/state/state_digest.h"
#include "graph/state/user_edges.h"
#include "graph/state/user_state.h"
#include "graph/store/store.h"

namespace groundswell {

// How far the fold has come; see groundswell.storage.v1.GraphState.
struct GraphState {
  std::string snapshot_digest;
  Offset base_offset = 0;
  Offset applied_offset = 0;
  uint32_t user_count = 0;      // next free index
  int64_t live_user_count = 0;  // less those that were forgotten
  int64_t edge_count = 0;       // pairs (user, item)
  int64_t newest_event_time_us = 0;
  std::optional<int64_t> least_delay_us;  // from an event to its receipt; of the log alone
  StateDigest digest;
  Window window;
  Removed removing;  // by the removal of an item that is under way
};

struct CheckpointInfo {
  Offset offset = 0;
  uint32_t shards = 0;
  uint64_t items = 0;
  uint32_t user_clusters = 0;
  uint32_t item_clusters = 0;
  int64_t create_time_us = 0;
  uint64_t bytes = 0;
};

struct StoredItem {
  std::string id;
  std::string title;
  std::string category;
  bool created = false;  // on the log; then with this cluster:
  Cluster cluster = 0;
  bool removed = false;
  // That it was given, in the space of the snapshot `clusters_of`; may be empty.
  std::vector<float> embedding;
  std::string clusters_of;
  bool upserted = false;  // by the log: title, category and availability outlive the snapshot
  Availability availability;
};

// That an edge of this user leaves a window of age when its time has come. Ordered by that time.
struct Expiry {
  Recency last;  // of the edge
  UserIndex user{};
  std::string user_id;
};

class Generation {
 public:
  // `store` must outlive it. Nothing is read or written.
  Generation(GraphStore& store, uint32_t number);
  // The one that serves; NotFound when nothing was imported.
  static absl::StatusOr<Generation> OpenCurrent(GraphStore& store);
  // Makes it the one that serves.
  void PutCurrent(GraphStore::Batch& batch) const;
  // Deletes every other: what an activation that was cut off left behind, or what a finished one
  // replaced.
  absl::Status KeepOnlyThis() const;

  uint32_t number() const { return number_; }

  void PutState(GraphStore::Batch& batch, const GraphState& state) const;
  // NotFound when there is none.
  absl::StatusOr<GraphState> ReadState(const GraphStore::Moment& moment = nullptr) const;

  // What was learned from the log up to the applied offset (Fold::Learning), in its own encoding.
  void PutLearned(GraphStore::Batch& batch, std::string_view learned) const;
  void DeleteLearned(GraphStore::Batch& batch) const;
  // nullopt: nothing yet, or the database is older than learning.
  absl::StatusOr<std::optional<std::string>> ReadLearned(
      const GraphStore::Moment& moment = nullptr) const;

  // Also remembers the id under the user's index.
  void PutNewUser(GraphStore::Batch& batch, std::string_view user_id, const UserState& user) const;
  void PutUser(GraphStore::Batch& batch, std::string_view user_id, const UserState& user) const;
  void DeleteUser(GraphStore::Batch& batch, std::string_view user_id, UserIndex index) const;
  // nullopt for a user that was never seen.
  absl::StatusOr<std::optional<UserState>> ReadUser(std::string_view user_id) const;
  absl::StatusOr<std::string> ReadUserId(UserIndex index) const;
  // Calls `visit` for every user in key order; stops at the first error, also of `visit`. With a
  // moment, as they were then.
  absl::Status ForEachUser(
      const std::function<absl::Status(std::string_view user_id, UserState user)>& visit,
      const GraphStore::Moment& moment = nullptr) const;

  void PutItem(GraphStore::Batch& batch, ItemIndex item, const StoredItem& stored) const;
  absl::StatusOr<std::vector<StoredItem>> ReadItems() const;
  // DataLoss when it does not exist.
  absl::StatusOr<StoredItem> ReadItem(ItemIndex item) const;

  // One piece of a snapshot file; readers join the pieces in order.
  void PutSnapshotFileChunk(GraphStore::Batch& batch, std::string_view file, uint32_t chunk,
                            std::string_view bytes) const;
  absl::StatusOr<std::vector<std::string>> ListSnapshotFiles() const;
  absl::StatusOr<uint64_t> SnapshotFileBytes(std::string_view file) const;
  // Fills `out`, whose size must be SnapshotFileBytes.
  absl::Status ReadSnapshotFile(std::string_view file, std::span<std::byte> out) const;

  // The complete checkpoint; nullopt when there is none.
  absl::StatusOr<std::optional<CheckpointInfo>> ReadCheckpoint() const;
  // Bytes that were put.
  size_t PutCheckpointShard(GraphStore::Batch& batch, Offset checkpoint,
                            const ItemShard& shard) const;
  absl::StatusOr<ItemShard> ReadCheckpointShard(Offset checkpoint, uint32_t shard) const;
  // Makes it the complete one.
  void PutCheckpoint(GraphStore::Batch& batch, const CheckpointInfo& info) const;
  // Shards and user records of every other checkpoint.
  absl::Status KeepOnlyCheckpoint(Offset checkpoint) const;
  // The user as the checkpoint knows it; nullptr for one that it does not know.
  void PutUserBefore(GraphStore::Batch& batch, Offset checkpoint, std::string_view user_id,
                     const UserState* user) const;
  absl::Status ForEachUserBefore(
      Offset checkpoint,
      const std::function<absl::Status(std::string_view user_id, std::optional<UserState> user)>&
          visit) const;

  void PutExpiry(GraphStore::Batch& batch, const Expiry& expiry) const;
  void DeleteExpiry(GraphStore::Batch& batch, Recency last, UserIndex user) const;
  // Up to `limit` of `from_us` and later, in order. (From the beginning, RocksDB would pass over
  // all that were deleted.)
  absl::StatusOr<std::vector<Expiry>> ReadExpiries(int64_t from_us, size_t limit) const;

 private:
  std::string Key(std::string_view rest = {}) const;
  std::string IndexKey(uint32_t index) const;
  std::string CheckpointKey(Offset checkpoint) const;
  std::string ExpiryKey(Recency last, UserIndex user) const;

  Database* database_;
  uint32_t number_;
  std::string prefix_;  // the namespace's number, then this one's
};

}  // namespace groundswell

#endif  // GROUNDSWELL_GRAPH_STORE_GENERATION_H_
