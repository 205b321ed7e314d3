#include "index/new_item_vectors.h"

#include <algorithm>

namespace groundswell {

void NewItemVectors::Touched(ItemIndex item) {
  if (ToInt(item) < trained_items_) return;
  MutexLock lock(mutex_);
  if (!given_.contains(item) && queued_.insert(item).second) queue_.push_back(item);
}

void NewItemVectors::Given(ItemIndex item) {
  MutexLock lock(mutex_);
  given_.insert(item);
}

size_t NewItemVectors::Refresh() {
  std::vector<ItemIndex> due;
  {
    MutexLock lock(mutex_);
    const size_t count = std::min(kItemsPerRefresh, queue_.size());
    const auto end = queue_.begin() + static_cast<ptrdiff_t>(count);
    due.assign(queue_.begin(), end);
    queue_.erase(queue_.begin(), end);
    for (const ItemIndex item : due) queued_.erase(item);
  }
  size_t made = 0;
  std::vector<float> vector(vectors_.dim());
  const EmbeddingIndex::View items = index_.Now();
  for (const ItemIndex item : due) {
    const size_t degree = adjacency_.users_of_items().Degree(ToInt(item));
    size_t& degree_then = degree_at_[item];
    // Fewer users: some were forgotten, and nothing of them may stay.
    if (degree >= degree_then && degree < 2 * degree_then) continue;
    const bool had_one = degree_then > 0;
    degree_then = 0;
    if (vectors_.OfItem(item, items, vector)) {
      if (!index_.Upsert(item, vector).ok()) continue;
      degree_then = degree;
      ++made;
    } else if (had_one) {
      // Only fails where there is no room, and then there is nothing to take away.
      index_.Remove(item).IgnoreError();
    }
  }
  return made;
}

}  // namespace groundswell
