// FadingCounts: how much each item was taken, where what was taken long ago counts for little.
//
//   value(i) = sum over the edges (u, i) of A * 2^((t - now) / half_life)
//
// A is the weight of all interactions of an edge, t the event time of its newest, now the newest
// event time seen. A function of the graph's edges alone, so that what is forgotten, removed or
// leaves the window is taken out, and a restart finds it again.
//
// Forward decay, as in TrendingItems, which counts users instead of interactions, fades within
// hours, and is in order at every moment; here an event changes one number, and whoever wants an
// order sorts.
#ifndef GROUNDSWELL_INDEX_POPULAR_FADING_COUNTS_H_
#define GROUNDSWELL_INDEX_POPULAR_FADING_COUNTS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "graph/mutex.h"
#include "graph/state/edge_change.h"

namespace groundswell {

// One writer beside any number of readers, who do not hold it up.
class FadingCounts {
 public:
  // Below it a value is 0: what one user took once, 20 half-lives ago. So what rounding leaves of
  // a sum whose parts were taken out again has no place in an order.
  static constexpr double kFloor = 1.0 / (1 << 20);

  // REQUIRES: half_life_s > 0; items with an index below `items_max`.
  FadingCounts(double half_life_s, size_t items_max);

  // By the writer.
  void Change(const EdgeChange& change) ABSL_LOCKS_EXCLUDED(mutex_);

  // The values of the first items, as many as `out` has room for.
  void Read(std::span<float> out) const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  double Weight(int64_t time_us) const;
  double ValueOf(std::span<const Edge> edges) const;
  void MoveLandmark() ABSL_LOCKS_EXCLUDED(mutex_);

  const double half_life_us_;
  // Relative to the landmark, which moves only with the mutex.
  std::vector<std::atomic<double>> value_of_item_;
  std::atomic<int64_t> landmark_us_ = 0;
  std::atomic<int64_t> now_us_ = 0;
  mutable Mutex mutex_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_INDEX_POPULAR_FADING_COUNTS_H_
