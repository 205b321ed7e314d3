#include "client/evaluate/list_metrics.h"

#include <cmath>
#include <limits>

namespace groundswell {
namespace {

constexpr double kNormalQuantile = 1.959963984540054;  // two-sided, 95%

}  // namespace

void ListMetrics::Add(uint32_t user, size_t rank) {
  if (user >= users_.size()) users_.resize(user + size_t{1});
  UserSums& sums = users_[user];
  ++events_;
  ++sums.events;
  if (rank == 0 || rank > kRankMax) return;
  const double gain = 1 / std::log2(1 + static_cast<double>(rank));
  for (size_t at = 0; at < kCutoffs.size(); ++at) {
    if (rank > kCutoffs[at]) continue;
    ++hits_[at];
    sums.values[at] += 1;
    sums.values[kCutoffs.size() + at] += gain;
  }
  sums.values[kValues - 1] += 1 / static_cast<double>(rank);
}

ListMetrics::Summary ListMetrics::Summarise() const {
  Summary summary{.events = events_};
  for (const UserSums& user : users_) summary.users += user.events > 0 ? 1 : 0;
  const auto count = static_cast<double>(events_);
  const auto users = static_cast<double>(summary.users);
  const auto estimate = [&](size_t value) {
    if (events_ == 0) return Estimate{0, std::numeric_limits<double>::quiet_NaN()};
    double total = 0;
    for (const UserSums& user : users_) total += user.values[value];
    const double mean = total / count;
    double squares = 0;
    for (const UserSums& user : users_) {
      const double deviation = user.values[value] - mean * static_cast<double>(user.events);
      squares += deviation * deviation;
    }
    if (users < 2) return Estimate{mean, std::numeric_limits<double>::quiet_NaN()};
    const double error = std::sqrt(users / (users - 1) * squares) / count;
    return Estimate{mean, kNormalQuantile * error};
  };
  for (size_t at = 0; at < kCutoffs.size(); ++at) {
    summary.hit_rate[at] = estimate(at);
    summary.ndcg[at] = estimate(kCutoffs.size() + at);
  }
  summary.mrr = estimate(kValues - 1);
  return summary;
}

}  // namespace groundswell
