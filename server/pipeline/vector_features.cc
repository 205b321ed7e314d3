#include "server/pipeline/vector_features.h"

namespace groundswell {

void GatherUserVector(const LiveState& state, const EmbeddingIndex::View& items_now,
                      const OverlaidUser& user, VectorBuffers& buffers, UserFeatures& features) {
  NewestEdges(user.state, LiveVectors::kNeighborsMax, buffers.newest_edges);
  buffers.newest_items.clear();
  for (const uint32_t at : buffers.newest_edges) {
    buffers.newest_items.push_back(user.state.edges[at].item);
  }
  buffers.user.resize(state.live_vectors->dim());
  // What they like, and not what they are after now: that decides what is proposed.
  if (state.live_vectors->OfUser(
          {.state = user.state, .newest = buffers.newest_items, .joined = user.joined}, items_now,
          buffers.live, buffers.user) != VectorOrigin::kNone) {
    features.vector = buffers.user;
  }
}

void GatherItemVectors(const EmbeddingIndex::View& items_now, std::span<const ItemIndex> items,
                       VectorBuffers& buffers, ItemFeatures& features) {
  buffers.items.clear();
  for (const ItemIndex item : items) buffers.items.push_back(items_now.VectorOf(item));
  features.vectors = buffers.items;
}

}  // namespace groundswell
