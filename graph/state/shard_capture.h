// ShardCapture: a copy of the whole item side as it was at one offset, taken while the writer goes
// on. The items are cut into shards; a shard is copied before its first change (copy on write) or
// when the copying thread gets to it, whichever comes first.
#ifndef GROUNDSWELL_GRAPH_STATE_SHARD_CAPTURE_H_
#define GROUNDSWELL_GRAPH_STATE_SHARD_CAPTURE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "graph/ids.h"
#include "graph/mutex.h"

namespace groundswell {

inline constexpr size_t kItemsPerShard = 1024;

// An edge from the item's side, ordered newest first within an item.
struct ItemEdge {
  ItemIndex item{};
  Recency last;  // the user's newest interaction with the item
  UserIndex user{};
  bool operator<(const ItemEdge& other) const;
  bool operator==(const ItemEdge&) const = default;
};

// Items number * kItemsPerShard and on.
struct ItemShard {
  uint32_t number = 0;
  std::vector<Count> counts;    // per item H1_i (P), then H2_i (Q)
  std::vector<ItemEdge> edges;  // in order
};

class ShardCapture {
 public:
  // Called once per shard, from the writer or from the copying thread; must be thread-safe.
  using Sink = std::function<void(ItemShard)>;
  using Copy = std::function<ItemShard(uint32_t shard)>;

  ShardCapture(size_t shards, Copy copy, Sink sink);

  // The writer, before it changes anything in the shard; waits at most for the copy of one shard.
  void CaptureBeforeChange(uint32_t shard);
  // Copies every shard that is left. `keep_going` is asked between two; false ends the capture.
  void CaptureRest(const std::function<bool()>& keep_going);
  // True once nothing is left to copy.
  bool finished() const { return finished_.load(std::memory_order_acquire); }

 private:
  void Capture(uint32_t shard);

  const Copy copy_;
  const Sink sink_;
  std::vector<bool> known_;  // the writer's own memory of what is captured
  std::vector<bool> captured_ ABSL_GUARDED_BY(mutex_);
  // Held while a shard is copied: the writer may not change it meanwhile.
  Mutex mutex_;
  std::atomic<bool> finished_{false};
};

}  // namespace groundswell

#endif  // GROUNDSWELL_GRAPH_STATE_SHARD_CAPTURE_H_
