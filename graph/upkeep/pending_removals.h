// PendingRemovals: what the log still holds although its removal was asked for and answered,
// because the removal is yet to be applied, or the log to be redacted. For who hands the log out.
#ifndef GROUNDSWELL_GRAPH_UPKEEP_PENDING_REMOVALS_H_
#define GROUNDSWELL_GRAPH_UPKEEP_PENDING_REMOVALS_H_

#include <functional>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "graph/log/interaction_log.h"
#include "graph/store/store.h"

namespace groundswell {

class PendingRemovals {
 public:
  // Of all removals up to the offset `end` of the log. `applied`: the offset that was applied
  // before this is called; what is between the two is read, and of what was applied the store is
  // asked as it is needed. `store` must outlive it. Errors of the log.
  static absl::StatusOr<PendingRemovals> Read(const GraphStore& store, const InteractionLog& log,
                                              Offset applied, Offset end);

  // Whether the snapshot that serves has an item of this id and it was not removed from it: nothing
  // of such an item is late, whatever was removed of it before.
  using IsOfSnapshot = std::function<bool(const std::string& item_id)>;

  // Whether this entry of the log is one that a removal takes out of it: what was there before the
  // removal, and what comes late (graph/fold/judgement.h). Late events of an item that are yet to
  // be folded are judged as the fold will judge them, by what `is_of_snapshot` says now. Of a
  // removal that is yet to be applied and whose time is not plausible, what comes late is not known
  // yet, and is not told. Errors of the store.
  absl::StatusOr<bool> Covers(Offset offset, const Interaction& interaction,
                              const IsOfSnapshot& is_of_snapshot) const;

 private:
  explicit PendingRemovals(const GraphStore& store) : store_(&store) {}

  void Add(const GraphStore::TombstoneKey& key, const Tombstone& removal);
  // `late_too`: by a removal that was applied; by one that was not, what is late always is.
  absl::StatusOr<bool> Covers(Tombstone::Kind kind, const std::string& id, bool late_too,
                              Offset offset, const Interaction& interaction) const;

  const GraphStore* store_;
  std::map<GraphStore::TombstoneKey, Tombstone> unapplied_;
  Offset applied_ = 0;
  bool has_applied_ = false;  // removals
};

}  // namespace groundswell

#endif  // GROUNDSWELL_GRAPH_UPKEEP_PENDING_REMOVALS_H_
