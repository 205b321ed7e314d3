// ItemState: the macro edges and newest users of every item, in memory.
//
// A request reads hundreds of items, so they are rows of one block of memory: no heap node per
// item, and the next rows are prefetched while one is copied. Rows are guarded by striped locks
// that are held for one copy only: a reader sees every event wholly or not at all in a row.
//
// Thread-safety: any number of readers beside one writer.
#ifndef GROUNDSWELL_GRAPH_STATE_ITEM_STATE_H_
#define GROUNDSWELL_GRAPH_STATE_ITEM_STATE_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <vector>

#include "graph/ids.h"
#include "graph/mutex.h"

namespace groundswell {

// P, Q and L of spec and snapshot.
struct MacroShape {
  uint32_t user_clusters = 0;  // P: length of H1_i and H2_u
  uint32_t item_clusters = 0;  // Q: length of H1_u and H2_i
  uint32_t recent_len = 0;     // L: newest neighbours kept at hand per item
};

// One change of one row, applied under its lock as a whole.
struct ItemRowChange {
  std::span<const Count> one_hop;                        // length P, added to H1_i; empty: nothing
  std::span<const Count> two_hop;                        // length Q, added to H2_i; empty: nothing
  const std::vector<UserIndex>* newest_users = nullptr;  // replaces the list; nullptr: keeps it
};

// Rows fetched ahead of the one at hand; random reads become about 3.5 times faster.
inline constexpr size_t kPrefetchAhead = 16;

class ItemState {
 public:
  // `capacity` rows, all zero; memory is taken by the rows that are written.
  ItemState(MacroShape shape, size_t capacity);

  size_t capacity() const { return capacity_; }
  const MacroShape& shape() const { return shape_; }
  // Bytes of one item's row.
  size_t row_bytes() const { return stride_ * sizeof(int64_t); }

  // Copies n rows: H1_i to `one_hop` (n x P), H2_i to `two_hop` (n x Q) and the newest users to
  // `newest_users` (n x L, newest first, `none` where there are fewer). An empty span skips a part.
  void ReadRows(std::span<const ItemIndex> items, std::span<Count> one_hop,
                std::span<Count> two_hop, std::span<uint32_t> newest_users, uint32_t none) const;

  // How often each row has changed, to `versions` (length n). What was computed from a row that was
  // read after its version is at least as new as the version.
  void ReadVersions(std::span<const ItemIndex> items, std::span<int64_t> versions) const;

  // Adds H1_i * `weight` of one item to `sum` (length P).
  void AddOneHopTo(ItemIndex item, Count weight, std::span<Count> sum) const;

  // Sum of the item's H1_i: the summed weight of all its interactions.
  Count Total(ItemIndex item) const;

  // Brings a row on its way from memory; does not wait for it.
  void Prefetch(ItemIndex item) const;
  // Likewise the one counter that AddTwoHop changes.
  void PrefetchTwoHop(ItemIndex item, Cluster node) const;

  // For the one writer.
  void Change(ItemIndex item, const ItemRowChange& change);
  void AddTwoHop(ItemIndex item, Cluster node, Count delta);

  // H1_i and then H2_i. For the writer, or while no one writes to this row.
  std::span<const Count> CountsOf(ItemIndex item) const {
    return {Row(item), shape_.user_clusters + shape_.item_clusters};
  }

 private:
  static constexpr size_t kStripes = 1024;

  void CountChange(ItemIndex item);
  Mutex& StripeOf(ItemIndex item) const { return stripes_[ToInt(item) % kStripes]; }
  int64_t* Row(ItemIndex item) { return rows_.get() + ToInt(item) * stride_; }
  const int64_t* Row(ItemIndex item) const { return rows_.get() + ToInt(item) * stride_; }

  struct Free {
    void operator()(int64_t* rows) const { std::free(rows); }
  };

  const MacroShape shape_;
  const size_t capacity_;
  // A row: H1_i (P words), H2_i (Q words), number of newest users (1 word), newest users (two to a
  // word); in words of 8 bytes, padded to whole cache lines.
  const size_t stride_;
  std::unique_ptr<int64_t[], Free> rows_;
  // Beside the rows, so that a change of one counter touches one line of a row.
  std::unique_ptr<std::atomic<int64_t>[]> versions_;
  mutable std::array<Mutex, kStripes> stripes_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_GRAPH_STATE_ITEM_STATE_H_
