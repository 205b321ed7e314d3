// PendingRemovals: what the log still holds although its removal was asked for and answered,
// because the removal is yet to be applied, or the log to be redacted. For who hands the log out.
#ifndef GROUNDSWELL_GRAPH_UPKEEP_PENDING_REMOVALS_H_
#define GROUNDSWELL_GRAPH_UPKEEP_PENDING_REMOVALS_H_

#include <cstdint>
#include <map>

#include "absl/status/statusor.h"
#include "graph/log/interaction_log.h"
#include "graph/store/store.h"

namespace groundswell {

class PendingRemovals {
 public:
  // Of all removals up to the offset `end` of the log. `applied`: the offset that was applied
  // before this is called; what is between the two is read. Errors of both.
  static absl::StatusOr<PendingRemovals> Read(const GraphStore& store, const InteractionLog& log,
                                              Offset applied, Offset end);

  // Whether this entry of the log is one that a removal takes out of it.
  bool Covers(Offset offset, const Interaction& interaction) const;

 private:
  struct Removal {
    Offset offset = 0;
    int64_t time_us = 0;  // what happened until then is late
  };

  void Add(const GraphStore::TombstoneKey& key, const Removal& removal);
  bool Covers(Tombstone::Kind kind, const std::string& id, Offset offset, int64_t time_us) const;

  std::map<GraphStore::TombstoneKey, Removal> removals_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_GRAPH_UPKEEP_PENDING_REMOVALS_H_
