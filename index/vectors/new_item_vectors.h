// NewItemVectors: gives items that came without a vector one (LiveVectors::OfItem), and another one
// whenever they have twice as many users or have lost one, so that the embedding index can find
// them.
#ifndef GROUNDSWELL_INDEX_VECTORS_NEW_ITEM_VECTORS_H_
#define GROUNDSWELL_INDEX_VECTORS_NEW_ITEM_VECTORS_H_

#include <cstddef>
#include <span>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "graph/fold/interaction_adjacency.h"
#include "graph/ids.h"
#include "graph/mutex.h"
#include "graph/state/edge_change.h"
#include "index/vectors/embedding_index.h"
#include "index/vectors/live_vectors.h"

namespace groundswell {

// Thread-safe: Change and Given by the graph's writer, Refresh by one other thread.
class NewItemVectors {
 public:
  // Items from `trained_items` on are new. All references must outlive it.
  NewItemVectors(const LiveVectors& vectors, const InteractionAdjacency& adjacency,
                 EmbeddingIndex& index, size_t trained_items)
      : vectors_(vectors),
        adjacency_(adjacency),
        index_(index),
        trained_items_(trained_items),
        scratch_(vectors.NewScratch()) {}

  // When the adjacency has it. Of no account for items that were trained or given a vector.
  void Change(const EdgeChange& change) ABSL_LOCKS_EXCLUDED(mutex_);
  // The next Refresh looks at it; for an item that was loaded.
  void Consider(ItemIndex item) ABSL_LOCKS_EXCLUDED(mutex_);
  // It comes with a vector of its own, which it keeps: before the index has that.
  void Given(ItemIndex item) ABSL_LOCKS_EXCLUDED(mutex_);

  struct Refreshed {
    size_t by_encoder = 0;
    size_t by_rule = 0;
    size_t without = 0;  // nothing is known of them that a vector could be made of
  };
  // Looks at what is due, at most kItemsPerRefresh items.
  Refreshed Refresh() ABSL_LOCKS_EXCLUDED(mutex_);

  bool has_due() const ABSL_LOCKS_EXCLUDED(mutex_);

  static constexpr size_t kItemsPerRefresh = 1'000;

 private:
  bool Upsert(ItemIndex item, std::span<const float> vector) ABSL_LOCKS_EXCLUDED(mutex_);
  void Enqueue(ItemIndex item, bool lost_user) ABSL_LOCKS_EXCLUDED(mutex_);

  const LiveVectors& vectors_;
  const InteractionAdjacency& adjacency_;
  EmbeddingIndex& index_;
  const size_t trained_items_;
  LiveVectors::Scratch scratch_;                      // Refresh's alone
  absl::flat_hash_map<ItemIndex, size_t> degree_at_;  // when the vector was made; Refresh's alone
  mutable Mutex mutex_;
  std::vector<ItemIndex> queue_
      ABSL_GUARDED_BY(mutex_);  // in the order in which users came or went
  absl::flat_hash_map<ItemIndex, bool> lost_user_of_queued_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_set<ItemIndex> given_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace groundswell

#endif  // GROUNDSWELL_INDEX_VECTORS_NEW_ITEM_VECTORS_H_
