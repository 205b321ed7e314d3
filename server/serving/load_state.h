// Loading: from what the store holds of a generation to a state that only lacks its applier and its
// pipeline.
#ifndef GROUNDSWELL_SERVER_SERVING_LOAD_STATE_H_
#define GROUNDSWELL_SERVER_SERVING_LOAD_STATE_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "graph/store/generation.h"
#include "graph/upkeep/checkpoint.h"
#include "index/vectors/embedding_index.h"
#include "index/vectors/live_encoders.h"
#include "server/serving/serving_state.h"

namespace groundswell {

struct LoadOptions {
  EmbeddingIndex::Options index;
  size_t index_threads = 1;              // that build the index
  std::function<bool()> cancelled;       // asked from any thread all along; may be empty
  size_t new_items_max = 0;              // room for items that are created later
  double trending_half_life_s = 21'600;  // in which a user counts half as much as trending
  size_t neighbors_max = 4'096;          // of a user or an item that the adjacency keeps
  size_t quality_window = 2'000;         // interactions over which lists are judged
  // Which of the snapshot's encoders make vectors: a name, kFirstEncoder or kNoEncoder.
  std::string user_encoder = kFirstEncoder;
  std::string item_encoder = kFirstEncoder;
  LoadFrom from = LoadFrom::kCheckpoint;
};

// Loads everything from the store but the applier and the pipeline: snapshot files, catalogue, the
// item side of the graph; scores the snapshot's examples; and builds the index. `progress` is told
// what is being loaded.
absl::StatusOr<std::unique_ptr<ServingState>> LoadServingState(const Generation& generation,
                                                               const LoadOptions& options,
                                                               const LoadProgress& progress);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_SERVING_LOAD_STATE_H_
