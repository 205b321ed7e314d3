// What an encoder reads of one user or item, gathered from the graph as it is now: the live half of
// models/encoder.h, as server/pipeline/features is that of rankers.
#ifndef GROUNDSWELL_INDEX_VECTORS_GATHERED_TARGET_H_
#define GROUNDSWELL_INDEX_VECTORS_GATHERED_TARGET_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "graph/fold/interaction_adjacency.h"
#include "graph/ids.h"
#include "graph/state/macro_graph.h"
#include "graph/state/user_state.h"
#include "index/vectors/embedding_index.h"
#include "models/encoder.h"

namespace groundswell {

// Of an item with more users than this, or a user with more items, so many count as its degree:
// memory keeps a number of them that varies with what came before (NeighborLists), and vectors are
// to be functions of the graph.
inline constexpr size_t kDegreeMax = 2'048;
// The newest neighbours of a target that are read, whatever an encoder asks for: a request's vector
// is to be made within its time.
inline constexpr size_t kGatheredMax = 1'000;

// What neighbours are read from. All of it must outlive its users.
struct EncoderSources {
  std::span<const float> trained_users;  // rows of `dim` floats
  size_t dim = 0;
  const InteractionAdjacency& adjacency;
  const MacroGraph* graph = nullptr;  // is asked for H1_u; null where no encoder reads that
};

// One target of one thread at a time; its memory is used again.
class GatheredTarget {
 public:
  // A user and the items of his edges. `joined`, ascending, do not have him among their neighbours,
  // and count him all the same. Valid until the next call, and as long as `items`.
  const EncoderInput& OfUser(const EncoderSources& sources, const EncoderShape& shape,
                             const UserState& user, std::span<const ItemIndex> joined,
                             const EmbeddingIndex::View& items);

  // An item and the users that the adjacency keeps; their vectors are the trained ones.
  const EncoderInput& OfItem(const EncoderSources& sources, const EncoderShape& shape,
                             ItemIndex item);

 private:
  void Begin(const EncoderShape& shape, uint32_t index);
  const EncoderInput& End();

  EncoderInput input_;
  uint32_t target_row_ = 0;
  std::vector<uint64_t> begin_;
  std::vector<uint32_t> rows_;
  std::vector<uint64_t> degrees_;
  std::vector<int64_t> counts_;
  std::vector<int64_t> times_;
  std::vector<std::span<const float>> vectors_;
  std::vector<Count> clusters_;
  std::vector<uint32_t> newest_edges_;
  std::vector<Neighbor> users_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_INDEX_VECTORS_GATHERED_TARGET_H_
