// ListMetrics: what lists find of what is taken next, and the weights that decide them; best set
// from Metrics::OnScrape.
#ifndef GROUNDSWELL_SERVER_PROCESS_LIST_METRICS_H_
#define GROUNDSWELL_SERVER_PROCESS_LIST_METRICS_H_

#include <array>
#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "graph/mutex.h"

namespace prometheus {
class Gauge;
class Registry;
template <typename Metric>
class Family;
}  // namespace prometheus

namespace groundswell {

// Thread-safe.
class ListMetrics {
 public:
  struct Quality {
    std::string list;         // of a few that the served snapshot knows
    size_t interactions = 0;  // that it is judged by; 0: it has no figures
    double hit_ratio = 0;
    double ndcg = 0;
    double served_hit_ratio = 0;
  };

  // A weight of the learned blend, which decides the lists.
  struct Weight {
    std::string_view context;  // of four
    std::string feature;       // of some sixty that are known up front
  };

  explicit ListMetrics(prometheus::Registry& registry);

  // A list that is not among these any more has no figures.
  void SetQuality(std::span<const Quality> lists);
  // Always of the same weights, in the same order.
  void SetBlend(bool learns, std::span<const Weight> weights, std::span<const float> values);

 private:
  enum Figure { kInteractions, kHitRatio, kNdcg, kServedHitRatio, kFigures };

  Mutex mutex_;
  std::array<prometheus::Family<prometheus::Gauge>*, kFigures> families_ ABSL_GUARDED_BY(mutex_){};
  std::map<std::string, std::array<prometheus::Gauge*, kFigures>> now_ ABSL_GUARDED_BY(mutex_);
  prometheus::Family<prometheus::Gauge>* weight_family_ = nullptr;
  std::vector<prometheus::Gauge*> weights_ ABSL_GUARDED_BY(mutex_);  // none before the first call
  prometheus::Gauge* learns_ = nullptr;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_PROCESS_LIST_METRICS_H_
