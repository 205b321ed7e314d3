// Encoder: makes vectors of the space that retrieval searches out of what is known of users or
// items now, so that the inner product of a user's with an item's is their score.
//
//   std::unique_ptr<EncoderScratch> scratch = encoder.NewScratch();   // once per thread
//   encoder.Encode(input, *scratch, vectors, known);
//
// An encoder is immutable and may be used by many threads at once, each with its own scratch.
// Encode does not allocate after its first call, but where blocks have more nodes than any before.
// A target's vector depends on the target alone: it has the same bits alone and in any batch.
#ifndef GROUNDSWELL_MODELS_ENCODER_H_
#define GROUNDSWELL_MODELS_ENCODER_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string_view>

namespace groundswell {

// Whom it makes vectors of. An item's neighbours are users, a user's are items.
enum class EncoderSide { kUser, kItem };

// Of a target or neighbour that came after the training.
inline constexpr uint32_t kNoRow = std::numeric_limits<uint32_t>::max();

// All that a target has, not the newest of them.
inline constexpr size_t kAllNeighbors = std::numeric_limits<size_t>::max();

// Whom a target has to do with in one way: other items, which have features, or entities (a
// category, say), which have rows of a table.
struct EncoderRelation {
  std::string_view name;   // as long as the encoder lives
  size_t neighbors = 0;    // at most, the best first
  size_t entity_rows = 0;  // rows of its table of entities, row 0 unknown; 0: of items
};

// What the encoder reads; a size of 0, or false, says that it is not read, and need not be
// gathered.
struct EncoderShape {
  size_t dim = 0;            // numbers of a vector; never 0
  size_t target_rows = 0;    // rows of its table of targets
  size_t neighbors = 0;      // newest neighbours of a target, at most, or kAllNeighbors
  size_t neighbor_rows = 0;  // rows of its table of neighbours
  bool degrees = false;      // of neighbours
  bool counts = false;       // of the edges to them
  bool times = false;        // likewise
  bool vectors = false;      // that neighbours have now
  size_t clusters = 0;       // Q: of H1_u
  size_t features = 0;       // numbers of an item's features
  std::span<const EncoderRelation> relations;
  size_t layers = 0;         // of blocks
  size_t user_features = 0;  // of blocks: numbers of a user's features; 0: all nodes are items
  bool weights = false;      // of blocks' neighbours
};

// The neighbours of all targets, each one's newest first; of target t the positions from begin[t]
// to begin[t + 1]. They may be more than shape().neighbors, of which the first are read.
struct EncoderNeighbors {
  std::span<const uint64_t> begin;   // targets + 1
  std::span<const uint32_t> row;     // kNoRow: not trained; it counts as a neighbour all the same
  std::span<const uint64_t> degree;  // its neighbours now, the target included
  std::span<const int64_t> count;    // A[u,i], at least 1
  std::span<const int64_t> time_s;   // seconds since 1970
  std::span<const std::span<const float>> vector;  // as long as dim; empty: it has none
};

// The neighbours of all targets by one relation, each one's best first; they may be more than the
// relation reads.
struct EncoderRelationLists {
  std::span<const uint64_t> begin;                   // targets + 1
  std::span<const std::span<const float>> features;  // of items
  std::span<const uint32_t> row;                     // of entities; what is no row reads row 0
  std::span<const float> weight;                     // finite, at least 0
};

// The nodes that one layer makes something of, each of which has a place in the list of the layer
// below: they are said by that place, and so are their neighbours. The neighbours of an item are
// users where both are read, and those of a user items; a node may have itself or another one
// several times.
struct EncoderBlock {
  std::span<const EncoderSide> side;   // of each node, as below; empty where all are items
  std::span<const uint32_t> self;      // nodes
  std::span<const uint64_t> begin;     // nodes + 1: of node v the positions to begin[v + 1]
  std::span<const uint32_t> neighbor;  // in any order, which may change the last bits
  std::span<const float> weight;       // of each neighbour; finite, at least 0
};

// The neighbourhood of all targets: layer 0 are nodes with features, the nodes of the last block
// are the targets. A node stands once in each list that has it, whoever needs it.
struct EncoderBlocks {
  std::span<const EncoderSide> side;                 // of layer 0's nodes; empty: all are items
  std::span<const std::span<const float>> features;  // likewise
  std::span<const EncoderBlock> layers;
};

struct EncoderInput {
  size_t targets = 0;
  std::span<const uint32_t> row;  // of each target, or kNoRow
  EncoderNeighbors neighbors;
  std::span<const int64_t> clusters;                 // targets x shape().clusters: H1_u
  std::span<const std::span<const float>> features;  // by target
  std::span<const EncoderRelationLists> relations;   // as shape() has them
  EncoderBlocks blocks;
};

// Working memory of one thread. Each encoder derives its own and accepts no other's.
class EncoderScratch {
 public:
  virtual ~EncoderScratch() = default;
};

class Encoder {
 public:
  virtual ~Encoder() = default;

  // As the manifest lists it.
  virtual std::string_view name() const = 0;
  virtual EncoderSide side() const = 0;
  virtual EncoderShape shape() const = 0;
  virtual std::unique_ptr<EncoderScratch> NewScratch() const = 0;

  // Writes one vector per target. known[t] is false where there is nothing to make one of; the
  // vector is 0 there, and nowhere else. Every number is one that retrieval can search by
  // (models/embedding_range.h).
  // REQUIRES: out.size() == targets * dim; known.size() == targets; what shape() names is there.
  virtual void Encode(const EncoderInput& input, EncoderScratch& scratch, std::span<float> out,
                      std::span<bool> known) const = 0;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_ENCODER_H_
