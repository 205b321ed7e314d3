// The features of rankers that read vectors: as the live graph has them at the moment of the
// request.
#ifndef GROUNDSWELL_SERVER_PIPELINE_VECTOR_FEATURES_H_
#define GROUNDSWELL_SERVER_PIPELINE_VECTOR_FEATURES_H_

#include <cstdint>
#include <span>
#include <vector>

#include "graph/fold/fold.h"
#include "graph/ids.h"
#include "index/vectors/embedding_index.h"
#include "models/ranker.h"
#include "server/pipeline/live_state.h"

namespace groundswell {

// Memory of one thread for the vectors of one request; grows to the largest block and stays.
struct VectorBuffers {
  LiveVectors::Scratch live;
  std::vector<uint32_t> newest_edges;
  std::vector<ItemIndex> newest_items;
  std::vector<float> user;
  std::vector<std::span<const float>> items;
};

// Both add to features what a shape with a vector_width reads. They point into `buffers` until
// their next use for a user, or for items, and into `items_now`.

// A user of whom nothing is known stays without a vector.
void GatherUserVector(const LiveState& state, const EmbeddingIndex::View& items_now,
                      const OverlaidUser& user, VectorBuffers& buffers, UserFeatures& features);
void GatherItemVectors(const EmbeddingIndex::View& items_now, std::span<const ItemIndex> items,
                       VectorBuffers& buffers, ItemFeatures& features);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_PIPELINE_VECTOR_FEATURES_H_
