#include "index/popular/trending_items.h"

#include <algorithm>
#include <cmath>

namespace groundswell {
namespace {

// A value grows by so many powers of two before the landmark moves; a double holds twice as many.
constexpr double kExponentMax = 500;

}  // namespace

TrendingItems::TrendingItems(double half_life_s, size_t user_clusters)
    : half_life_us_(half_life_s * 1e6), of_user_node_(user_clusters) {}

double TrendingItems::Value(int64_t time_us) const {
  return std::exp2(static_cast<double>(time_us - landmark_us_) / half_life_us_);
}

double TrendingItems::ValueOf(std::span<const Edge> edges) const {
  const double value = edges.empty() ? 0 : Value(edges.back().last.time_us);
  return value >= kFloor * Value(now_us_) ? value : 0;
}

void TrendingItems::Change(const EdgeChange& change, uint32_t category) {
  const MutexLock lock(mutex_);
  if (!change.after.empty()) now_us_ = std::max(now_us_, change.after.back().last.time_us);
  if (static_cast<double>(now_us_ - landmark_us_) > kExponentMax * half_life_us_) MoveLandmark();
  const double before = ValueOf(change.before);
  const double after = ValueOf(change.after);
  if (category >= of_category_.size()) of_category_.resize(category + 1);
  if (before != after) {
    Add(all_, change.item, after - before);
    Add(of_category_[category], change.item, after - before);
  }
  if (change.cluster_before != change.cluster_after) {
    Add(of_user_node_[change.cluster_before], change.item, -before);
    Add(of_user_node_[change.cluster_after], change.item, after);
  } else if (before != after) {
    Add(of_user_node_[change.cluster_after], change.item, after - before);
  }
}

void TrendingItems::Recategorize(ItemIndex item, uint32_t before, uint32_t after) {
  const MutexLock lock(mutex_);
  if (before == after || before >= of_category_.size()) return;
  const auto at = of_category_[before].value_of_item.find(item);
  if (at == of_category_[before].value_of_item.end()) return;
  const double value = at->second;
  if (after >= of_category_.size()) of_category_.resize(after + 1);
  Add(of_category_[before], item, -value);
  Add(of_category_[after], item, value);
}

void TrendingItems::Add(Board& board, ItemIndex item, double value) {
  const double floor = kFloor * Value(now_us_);
  const auto at = board.value_of_item.find(item);
  const double before = at != board.value_of_item.end() ? at->second : 0;
  if (before > 0) board.order.erase({.value = before, .item = item});
  const double after = before + value;
  if (after >= floor) {
    board.value_of_item.insert_or_assign(item, after);
    board.order.insert({.value = after, .item = item});
  } else if (before > 0) {
    board.value_of_item.erase(item);
  }
  while (!board.order.empty() && board.order.rbegin()->value < floor) {
    const auto last = std::prev(board.order.end());
    board.value_of_item.erase(last->item);
    board.order.erase(last);
  }
}

// All values shrink by the same factor; what becomes 0 was below the floor.
void TrendingItems::MoveLandmark() {
  const double factor = 1 / Value(now_us_);
  landmark_us_ = now_us_;
  const auto shrink = [factor](Board& board) {
    Board kept;
    for (const Entry& entry : board.order) {
      const double value = entry.value * factor;
      if (value < kFloor) break;
      kept.order.insert(kept.order.end(), {.value = value, .item = entry.item});
      kept.value_of_item.emplace(entry.item, value);
    }
    board = std::move(kept);
  };
  shrink(all_);
  std::for_each(of_category_.begin(), of_category_.end(), shrink);
  std::for_each(of_user_node_.begin(), of_user_node_.end(), shrink);
}

void TrendingItems::Append(const Board& board, const ItemFilter& filter, size_t count,
                           uint32_t source, std::vector<Candidate>& found) const {
  const double now = Value(now_us_);
  for (const Entry& entry : board.order) {
    if (count == 0) return;
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

std::vector<Candidate> TrendingItems::RetrieveOfUserNode(MacroNode node, const ItemFilter& filter,
                                                         size_t count) const {
  std::vector<Candidate> found;
  const MutexLock lock(mutex_);
  Append(of_user_node_[node], filter, count, kFromMacroNode, found);
  return found;
}

size_t TrendingItems::size() const {
  const MutexLock lock(mutex_);
  size_t size = all_.order.size();
  for (const Board& board : of_category_) size += board.order.size();
  for (const Board& board : of_user_node_) size += board.order.size();
  return size;
}

}  // namespace groundswell
