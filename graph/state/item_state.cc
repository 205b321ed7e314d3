#include "graph/state/item_state.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <numeric>

namespace groundswell {
namespace {

constexpr size_t kCacheLineWords = 8;

size_t Stride(const MacroShape& shape) {
  const size_t words = shape.user_clusters + shape.item_clusters + 1 + (shape.recent_len + 1) / 2;
  return (words + kCacheLineWords - 1) / kCacheLineWords * kCacheLineWords;
}

}  // namespace

// calloc, so that rows without an item cost address space only.
ItemState::ItemState(MacroShape shape, size_t capacity)
    : shape_(shape),
      capacity_(capacity),
      stride_(Stride(shape)),
      rows_(static_cast<int64_t*>(std::calloc(std::max<size_t>(capacity, 1), row_bytes()))),
      versions_(std::make_unique<std::atomic<int64_t>[]>(capacity)) {
  if (rows_ == nullptr) throw std::bad_alloc();
}

void ItemState::Prefetch(ItemIndex item) const {
  const int64_t* row = Row(item);
  for (size_t word = 0; word < stride_; word += kCacheLineWords) __builtin_prefetch(row + word);
}

void ItemState::PrefetchTwoHop(ItemIndex item, Cluster node) const {
  __builtin_prefetch(Row(item) + shape_.user_clusters + node, /*rw=*/1);
  __builtin_prefetch(&versions_[ToInt(item)], /*rw=*/1);
}

void ItemState::ReadRows(std::span<const ItemIndex> items, std::span<Count> one_hop,
                         std::span<Count> two_hop, std::span<uint32_t> newest_users,
                         uint32_t none) const {
  const size_t p = shape_.user_clusters;
  const size_t q = shape_.item_clusters;
  const size_t l = shape_.recent_len;
  for (size_t i = 0; i < std::min(kPrefetchAhead, items.size()); ++i) Prefetch(items[i]);
  for (size_t i = 0; i < items.size(); ++i) {
    if (i + kPrefetchAhead < items.size()) Prefetch(items[i + kPrefetchAhead]);
    const int64_t* row = Row(items[i]);
    MutexLock lock(StripeOf(items[i]));
    if (!one_hop.empty()) std::copy_n(row, p, one_hop.data() + i * p);
    if (!two_hop.empty()) std::copy_n(row + p, q, two_hop.data() + i * q);
    if (!newest_users.empty()) {
      uint32_t* out = newest_users.data() + i * l;
      const auto count = static_cast<size_t>(row[p + q]);
      if (count > 0) std::memcpy(out, row + p + q + 1, count * sizeof(uint32_t));
      std::fill(out + count, out + l, none);
    }
  }
}

void ItemState::ReadVersions(std::span<const ItemIndex> items, std::span<int64_t> versions) const {
  for (size_t i = 0; i < items.size(); ++i) {
    versions[i] = versions_[ToInt(items[i])].load(std::memory_order_acquire);
  }
}

// Under the row's lock and after its change, so that no version is seen before its change.
void ItemState::CountChange(ItemIndex item) {
  std::atomic<int64_t>& version = versions_[ToInt(item)];
  version.store(version.load(std::memory_order_relaxed) + 1, std::memory_order_release);
}

void ItemState::AddOneHopTo(ItemIndex item, Count weight, std::span<Count> sum) const {
  const int64_t* row = Row(item);
  MutexLock lock(StripeOf(item));
  for (size_t node = 0; node < sum.size(); ++node) sum[node] += weight * row[node];
}

Count ItemState::Total(ItemIndex item) const {
  const int64_t* row = Row(item);
  MutexLock lock(StripeOf(item));
  return std::accumulate(row, row + shape_.user_clusters, Count{0});
}

void ItemState::Change(ItemIndex item, const ItemRowChange& change) {
  const size_t p = shape_.user_clusters;
  const size_t q = shape_.item_clusters;
  int64_t* row = Row(item);
  MutexLock lock(StripeOf(item));
  for (size_t node = 0; node < change.one_hop.size(); ++node) row[node] += change.one_hop[node];
  for (size_t node = 0; node < change.two_hop.size(); ++node) row[p + node] += change.two_hop[node];
  if (change.newest_users != nullptr) {
    row[p + q] = static_cast<int64_t>(change.newest_users->size());
    if (!change.newest_users->empty()) {
      std::memcpy(row + p + q + 1, change.newest_users->data(),
                  change.newest_users->size() * sizeof(uint32_t));
    }
  }
  CountChange(item);
}

void ItemState::AddTwoHop(ItemIndex item, Cluster node, Count delta) {
  int64_t* row = Row(item);
  MutexLock lock(StripeOf(item));
  row[shape_.user_clusters + node] += delta;
  CountChange(item);
}

}  // namespace groundswell
