#include "index/vectors/score_selection.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <numeric>
#include <utility>

#include "index/score_key.h"

namespace groundswell {
namespace {

constexpr size_t kBins = 2'048;
constexpr size_t kLanes = 8;

using Floats = float __attribute__((vector_size(kLanes * sizeof(float))));
using Bits = int32_t __attribute__((vector_size(kLanes * sizeof(int32_t))));

// Not by value: what processors without such registers return would be laid out otherwise.
[[gnu::always_inline]] inline void LoadLanes(const float* from, Floats& values) {
  std::memcpy(&values, from, sizeof(values));
}

// The lowest and the highest, of one at least.
std::pair<float, float> RangeOf(std::span<const float> scores) {
  float lowest = scores[0];
  float highest = scores[0];
  size_t i = 0;
  if (scores.size() >= kLanes) {
    Floats some;
    LoadLanes(scores.data(), some);
    Floats low = some;
    Floats high = some;
    for (; i + kLanes <= scores.size(); i += kLanes) {
      LoadLanes(scores.data() + i, some);
      low = some < low ? some : low;
      high = some > high ? some : high;
    }
    for (size_t lane = 0; lane < kLanes; ++lane) {
      lowest = std::min(lowest, low[lane]);
      highest = std::max(highest, high[lane]);
    }
  }
  for (; i < scores.size(); ++i) {
    lowest = std::min(lowest, scores[i]);
    highest = std::max(highest, scores[i]);
  }
  return {lowest, highest};
}

// Which bin a score belongs to: the whole part of it. Never descends as scores ascend.
struct Bins {
  float lowest;
  float per_unit;
  float operator()(float score) const { return (score - lowest) * per_unit; }
  void operator()(Floats& scores) const { scores = (scores - lowest) * per_unit; }
};

// The bin that the count-th best is in.
int32_t EdgeOf(std::span<const float> scores, const Bins& bin_of, size_t count,
               std::vector<uint32_t>& counts) {
  counts.assign(kBins + 1, 0);  // rounding may lead to the one behind the last
  for (const float score : scores) ++counts[static_cast<size_t>(bin_of(score))];
  size_t bin = kBins;
  for (size_t taken = counts[bin]; taken < count; taken += counts[bin]) --bin;
  return static_cast<int32_t>(bin);
}

void CollectFrom(std::span<const float> scores, const Bins& bin_of, int32_t edge,
                 std::vector<uint64_t>& keys) {
  const auto take = [&](size_t i) {
    if (bin_of(scores[i]) >= static_cast<float>(edge)) {
      keys.push_back(ScoreKey(scores[i], static_cast<ItemIndex>(i)));
    }
  };
  size_t i = 0;
  const Floats least = Floats{} + static_cast<float>(edge);
  for (; i + 2 * kLanes <= scores.size(); i += 2 * kLanes) {
    Floats first;
    Floats second;
    LoadLanes(scores.data() + i, first);
    LoadLanes(scores.data() + i + kLanes, second);
    bin_of(first);
    bin_of(second);
    const Bits some = (first >= least) | (second >= least);
    std::array<int64_t, kLanes / 2> any;
    std::memcpy(any.data(), &some, sizeof(any));
    if ((any[0] | any[1] | any[2] | any[3]) == 0) continue;
    for (size_t j = 0; j < 2 * kLanes; ++j) take(i + j);
  }
  for (; i < scores.size(); ++i) take(i);
}

}  // namespace

void SelectBest(std::span<const float> scores, size_t count, SelectionScratch& scratch,
                std::vector<uint32_t>& best) {
  best.clear();
  if (count == 0 || scores.empty()) return;
  if (count >= scores.size()) {
    best.resize(scores.size());
    std::iota(best.begin(), best.end(), 0);
    return;
  }
  const auto [lowest, highest] = RangeOf(scores);
  const Bins bin_of{.lowest = lowest, .per_unit = static_cast<float>(kBins) / (highest - lowest)};
  std::vector<uint64_t>& keys = scratch.keys;
  keys.clear();
  // All alike, or so nearly that a bin has no width.
  if (!std::isfinite(bin_of.per_unit)) {
    for (size_t i = 0; i < scores.size(); ++i) {
      keys.push_back(ScoreKey(scores[i], static_cast<ItemIndex>(i)));
    }
  } else {
    CollectFrom(scores, bin_of, EdgeOf(scores, bin_of, count, scratch.counts), keys);
  }
  if (keys.size() > count) {
    std::ranges::nth_element(keys, keys.begin() + static_cast<ptrdiff_t>(count));
    keys.resize(count);
  }
  for (const uint64_t key : keys) best.push_back(ToInt(ItemOfKey(key)));
}

}  // namespace groundswell
