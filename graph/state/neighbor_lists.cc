#include "graph/state/neighbor_lists.h"

#include <sys/mman.h>

#include <algorithm>
#include <new>

namespace groundswell {
namespace {

// The oldest of a full list that leave together: one in so many.
constexpr size_t kEvictedShare = 8;

uint64_t ToWord(const Neighbor& neighbor) {
  return uint64_t{neighbor.time_s} << 32 | uint64_t{neighbor.node} << 4 | neighbor.weight;
}

uint32_t WeightOf(uint64_t word) { return word & NeighborLists::kStepWeightMax; }

// The class of the smallest block that holds `count` words.
uint32_t ClassFor(size_t count) {
  uint32_t size_class = 1;
  while ((size_t{1} << size_class) < count) ++size_class;
  return size_class;
}

uint32_t HighestWeight(std::span<const uint64_t> words) {
  uint32_t highest = 0;
  for (const uint64_t word : words) highest = std::max(highest, WeightOf(word));
  return highest;
}

void Put(std::atomic<uint64_t>& word, uint64_t value) {
  word.store(value, std::memory_order_release);
}

// Of the writer alone, so that no locked instruction is needed.
void Add(std::atomic<size_t>& counter, size_t count) {
  counter.store(counter.load(std::memory_order_relaxed) + count, std::memory_order_relaxed);
}
void Subtract(std::atomic<size_t>& counter, size_t count) {
  counter.store(counter.load(std::memory_order_relaxed) - count, std::memory_order_relaxed);
}
uint64_t Get(const std::atomic<uint64_t>& word) { return word.load(std::memory_order_relaxed); }

}  // namespace

uint64_t NeighborLists::Pack(const Handle& handle) {
  return uint64_t{handle.unit} << 32 | uint64_t{handle.size} << 16 |
         uint64_t{handle.size_class} << 12 | uint64_t{handle.weight_max} << 8 |
         (handle.version & 0xFF);
}

NeighborLists::Handle NeighborLists::Unpack(uint64_t handle) {
  return {.unit = static_cast<uint32_t>(handle >> 32),
          .size = static_cast<uint32_t>(handle >> 16) & 0xFFFF,
          .size_class = static_cast<uint32_t>(handle >> 12) & 0xF,
          .weight_max = static_cast<uint32_t>(handle >> 8) & 0xF,
          .version = static_cast<uint32_t>(handle) & 0xFF};
}

NeighborLists::NeighborLists(size_t neighbors_max)
    : neighbors_max_(std::clamp<size_t>(neighbors_max, kEvictedShare, kNeighborsMaxLimit)),
      handles_(std::make_unique<std::atomic<Word*>[]>(kNodesMax / kChunkWords)),
      blocks_(std::make_unique<std::atomic<Word*>[]>(kBlockChunksMax)) {}

NeighborLists::Word* NeighborLists::NewChunk() {
  constexpr size_t kBytes = kChunkWords * sizeof(Word);
  auto* const chunk = static_cast<Word*>(std::aligned_alloc(kBytes, kBytes));
  if (chunk == nullptr) throw std::bad_alloc();
  chunks_.emplace_back(chunk);
  madvise(chunk, kBytes, MADV_HUGEPAGE);  // only slower without
  std::uninitialized_value_construct_n(chunk, kChunkWords);
  Add(bytes_, kBytes);
  return chunk;
}

NeighborLists::Word& NeighborLists::CellToWrite(uint32_t node) {
  std::atomic<Word*>& chunk = handles_[node / kChunkWords];
  if (chunk.load(std::memory_order_relaxed) == nullptr) {
    chunk.store(NewChunk(), std::memory_order_release);
  }
  return chunk.load(std::memory_order_relaxed)[node % kChunkWords];
}

void NeighborLists::CopyTo(uint32_t node, std::vector<Neighbor>& out) const {
  bool whole = false;
  while (!whole) {
    out.clear();
    whole = true;
    const List list = Find(node);
    for (size_t at = 0; whole && at < list.size(); ++at) {
      const std::optional<Neighbor> neighbor = Read(list, at);
      whole = neighbor.has_value();
      if (whole) out.push_back(*neighbor);
    }
  }
}

bool NeighborLists::Holds(uint32_t node, const Neighbor& neighbor) const {
  const List list = Find(node);
  const uint64_t wanted = ToWord(neighbor);
  size_t begin = 0;
  size_t end = list.size();
  while (begin < end) {
    const size_t middle = begin + (end - begin) / 2;
    if (list.words_[middle].load(std::memory_order_acquire) < wanted) {
      begin = middle + 1;
    } else {
      end = middle;
    }
  }
  return begin < list.size() && Read(list, begin) == neighbor;
}

uint32_t NeighborLists::Allocate(uint32_t size_class) {
  std::vector<uint32_t>& free = free_[size_class];
  if (!free.empty()) {
    const uint32_t unit = free.back();
    free.pop_back();
    return unit;
  }
  const size_t units = (size_t{1} << size_class) / kUnitWords;
  // What is left of a chunk that is too short for the block serves smaller ones.
  while (units_used_ % kChunkUnits != 0 && kChunkUnits - units_used_ % kChunkUnits < units) {
    const size_t rest = kChunkUnits - units_used_ % kChunkUnits;
    uint32_t rest_class = 1;
    while ((size_t{2} << rest_class) / kUnitWords <= rest) ++rest_class;
    free_[rest_class].push_back(static_cast<uint32_t>(units_used_));
    units_used_ += (size_t{1} << rest_class) / kUnitWords;
  }
  if (units_used_ % kChunkUnits == 0) {
    if (units_used_ / kChunkUnits == kBlockChunksMax) throw std::bad_alloc();
    blocks_[units_used_ / kChunkUnits].store(NewChunk(), std::memory_order_release);
  }
  const auto unit = static_cast<uint32_t>(units_used_);
  units_used_ += units;
  return unit;
}

void NeighborLists::Free(const Handle& handle) {
  if (handle.size_class > 0) free_[handle.size_class].push_back(handle.unit);
}

void NeighborLists::ReadWords(const Handle& handle, std::vector<uint64_t>& out) const {
  out.resize(handle.size);
  if (handle.size == 0) return;
  const Word* const words = WordsOf(handle.unit);
  for (size_t at = 0; at < out.size(); ++at) out[at] = Get(words[at]);
}

void NeighborLists::MoveTo(uint32_t size_class, std::span<const uint64_t> words, Handle& handle,
                           Word& cell) {
  const Handle before = handle;
  handle.size = static_cast<uint32_t>(words.size());
  handle.size_class = size_class;
  handle.weight_max = HighestWeight(words);
  handle.version = before.version + 1;
  handle.unit = size_class == 0 ? 0 : Allocate(size_class);
  if (size_class > 0) {
    Word* const to = WordsOf(handle.unit);
    for (size_t at = 0; at < words.size(); ++at) Put(to[at], words[at]);
  }
  Put(cell, Pack(handle));
  Free(before);  // only now: what comes into it next must be behind the new handle
}

// Position of the first word that is not below `word`.
size_t NeighborLists::LowerBound(const Handle& handle, uint64_t word) const {
  const Word* const words = WordsOf(handle.unit);
  size_t begin = 0;
  size_t end = handle.size;
  // Nearly always behind the last.
  if (end > 0 && Get(words[end - 1]) < word) return end;
  while (begin < end) {
    const size_t middle = begin + (end - begin) / 2;
    if (Get(words[middle]) < word) {
      begin = middle + 1;
    } else {
      end = middle;
    }
  }
  return begin;
}

// After a neighbour of weight `removed` has left the words.
void NeighborLists::LowerWeightMax(uint32_t removed, Handle& handle) const {
  if (removed < handle.weight_max || removed <= 1) return;
  const Word* const words = WordsOf(handle.unit);
  handle.weight_max = 0;
  for (size_t at = handle.size; at > 0 && handle.weight_max < removed; --at) {
    handle.weight_max = std::max(handle.weight_max, WeightOf(Get(words[at - 1])));
  }
}

void NeighborLists::Evict(size_t count, Handle& handle) {
  Word* const words = WordsOf(handle.unit);
  uint32_t highest = 0;
  for (size_t at = 0; at < count; ++at) highest = std::max(highest, WeightOf(Get(words[at])));
  for (size_t at = count; at < handle.size; ++at) Put(words[at - count], Get(words[at]));
  handle.size -= static_cast<uint32_t>(count);
  LowerWeightMax(highest, handle);
  Add(evicted_count_, count);
  Subtract(edge_count_, count);
}

void NeighborLists::RaiseDegreeMax(size_t degree) {
  if (degree > degree_max()) degree_max_.store(degree, std::memory_order_relaxed);
}

void NeighborLists::Insert(uint32_t node, const Neighbor& neighbor) {
  Word& cell = CellToWrite(node);
  Handle handle = Unpack(Get(cell));
  const uint64_t word = ToWord(neighbor);
  if (handle.size == neighbors_max_) {
    if (word < Get(*WordsOf(handle.unit))) {  // older than all that are kept
      Add(evicted_count_, 1);
      return;
    }
    Evict(neighbors_max_ / kEvictedShare, handle);
  }
  InsertAt(handle.size == 0 ? 0 : LowerBound(handle, word), word, handle, cell);
}

void NeighborLists::InsertAt(size_t position, uint64_t word, Handle& handle, Word& cell) {
  if (handle.size == handle.capacity()) {
    ReadWords(handle, scratch_);
    scratch_.insert(scratch_.begin() + static_cast<ptrdiff_t>(position), word);
    MoveTo(handle.size_class + 1, scratch_, handle, cell);
  } else {
    Word* const words = WordsOf(handle.unit);
    for (size_t at = handle.size; at > position; --at) Put(words[at], Get(words[at - 1]));
    Put(words[position], word);
    ++handle.size;
    handle.weight_max = std::max(handle.weight_max, WeightOf(word));
    Put(cell, Pack(handle));
  }
  Add(edge_count_, 1);
  RaiseDegreeMax(handle.size);
}

void NeighborLists::Erase(uint32_t node, const Neighbor& neighbor) {
  const Word* const found = CellOf(node);
  if (found == nullptr) return;
  Handle handle = Unpack(Get(*found));
  const uint64_t word = ToWord(neighbor);
  const size_t position = handle.size == 0 ? 0 : LowerBound(handle, word);
  Word* const words = WordsOf(handle.unit);
  if (position == handle.size || Get(words[position]) != word) return;
  Word& cell = CellToWrite(node);
  Subtract(edge_count_, 1);
  if (handle.size == 1) {
    MoveTo(0, {}, handle, cell);
    return;
  }
  // A quarter full: half of the room is enough, with as much to spare.
  if (handle.size_class > 1 && handle.size - 1 <= handle.capacity() / 4) {
    ReadWords(handle, scratch_);
    scratch_.erase(scratch_.begin() + static_cast<ptrdiff_t>(position));
    MoveTo(handle.size_class - 1, scratch_, handle, cell);
    return;
  }
  for (size_t at = position + 1; at < handle.size; ++at) Put(words[at - 1], Get(words[at]));
  --handle.size;
  LowerWeightMax(neighbor.weight, handle);
  Put(cell, Pack(handle));
}

void NeighborLists::Replace(uint32_t node, const Neighbor& before, const Neighbor& after) {
  Word& cell = CellToWrite(node);
  Handle handle = Unpack(Get(cell));
  const uint64_t old_word = ToWord(before);
  const uint64_t new_word = ToWord(after);
  const size_t from = handle.size == 0 ? 0 : LowerBound(handle, old_word);
  Word* const words = WordsOf(handle.unit);
  if (from == handle.size || Get(words[from]) != old_word) {
    Insert(node, after);
    return;
  }
  size_t at = from;
  for (; at + 1 < handle.size && Get(words[at + 1]) < new_word; ++at) {
    Put(words[at], Get(words[at + 1]));
  }
  for (; at > 0 && at <= from && Get(words[at - 1]) > new_word; --at) {
    Put(words[at], Get(words[at - 1]));
  }
  Put(words[at], new_word);
  handle.weight_max = std::max(handle.weight_max, after.weight);
  if (after.weight < before.weight) LowerWeightMax(before.weight, handle);
  Put(cell, Pack(handle));
}

void NeighborLists::Append(uint32_t node, const Neighbor& neighbor) {
  Word& cell = CellToWrite(node);
  Handle handle = Unpack(Get(cell));
  if (handle.size < neighbors_max_) {
    InsertAt(handle.size, ToWord(neighbor), handle, cell);
    return;
  }
  ReadWords(handle, scratch_);
  scratch_.erase(scratch_.begin());
  scratch_.push_back(ToWord(neighbor));
  MoveTo(handle.size_class, scratch_, handle, cell);
  Add(evicted_count_, 1);
}

void NeighborLists::Assign(uint32_t node, std::span<const Neighbor> neighbors) {
  Word& cell = CellToWrite(node);
  Handle handle = Unpack(Get(cell));
  const size_t left = neighbors.size() - std::min(neighbors.size(), neighbors_max_);
  scratch_.clear();
  for (const Neighbor& neighbor : neighbors.subspan(left)) scratch_.push_back(ToWord(neighbor));
  Subtract(edge_count_, handle.size);
  Add(edge_count_, scratch_.size());
  MoveTo(scratch_.empty() ? 0 : ClassFor(scratch_.size()), scratch_, handle, cell);
  RaiseDegreeMax(handle.size);
}

void NeighborLists::Load(uint32_t node, const Neighbor& neighbor) {
  Word& cell = CellToWrite(node);
  Handle handle = Unpack(Get(cell));
  loaded_nodes_ = std::max(loaded_nodes_, node + 1);
  Add(edge_count_, 1);
  // The older half at once: in time that is linear however many come, and in bounded memory.
  if (handle.size == 2 * neighbors_max_) {
    ReadWords(handle, scratch_);
    const auto kept = scratch_.begin() + static_cast<ptrdiff_t>(neighbors_max_);
    std::nth_element(scratch_.begin(), kept, scratch_.end());
    scratch_.erase(scratch_.begin(), kept);
    Add(evicted_count_, neighbors_max_);
    Subtract(edge_count_, neighbors_max_);
    MoveTo(handle.size_class, scratch_, handle, cell);
  }
  if (handle.size == handle.capacity()) {
    ReadWords(handle, scratch_);
    MoveTo(handle.size_class + 1, scratch_, handle, cell);
  }
  Put(WordsOf(handle.unit)[handle.size], ToWord(neighbor));
  ++handle.size;
  Put(cell, Pack(handle));
}

void NeighborLists::FinishLoading() {
  for (uint32_t node = 0; node < loaded_nodes_; ++node) {
    if (CellOf(node) == nullptr) continue;
    Word& cell = CellToWrite(node);
    Handle handle = Unpack(Get(cell));
    if (handle.size == 0) continue;
    ReadWords(handle, scratch_);
    std::sort(scratch_.begin(), scratch_.end());
    if (scratch_.size() > neighbors_max_) {
      const size_t surplus = scratch_.size() - neighbors_max_;
      scratch_.erase(scratch_.begin(), scratch_.begin() + static_cast<ptrdiff_t>(surplus));
      Add(evicted_count_, surplus);
      Subtract(edge_count_, surplus);
    }
    const uint32_t size_class = ClassFor(scratch_.size());
    if (size_class < handle.size_class) {
      MoveTo(size_class, scratch_, handle, cell);
    } else {
      Word* const words = WordsOf(handle.unit);
      for (size_t at = 0; at < scratch_.size(); ++at) Put(words[at], scratch_[at]);
      handle.weight_max = HighestWeight(scratch_);
      Put(cell, Pack(handle));
    }
    RaiseDegreeMax(handle.size);
  }
}

}  // namespace groundswell
