// Staging: a checked snapshot becomes a generation of the store. Import and activation both go this
// way.
#ifndef GROUNDSWELL_SERVER_SERVING_SNAPSHOT_STAGING_H_
#define GROUNDSWELL_SERVER_SERVING_SNAPSHOT_STAGING_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "blend/model.h"
#include "graph/store/generation.h"
#include "graph/store/store.h"
#include "models/files/manifest.h"
#include "models/snapshot/examples.h"
#include "models/snapshot/snapshot.h"

namespace groundswell {

// A snapshot read and checked as a whole.
struct CheckedSnapshot {
  SnapshotFiles files;
  std::shared_ptr<const Snapshot> snapshot;
  std::vector<std::string> users;
  std::vector<CatalogueItem> items;
  SnapshotGraph graph;
  ExampleAgreement examples;
};

// Reads everything, and scores the snapshot's examples. InvalidArgument too where the graph has an
// interaction of later than kEventAheadMaxS after this machine's clock: no server would have taken
// it, and all that are taken from now on would count as trained.
absl::StatusOr<CheckedSnapshot> CheckSnapshot(const std::string& directory);

// What the snapshot's blend.json says; the built-in weights where it has none.
absl::StatusOr<BlendWeights> BlendWeightsOf(const SnapshotFiles& files);

// Hashes of the users and items that were taken out behind the snapshot: it still has them.
struct Gone {
  std::set<IdHash> users;
  std::set<IdHash> items;
};
absl::StatusOr<Gone> GoneSince(const GraphStore& store, Offset offset);

// `done` of `total` bytes, users or records of one step.
using StagingProgress = std::function<void(std::string_view step, uint64_t done, uint64_t total)>;

// Writes a generation piece by piece, in batches that are committed when they are full. Cancelled
// when `cancelled` answers true.
class GenerationWriter {
 public:
  // All references must outlive the writer.
  GenerationWriter(GraphStore& store, Generation generation, const StagingProgress& progress,
                   const std::function<bool()>& cancelled);

  absl::Status WriteFiles(const SnapshotFiles& files);
  // The snapshot's items, in its order; those that are gone as removed. `upserted`, by id, says of
  // its items what the log said later.
  absl::Status WriteItems(const std::vector<CatalogueItem>& items, const Gone& gone,
                          const absl::flat_hash_map<std::string, StoredItem>& upserted);
  // One more, behind those of the snapshot.
  absl::Status AddItem(const StoredItem& item);
  // `user.edges` leave the window, if it has an age, when their time comes. Counts the user into
  // the state.
  absl::Status AddUser(const std::string& user_id, const UserState& user, const Window& window);
  absl::Status PutLogBytes(Offset offset, std::string_view record);
  absl::Status PutEventId(const EventIdHash& hash, const LoggedEventId& logged);
  void PutEventIdsBegin(Offset offset) { batch_.PutEventIdsBegin(offset); }
  absl::Status PutTombstone(Tombstone::Kind kind, const IdHash& hash, const Tombstone& tombstone);
  absl::Status PutProducer(std::string_view id, const Producer& producer);

  // The id of an item that was written; for the digest.
  const std::string& ItemId(ItemIndex item) const { return item_ids_[ToInt(item)]; }
  size_t item_count() const { return item_ids_.size(); }

  // Completes `state` with what was counted (users, edges, digest, newest event time) and writes
  // it, synced. With `serves`, in the same batch this generation becomes the one that serves.
  absl::Status Finish(GraphState state, bool serves);

 private:
  absl::Status CommitWhenFull();

  GraphStore& store_;
  const Generation generation_;
  GraphStore::Batch batch_;
  const StagingProgress& progress_;
  const std::function<bool()>& cancelled_;
  std::vector<std::string> item_ids_;
  StateDigest digest_;
  uint32_t next_user_ = 0;
  int64_t users_ = 0;
  int64_t edges_ = 0;
  int64_t newest_time_us_ = 0;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_SERVING_SNAPSHOT_STAGING_H_
