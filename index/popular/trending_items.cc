#include "index/popular/trending_items.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "absl/hash/hash.h"

namespace groundswell {

TrendingItems::TrendingItems(const FadingTime& time, size_t user_clusters)
    : time_(time), of_cluster_(user_clusters) {}

TrendingItems::Sums TrendingItems::SumsOf(std::span<const Edge> edges) const {
  if (edges.empty()) return {};
  const int64_t time_us = edges.back().last.time_us;
  const int64_t span = time_.SpanOf(time_us);
  if (span == span_) return {.present = time_.Weight(time_us)};
  if (span + 1 == span_) return {.before = time_.Weight(time_us)};
  return {};
}

void TrendingItems::Advance(int64_t now_us) {
  const MutexLock lock(mutex_);
  AdvanceTo(now_us);
}

int64_t TrendingItems::now_us() const {
  const MutexLock lock(mutex_);
  return now_us_;
}

uint64_t TrendingItems::Digest() const {
  const MutexLock lock(mutex_);
  // A sum, since the order in which a hash table has its items is by chance.
  uint64_t digest = 0;
  const auto add = [&digest](const Board& board, size_t kind, size_t number) {
    for (const auto& [item, sums] : board.of_item) {
      digest += absl::HashOf(kind, number, ToInt(item), sums.present, sums.before);
    }
  };
  add(all_, 0, 0);
  for (size_t number = 0; number < of_category_.size(); ++number) {
    add(of_category_[number], 1, number);
  }
  for (size_t number = 0; number < of_cluster_.size(); ++number) {
    add(of_cluster_[number], 2, number);
  }
  return digest;
}

void TrendingItems::AdvanceTo(int64_t now_us) {
  if (now_us <= now_us_) return;
  now_us_ = now_us;
  if (const int64_t span = time_.SpanOf(now_us); span > span_) BeginSpan(span);
}

void TrendingItems::BeginSpan(int64_t span) {
  const bool follows = span == span_ + 1;
  span_ = span;
  const auto begin = [follows](Board& board) {
    std::vector<std::pair<Entry, Sums>> kept;
    for (const auto& [item, sums] : board.of_item) {
      if (!follows || sums.present == 0) continue;
      const Sums left{.before = sums.present};
      kept.push_back({{.value = left.Value(), .item = item}, left});
    }
    std::ranges::sort(kept, std::less<Entry>(), &std::pair<Entry, Sums>::first);
    board = {};
    for (const auto& [entry, sums] : kept) {
      board.order.insert(board.order.end(), entry);
      board.of_item.emplace(entry.item, sums);
    }
  };
  begin(all_);
  std::ranges::for_each(of_category_, begin);
  std::ranges::for_each(of_cluster_, begin);
}

void TrendingItems::Change(const EdgeChange& change, uint32_t category) {
  const MutexLock lock(mutex_);
  if (!change.after.empty()) AdvanceTo(change.after.back().last.time_us);
  const Sums before = SumsOf(change.before);
  const Sums after = SumsOf(change.after);
  if (category >= of_category_.size()) of_category_.resize(category + 1);
  Add(all_, change.item, after - before);
  Add(of_category_[category], change.item, after - before);
  if (change.cluster_before != change.cluster_after) {
    Add(of_cluster_[change.cluster_before], change.item, Sums{} - before);
    Add(of_cluster_[change.cluster_after], change.item, after);
  } else {
    Add(of_cluster_[change.cluster_after], change.item, after - before);
  }
}

void TrendingItems::Recategorize(ItemIndex item, uint32_t before, uint32_t after) {
  const MutexLock lock(mutex_);
  if (before == after || before >= of_category_.size()) return;
  const auto at = of_category_[before].of_item.find(item);
  if (at == of_category_[before].of_item.end()) return;
  const Sums sums = at->second;
  if (after >= of_category_.size()) of_category_.resize(after + 1);
  Add(of_category_[before], item, Sums{} - sums);
  Add(of_category_[after], item, sums);
}

void TrendingItems::Add(Board& board, ItemIndex item, const Sums& sums) {
  if (sums == Sums{}) return;
  Sums& of_item = board.of_item[item];
  if (of_item != Sums{}) board.order.erase({.value = of_item.Value(), .item = item});
  of_item = of_item + sums;
  if (of_item == Sums{}) {
    board.of_item.erase(item);
  } else {
    board.order.insert({.value = of_item.Value(), .item = item});
  }
}

void TrendingItems::Append(const Board& board, const ItemFilter& filter, size_t count,
                           uint32_t source, std::vector<Candidate>& found) const {
  const double now = FadingTime::Value(time_.Weight(now_us_), 0);
  for (const Entry& entry : board.order) {
    if (count == 0 || entry.value < kFloor * now) return;
    if (!filter.Admits(entry.item)) continue;
    found.push_back({entry.item, static_cast<float>(entry.value / now), source});
    --count;
  }
}

std::vector<Candidate> TrendingItems::Retrieve(std::span<const uint32_t> categories,
                                               const ItemFilter& filter, size_t count) const {
  std::vector<Candidate> found;
  const MutexLock lock(mutex_);
  if (categories.empty()) {
    Append(all_, filter, count, kFromTrending, found);
    return found;
  }
  for (const uint32_t category : categories) {
    if (category >= of_category_.size()) continue;
    Append(of_category_[category], filter, count, kFromTrending, found);
  }
  std::sort(found.begin(), found.end(), [](const Candidate& a, const Candidate& b) {
    return a.score != b.score ? a.score > b.score : a.item < b.item;
  });
  found.resize(std::min(count, found.size()));
  return found;
}

std::vector<Candidate> TrendingItems::RetrieveOfCluster(Cluster cluster, const ItemFilter& filter,
                                                        size_t count) const {
  std::vector<Candidate> found;
  const MutexLock lock(mutex_);
  Append(of_cluster_[cluster], filter, count, kFromCluster, found);
  return found;
}

}  // namespace groundswell
