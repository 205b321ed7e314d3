// NeighborLists: for each node of one side of a graph, its neighbours on the other side, oldest
// first; read without locks while one writer changes them.
//
// A neighbour is one word of 8 bytes: time (32 bits), node (28), weight (4). The words of a node
// ascend, so they are in the order of time, and the same neighbours are the same words however they
// came (Insert, Erase, Replace); or they are in an order that only the writer knows, finer than
// seconds, and may repeat (Append, Assign). They lie in one block of a pool, whose size is a power
// of two; a node's handle is one more word: block (32 bits), count (16), size class (4), highest
// weight (4), version of the block (8).
//
// A block that is not needed any more is used again at once, also while a reader is in it. So a
// reader looks at the handle again behind each word: it takes the word only if the node still has
// that block. Words are written with release and read with acquire order, so whoever sees another
// node's word also sees that the handle has changed. There is nothing to announce or to reclaim
// later, and the writer never waits.
//
// Thread-safety: everything that is not const by one thread, the writer; the const methods by any,
// at any time after loading.
#ifndef GROUNDSWELL_GRAPH_STATE_NEIGHBOR_LISTS_H_
#define GROUNDSWELL_GRAPH_STATE_NEIGHBOR_LISTS_H_

#ifdef __AVX2__
#include <immintrin.h>
#endif

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace groundswell {

struct Neighbor {
  uint32_t node = 0;    // below NeighborLists::kNodesMax
  uint32_t time_s = 0;  // since 1970-01-01 UTC
  uint32_t weight = 0;  // 1 to NeighborLists::kStepWeightMax
  bool operator==(const Neighbor&) const = default;
};

class NeighborLists {
 private:
  using Word = std::atomic<uint64_t>;

 public:
  static constexpr uint32_t kNodesMax = 1u << 28;
  static constexpr uint32_t kStepWeightMax = 15;
  static constexpr size_t kNeighborsMaxLimit = 1u << 14;

  // A node keeps its newest `neighbors_max` neighbours at most: when one more comes, the oldest
  // eighth leaves, so that the room for it is made once for many. 8 to kNeighborsMaxLimit.
  explicit NeighborLists(size_t neighbors_max);

  // A node's list as it was when it was found; what is read through it is checked again. Must not
  // outlive the NeighborLists.
  class List {
   public:
    size_t size() const { return (handle_ >> 16) & 0xFFFF; }
    // No neighbour's weight is higher.
    uint32_t weight_max() const { return (handle_ >> 8) & kStepWeightMax; }
    // Brings the neighbour at a position on its way from memory; does not wait for it.
    void Prefetch(size_t position) const { __builtin_prefetch(words_ + position); }

   private:
    friend class NeighborLists;
    const Word* cell_ = nullptr;   // of the handle
    const Word* words_ = nullptr;  // of the block
    uint64_t handle_ = 0;
  };

  // Empty for a node that has no neighbours, or is not known at all.
  List Find(uint32_t node) const {
    List list;
    list.cell_ = CellOf(node);
    if (list.cell_ == nullptr) return list;
    list.handle_ = list.cell_->load(std::memory_order_acquire);
    if (list.size() > 0) list.words_ = WordsOf(static_cast<uint32_t>(list.handle_ >> 32));
    return list;
  }
  // Brings a node's handle on its way from memory; does not wait for it.
  void Prefetch(uint32_t node) const {
    if (const Word* const cell = CellOf(node); cell != nullptr) __builtin_prefetch(cell);
  }
  // The neighbour at `position` (below list.size(); 0: the oldest). It was there at some moment
  // since the list was found. nullopt: the node has another block now; find it again.
  static std::optional<Neighbor> Read(const List& list, size_t position) {
    const uint64_t word = list.words_[position].load(std::memory_order_acquire);
    const uint64_t handle = list.cell_->load(std::memory_order_relaxed);
    if (((handle ^ list.handle_) & kBlockMask) != 0) return std::nullopt;
    return ToNeighbor(word);
  }
  // The newest position below `end` (at most list.size()) that has this node; nullopt: there is
  // none. What is found is to be Read, which says whether the node still has that block.
  static std::optional<size_t> FindBefore(const List& list, size_t end, uint32_t node) {
    constexpr uint64_t kNodeMask = uint64_t{kNodesMax - 1} << 4;
    const uint64_t wanted = uint64_t{node} << 4;
#ifdef __AVX2__
    // Most of a list is passed over, four words at a time. Each is read whole, as processors with
    // these instructions read aligned words.
    static_assert(sizeof(Word) == sizeof(uint64_t));
    const __m256i mask = _mm256_set1_epi64x(static_cast<int64_t>(kNodeMask));
    const __m256i wanted_four = _mm256_set1_epi64x(static_cast<int64_t>(wanted));
    for (; end >= 4; end -= 4) {
      const void* const words = list.words_ + (end - 4);
      const __m256i four = _mm256_loadu_si256(static_cast<const __m256i*>(words));
      const __m256i same = _mm256_cmpeq_epi64(_mm256_and_si256(four, mask), wanted_four);
      const auto found = static_cast<uint32_t>(_mm256_movemask_pd(_mm256_castsi256_pd(same)));
      if (found != 0) return end - 4 + static_cast<size_t>(std::bit_width(found)) - 1;
    }
#endif
    while (end-- > 0) {
      if ((list.words_[end].load(std::memory_order_relaxed) & kNodeMask) == wanted) return end;
    }
    return std::nullopt;
  }
  // All neighbours, oldest first, to `out` (its old content is dropped, its capacity reused). Each
  // of them is whole; one that moves up in time meanwhile may be met twice or not at all.
  void CopyTo(uint32_t node, std::vector<Neighbor>& out) const;
  // Whether exactly this neighbour is kept of the node, of lists in the order of time. While the
  // writer changes the node's list it may be told to be missing.
  bool Holds(uint32_t node, const Neighbor& neighbor) const;
  // Neighbours that are kept of the node.
  size_t Degree(uint32_t node) const { return Find(node).size(); }

  // Loading: any order, no neighbour of a node twice; then FinishLoading, once.
  void Load(uint32_t node, const Neighbor& neighbor);
  void FinishLoading();

  // REQUIRES: node and neighbor.node below kNodesMax; the node is not among the neighbours yet.
  // Throws std::bad_alloc without memory, or when the blocks take the 64 GiB that a handle tells
  // apart.
  void Insert(uint32_t node, const Neighbor& neighbor);
  // Takes out exactly this one, if it is kept.
  void Erase(uint32_t node, const Neighbor& neighbor);
  // As Erase and then Insert.
  void Replace(uint32_t node, const Neighbor& before, const Neighbor& after);

  // For a list in the writer's own order: the neighbour comes in as the newest, and of a full list
  // the oldest leaves alone; or these, oldest first, are the list from here on. A reader never sees
  // two beside each other that are not: where others would move, the list gets another block.
  void Append(uint32_t node, const Neighbor& neighbor);
  void Assign(uint32_t node, std::span<const Neighbor> neighbors);

  size_t neighbors_max() const { return neighbors_max_; }
  // Of any thread, each by itself as it is now.
  size_t edge_count() const { return edge_count_.load(std::memory_order_relaxed); }
  // The most neighbours that a node ever had at once.
  size_t degree_max() const { return degree_max_.load(std::memory_order_relaxed); }
  // Neighbours that left, or never came in, because their node had too many.
  size_t evicted_count() const { return evicted_count_.load(std::memory_order_relaxed); }
  // Memory that was taken for handles and blocks, the free ones included.
  size_t bytes() const { return bytes_.load(std::memory_order_relaxed); }

 private:
  // Size classes: class c has 2^c words, 0 no block.
  static constexpr size_t kClasses = 16;
  // Memory comes in chunks of a huge page, so that a step does not wait for page tables too.
  static constexpr size_t kChunkWords = size_t{1} << 18;
  // Blocks are of whole units of two words.
  static constexpr size_t kUnitWords = 2;
  static constexpr size_t kChunkUnits = kChunkWords / kUnitWords;
  // A unit's number has 32 bits.
  static constexpr size_t kBlockChunksMax = (uint64_t{1} << 32) / kChunkUnits;

  // Of a handle: the block and its version.
  static constexpr uint64_t kBlockMask = 0xFFFF'FFFF'0000'00FF;

  static Neighbor ToNeighbor(uint64_t word) {
    return {.node = static_cast<uint32_t>(word >> 4) & (kNodesMax - 1),
            .time_s = static_cast<uint32_t>(word >> 32),
            .weight = static_cast<uint32_t>(word & kStepWeightMax)};
  }

  struct Handle {
    uint32_t unit = 0;
    uint32_t size = 0;
    uint32_t size_class = 0;
    uint32_t weight_max = 0;
    uint32_t version = 0;  // of the block: another one, another version
    size_t capacity() const { return size_class == 0 ? 0 : size_t{1} << size_class; }
  };
  static uint64_t Pack(const Handle& handle);
  static Handle Unpack(uint64_t handle);

  struct FreeChunk {
    void operator()(Word* chunk) const { std::free(chunk); }
  };

  const Word* CellOf(uint32_t node) const {
    if (node >= kNodesMax) return nullptr;
    const Word* const chunk = handles_[node / kChunkWords].load(std::memory_order_acquire);
    return chunk == nullptr ? nullptr : chunk + node % kChunkWords;
  }
  Word& CellToWrite(uint32_t node);
  Word* WordsOf(uint32_t unit) const {
    return blocks_[unit / kChunkUnits].load(std::memory_order_acquire) +
           kUnitWords * (unit % kChunkUnits);
  }
  Word* NewChunk();
  uint32_t Allocate(uint32_t size_class);
  void Free(const Handle& handle);
  // Publishes a node's words in a block of the class that fits `words`, and frees the old block.
  void MoveTo(uint32_t size_class, std::span<const uint64_t> words, Handle& handle, Word& cell);
  void Evict(size_t count, Handle& handle);
  void InsertAt(size_t position, uint64_t word, Handle& handle, Word& cell);
  void ReadWords(const Handle& handle, std::vector<uint64_t>& out) const;
  size_t LowerBound(const Handle& handle, uint64_t word) const;
  void LowerWeightMax(uint32_t removed, Handle& handle) const;
  void RaiseDegreeMax(size_t degree);

  const size_t neighbors_max_;
  std::unique_ptr<std::atomic<Word*>[]> handles_;  // chunks, by node
  std::unique_ptr<std::atomic<Word*>[]> blocks_;   // chunks, by unit
  // The writer's alone:
  std::vector<std::unique_ptr<Word[], FreeChunk>> chunks_;  // owns both
  std::array<std::vector<uint32_t>, kClasses> free_;
  size_t units_used_ = 0;
  uint32_t loaded_nodes_ = 0;  // behind the last
  std::vector<uint64_t> scratch_;

  std::atomic<size_t> edge_count_{0};
  std::atomic<size_t> degree_max_{0};
  std::atomic<size_t> evicted_count_{0};
  std::atomic<size_t> bytes_{0};
};

}  // namespace groundswell

#endif  // GROUNDSWELL_GRAPH_STATE_NEIGHBOR_LISTS_H_
