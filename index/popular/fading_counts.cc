#include "index/popular/fading_counts.h"

#include <algorithm>
#include <cmath>

namespace groundswell {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
// A weight grows by so many powers of two before the landmark moves; a double holds twice as many.
constexpr double kExponentMax = 500;

}  // namespace

FadingCounts::FadingCounts(double half_life_s, size_t items_max)
    : half_life_us_(half_life_s * 1e6), value_of_item_(items_max) {}

double FadingCounts::Weight(int64_t time_us) const {
  return std::exp2(static_cast<double>(time_us - landmark_us_.load(kRelaxed)) / half_life_us_);
}

double FadingCounts::ValueOf(std::span<const Edge> edges) const {
  double value = 0;
  for (const Edge& edge : edges) value += edge.count * Weight(edge.last.time_us);
  return value;
}

void FadingCounts::Change(const EdgeChange& change) {
  if (!change.after.empty()) {
    now_us_.store(std::max(now_us_.load(kRelaxed), change.after.back().last.time_us), kRelaxed);
  }
  const auto since = now_us_.load(kRelaxed) - landmark_us_.load(kRelaxed);
  if (static_cast<double>(since) > kExponentMax * half_life_us_) MoveLandmark();
  std::atomic<double>& value = value_of_item_[ToInt(change.item)];
  const double moved = ValueOf(change.after) - ValueOf(change.before);
  if (moved != 0) value.store(value.load(kRelaxed) + moved, kRelaxed);
}

void FadingCounts::MoveLandmark() {
  const MutexLock lock(mutex_);
  const double factor = 1 / Weight(now_us_.load(kRelaxed));
  for (std::atomic<double>& value : value_of_item_) {
    value.store(value.load(kRelaxed) * factor, kRelaxed);
  }
  landmark_us_.store(now_us_.load(kRelaxed), kRelaxed);
}

void FadingCounts::Read(std::span<float> out) const {
  const MutexLock lock(mutex_);
  const double factor = 1 / Weight(now_us_.load(kRelaxed));
  for (size_t item = 0; item < out.size(); ++item) {
    const double value = value_of_item_[item].load(kRelaxed) * factor;
    out[item] = value < kFloor ? 0.0f : static_cast<float>(value);
  }
}

}  // namespace groundswell
