// FadingCounts: how much each item was taken, at several time scales at once, where what was taken
// long ago counts for little.
//
//   value(i) = sum over the edges (u, i) of A * 2^((t - now) / half_life)
//
// for each half-life; A is the weight of all interactions of an edge, t the event time of its
// newest, now the newest event time seen. A function of the graph's edges alone, to the bit: what
// is forgotten, removed or leaves the window is taken out, and a restart finds it again, in
// whatever order it reads the edges. (So a model may learn from it that is to be the same
// everywhere.)
//
// How: values are integers (FadingTime). Of an item only the present span's sum and the one before
// are kept; what is older, by kSpan half-lives at least, counts 0. Time alone moves nothing until
// the next span begins, when one pass over the items clears what the last but one left. 16 bytes
// per item and scale.
//
// TrendingItems counts users instead of interactions and is in order at every moment; here an event
// changes one item's numbers, and whoever wants an order sorts.
#ifndef GROUNDSWELL_INDEX_POPULAR_FADING_COUNTS_H_
#define GROUNDSWELL_INDEX_POPULAR_FADING_COUNTS_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "graph/state/edge_change.h"
#include "index/candidate_source.h"
#include "index/popular/fading_time.h"

namespace groundswell {

// One writer beside any number of readers, who do not hold it up. A reader beside the beginning of
// a span may miss what is kSpan half-lives old.
class FadingCounts {
 public:
  static constexpr int64_t kSpan = FadingTime::kSpan;
  // Below it a value is 0: what one user took once, so many half-lives ago.
  static constexpr double kFloor = FadingTime::kFloor;

  // REQUIRES: half-lives of at least a microsecond, in seconds; items with an index below
  // `items_max`; weights that add up to at most kTotalCountMax (graph/state/macro_graph.h), so that
  // no sum overflows.
  FadingCounts(std::span<const double> half_lives_s, size_t items_max);

  // By the writer.
  void Change(const EdgeChange& change);
  // By the writer: time has come so far, though no edge says so.
  void Advance(int64_t now_us);

  size_t scales() const { return scales_.size(); }
  int64_t now_us() const { return now_us_.load(std::memory_order_relaxed); }

  // All that it is made of, to be compared with another one's of the same now: of each item and
  // scale the sums of the even span and of the odd one. While nobody writes.
  std::vector<int64_t> CopySums() const;

  // The values of the first items at a scale, as many as `out` has room for.
  void Read(size_t scale, std::span<float> out) const;
  // The items' shares of the sum of all values at a scale, 0 to 1; 0 where nothing is left.
  // REQUIRES: as many of `shares`.
  void Shares(size_t scale, std::span<const Candidate> items, std::span<float> shares) const;

 private:
  // Sums in units of 2^-14: [span % 2] of the present span and of the one before.
  using Sums = std::array<std::atomic<int64_t>, 2>;
  struct Scale {
    explicit Scale(double half_life_s) : time(half_life_s) {}
    Scale(Scale&& other) noexcept : time(other.time) {}  // before its first use
    // Relative to the beginning of the present span.
    double Value(const Sums& sums) const;
    float Share(const Sums& sums, double all) const;

    const FadingTime time;
    std::atomic<int64_t> span = 0;
    Sums total{};
  };

  void BeginSpan(size_t scale, int64_t span);
  void Add(size_t scale, ItemIndex item, std::span<const Edge> edges, int64_t sign);
  Sums& SumsOf(size_t scale, size_t item) { return sums_[item * scales_.size() + scale]; }
  const Sums& SumsOf(size_t scale, size_t item) const {
    return sums_[item * scales_.size() + scale];
  }

  std::vector<Scale> scales_;
  std::vector<Sums> sums_;  // by item, then by scale: a candidate's lie together
  std::atomic<int64_t> now_us_ = 0;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_INDEX_POPULAR_FADING_COUNTS_H_
