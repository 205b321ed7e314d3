#include "index/vectors/new_item_vectors.h"

#include <algorithm>
#include <utility>

namespace groundswell {

void NewItemVectors::Change(const EdgeChange& change) {
  const bool came = change.before.empty() && !change.after.empty();
  const bool left = !change.before.empty() && change.after.empty();
  if (ToInt(change.item) >= trained_items_ && (came || left)) Enqueue(change.item, left);
}

void NewItemVectors::Consider(ItemIndex item) { Enqueue(item, /*lost_user=*/false); }

void NewItemVectors::Enqueue(ItemIndex item, bool lost_user) {
  MutexLock lock(mutex_);
  if (given_.contains(item)) return;
  const auto [at, is_new] = lost_user_of_queued_.try_emplace(item, false);
  at->second |= lost_user;
  if (is_new) queue_.push_back(item);
}

bool NewItemVectors::has_due() const {
  MutexLock lock(mutex_);
  return !queue_.empty();
}

void NewItemVectors::Given(ItemIndex item) {
  MutexLock lock(mutex_);
  given_.insert(item);
}

// False where there is no room, or it was given one meanwhile.
bool NewItemVectors::Upsert(ItemIndex item, std::span<const float> vector) {
  MutexLock lock(mutex_);
  return !given_.contains(item) && index_.Upsert(item, vector).ok();
}

NewItemVectors::Refreshed NewItemVectors::Refresh() {
  std::vector<std::pair<ItemIndex, bool>> due;
  {
    MutexLock lock(mutex_);
    const size_t count = std::min(kItemsPerRefresh, queue_.size());
    const auto end = queue_.begin() + static_cast<ptrdiff_t>(count);
    for (auto at = queue_.begin(); at != end; ++at) {
      const auto queued = lost_user_of_queued_.find(*at);
      due.push_back(*queued);
      lost_user_of_queued_.erase(queued);
    }
    queue_.erase(queue_.begin(), end);
  }
  for (const auto& [item, lost_user] : due) {
    // Nothing of a user who left may stay, nor come back by the vector of another such item. Only
    // fails where there is no room, and then there is nothing to take away.
    if (lost_user && std::exchange(degree_at_[item], 0) > 0) index_.Remove(item).IgnoreError();
  }
  Refreshed refreshed;
  std::vector<float> vector(vectors_.dim());
  const EmbeddingIndex::View items = index_.Now();
  for (const auto& [item, lost_user] : due) {
    const size_t degree = adjacency_.users_of_items().Degree(ToInt(item));
    size_t& degree_then = degree_at_[item];
    if (degree < 2 * degree_then) continue;
    const bool had_one = degree_then > 0;
    degree_then = 0;
    const VectorOrigin origin = vectors_.OfItem(item, items, scratch_, vector);
    if (origin != VectorOrigin::kNone) {
      if (!Upsert(item, vector)) continue;
      degree_then = degree;
      ++(origin == VectorOrigin::kEncoder ? refreshed.by_encoder : refreshed.by_rule);
      continue;
    }
    ++refreshed.without;
    if (had_one) {
      // Only fails where there is no room, and then there is nothing to take away.
      index_.Remove(item).IgnoreError();
    }
  }
  return refreshed;
}

}  // namespace groundswell
