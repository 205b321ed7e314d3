// ListMetrics: how well lists of recommendations hit the one item that each event turned out to be.
//
// With r the place of the event's item in the list asked for just before the event (from 1; none
// when it is not there), an event scores
//
//   hit rate at k   1 if r <= k, else 0
//   NDCG at k       1 / log2(1 + r) if r <= k, else 0: the ideal list has the item first, gain 1
//   MRR             1 / r, else 0, over the whole list
//
// and each metric is the mean over the events. With one relevant item, Recall at k is the hit rate.
#ifndef GROUNDSWELL_CLIENT_EVALUATE_LIST_METRICS_H_
#define GROUNDSWELL_CLIENT_EVALUATE_LIST_METRICS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace groundswell {

// A mean, and half the width of its 95% confidence interval.
//
// Events of one user are not independent, so users are the units that are drawn: with x_e the value
// of event e, m the mean of all n events and the sums over the U users' events,
//
//   se^2 = U / (U - 1) * sum_u (sum_{e of u} (x_e - m))^2 / n^2
//
// (the sandwich estimator of a mean over clusters: Liang and Zeger, Biometrika 1986), and the
// interval is m +- 1.96 se, the normal approximation. With fewer than two users it is unknown: NaN.
struct Estimate {
  double mean = 0;
  double half_width = 0;
};

class ListMetrics {
 public:
  static constexpr std::array<size_t, 3> kCutoffs = {10, 20, 100};
  static constexpr size_t kRankMax = kCutoffs.back();  // longest list

  struct Summary {
    uint64_t events = 0;
    uint64_t users = 0;
    std::array<Estimate, kCutoffs.size()> hit_rate;  // one per cutoff
    std::array<Estimate, kCutoffs.size()> ndcg;
    Estimate mrr;
  };

  // One event: the number of its user (dense, from 0) and the place of its item in the list, from
  // 1; 0 when it is not there.
  void Add(uint32_t user, size_t rank);

  // O(users). All means are 0 when there is no event.
  Summary Summarise() const;

  uint64_t events() const { return events_; }
  // Events among the first kCutoffs[cutoff] of their lists.
  uint64_t hits(size_t cutoff) const { return hits_[cutoff]; }

 private:
  static constexpr size_t kValues = 2 * kCutoffs.size() + 1;
  struct UserSums {
    uint64_t events = 0;
    std::array<double, kValues> values{};
  };

  std::vector<UserSums> users_;
  std::array<uint64_t, kCutoffs.size()> hits_{};
  uint64_t events_ = 0;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_CLIENT_EVALUATE_LIST_METRICS_H_
