// Checkpoints of the item side: written beside the serving, and loaded at start.
#ifndef GROUNDSWELL_GRAPH_UPKEEP_CHECKPOINT_H_
#define GROUNDSWELL_GRAPH_UPKEEP_CHECKPOINT_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "graph/fold/applier.h"
#include "graph/state/macro_graph.h"
#include "graph/store/generation.h"
#include "graph/store/store.h"

namespace groundswell {

// `done` of `total` steps of something that takes long.
using LoadProgress = std::function<void(std::string_view what, uint64_t done, uint64_t total)>;

enum class LoadFrom {
  kCheckpoint,  // if there is one; else the users
  kUsers,       // the matrix form, whatever checkpoint there is
};

struct LoadedItemSide {
  std::optional<CheckpointInfo> checkpoint;  // that it was loaded from
  uint64_t users = 0;                        // read: all, or those that changed since
};

// Fills `graph`, which knows its items and is otherwise empty, with the item side as of the
// generation's applied offset. DataLoss when what is stored does not fit the graph's shape;
// Cancelled once `cancelled`, which is asked now and then and may be empty, says so.
absl::StatusOr<LoadedItemSide> LoadItemSide(const Generation& generation, LoadFrom from,
                                            MacroGraph& graph, const LoadProgress& progress,
                                            const std::function<bool()>& cancelled = nullptr);

// Writes the item side as of the applied offset and makes it the complete checkpoint, while the
// applier goes on. At the offset of the complete checkpoint nothing is done. Not two at once. An
// error or Cancelled (when `keep_going` answers false) leaves the complete one as it is.
absl::StatusOr<CheckpointInfo> WriteCheckpoint(GraphStore& store, const Generation& generation,
                                               Applier& applier, const MacroGraph& graph,
                                               int64_t now_us,
                                               const std::function<bool()>& keep_going);

}  // namespace groundswell

#endif  // GROUNDSWELL_GRAPH_UPKEEP_CHECKPOINT_H_
