// TrendingItems: what most users take now, over all items, by category, and by user cluster.
//
//   score(i) = sum over the users u with an edge to i of 2^((t_ui - now) / half_life)
//
// t_ui is the event time of u's newest interaction with i, now the newest event time seen. A user
// counts once per item, however often he comes back. It is a function of the graph's edges and now
// alone, to the bit: what is forgotten, removed or leaves the window is taken out, and a restart
// finds it again, in whatever order it reads the edges; so a model may learn from it that is to be
// the same everywhere. (Sums of floating point were as good a list, but another one after a
// restart.)
//
// Scores are sums of integers (FadingTime), relative to the beginning of the present span, so the
// passage of time alone changes no order, and an event moves one item per board: O(log n). When a
// span begins, every board is made anew from what its present span left. A score below kFloor is
// not listed, and may lack as much: what is 16 half-lives old need not count.
#ifndef GROUNDSWELL_INDEX_POPULAR_TRENDING_ITEMS_H_
#define GROUNDSWELL_INDEX_POPULAR_TRENDING_ITEMS_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_map.h"
#include "graph/ids.h"
#include "graph/mutex.h"
#include "graph/state/edge_change.h"
#include "index/candidate_source.h"
#include "index/popular/fading_time.h"

namespace groundswell {

// Thread-safe: one writer beside any number of readers.
class TrendingItems {
 public:
  static constexpr double kFloor = FadingTime::kFloor;

  // REQUIRES: half_life_s > 0.
  TrendingItems(double half_life_s, size_t user_clusters)
      : TrendingItems(FadingTime(half_life_s), user_clusters) {}
  TrendingItems(const FadingTime& time, size_t user_clusters);

  void Change(const EdgeChange& change, uint32_t category) ABSL_LOCKS_EXCLUDED(mutex_);

  // Time has come so far, though no edge says so.
  void Advance(int64_t now_us) ABSL_LOCKS_EXCLUDED(mutex_);

  const FadingTime& time() const { return time_; }
  int64_t now_us() const ABSL_LOCKS_EXCLUDED(mutex_);
  // Of what every board holds: in this process the same for another one of the same edges,
  // categories and now.
  uint64_t Digest() const ABSL_LOCKS_EXCLUDED(mutex_);

  // The item belongs to another category from here on.
  void Recategorize(ItemIndex item, uint32_t before, uint32_t after) ABSL_LOCKS_EXCLUDED(mutex_);

  // Over all items, or those of `categories` (the filter's own) when there are any. At most `count`
  // admitted items, best first, ties by ascending item.
  std::vector<Candidate> Retrieve(std::span<const uint32_t> categories, const ItemFilter& filter,
                                  size_t count) const ABSL_LOCKS_EXCLUDED(mutex_);
  // Among the users of one cluster.
  std::vector<Candidate> RetrieveOfCluster(Cluster cluster, const ItemFilter& filter,
                                           size_t count) const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  // Sums of weights, of the present span and of the one before.
  struct Sums {
    int64_t present = 0;
    int64_t before = 0;
    double Value() const { return FadingTime::Value(present, before); }
    bool operator==(const Sums&) const = default;
    friend Sums operator-(const Sums& a, const Sums& b) {
      return {a.present - b.present, a.before - b.before};
    }
    friend Sums operator+(const Sums& a, const Sums& b) {
      return {a.present + b.present, a.before + b.before};
    }
  };
  struct Entry {
    double value = 0;
    ItemIndex item{};
    bool operator<(const Entry& other) const {
      return value != other.value ? value > other.value : item < other.item;
    }
  };
  struct Board {
    absl::btree_set<Entry> order;
    absl::flat_hash_map<ItemIndex, Sums> of_item;
  };

  void AdvanceTo(int64_t now_us) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void BeginSpan(int64_t span) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Of the newest of the edges; nothing if that was long ago.
  Sums SumsOf(std::span<const Edge> edges) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  static void Add(Board& board, ItemIndex item, const Sums& sums);
  void Append(const Board& board, const ItemFilter& filter, size_t count, uint32_t source,
              std::vector<Candidate>& found) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const FadingTime time_;
  mutable Mutex mutex_;
  int64_t now_us_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t span_ ABSL_GUARDED_BY(mutex_) = 0;
  Board all_ ABSL_GUARDED_BY(mutex_);
  std::vector<Board> of_category_ ABSL_GUARDED_BY(mutex_);
  std::vector<Board> of_cluster_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace groundswell

#endif  // GROUNDSWELL_INDEX_POPULAR_TRENDING_ITEMS_H_
