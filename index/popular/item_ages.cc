#include "index/popular/item_ages.h"

#include <algorithm>
#include <limits>

namespace groundswell {
namespace {

uint64_t SecondsOf(int64_t time_us) {
  constexpr int64_t kMax = std::numeric_limits<uint32_t>::max();
  return static_cast<uint64_t>(std::clamp(time_us / kMicrosPerSecond, int64_t{0}, kMax));
}

// Modulo 2^64, so that what was put in can be taken out.
void AddTo(std::atomic<uint64_t>& sum, uint64_t term, bool take_out) {
  const uint64_t before = sum.load(std::memory_order_relaxed);
  sum.store(take_out ? before - term : before + term, std::memory_order_relaxed);
}

}  // namespace

void ItemAges::Change(const EdgeChange& change) {
  // Most changes leave most edges as they were.
  const auto [before, after] = std::ranges::mismatch(change.before, change.after);
  Add(change.item, {before, change.before.end()}, /*take_out=*/true);
  Add(change.item, {after, change.after.end()}, /*take_out=*/false);
}

void ItemAges::Add(ItemIndex item, std::span<const Edge> edges, bool take_out) {
  Sums& sums = sums_[ToInt(item)];
  for (const Edge& edge : edges) {
    AddTo(sums.weight, edge.count, take_out);
    AddTo(sums.weighted_seconds, edge.count * SecondsOf(edge.last.time_us), take_out);
  }
}

float ItemAges::MeanAge(ItemIndex item, int64_t now_us) const {
  const Sums& sums = sums_[ToInt(item)];
  const uint64_t weight = sums.weight.load(std::memory_order_relaxed);
  if (weight == 0) return -1;
  const double mean = static_cast<double>(sums.weighted_seconds.load(std::memory_order_relaxed)) /
                      static_cast<double>(weight);
  return static_cast<float>(std::max(static_cast<double>(SecondsOf(now_us)) - mean, 0.0));
}

std::vector<uint64_t> ItemAges::CopySums() const {
  std::vector<uint64_t> copy;
  copy.reserve(2 * sums_.size());
  for (const Sums& sums : sums_) {
    copy.push_back(sums.weight.load(std::memory_order_relaxed));
    copy.push_back(sums.weighted_seconds.load(std::memory_order_relaxed));
  }
  return copy;
}

}  // namespace groundswell
