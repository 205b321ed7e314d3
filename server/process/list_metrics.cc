#include "server/process/list_metrics.h"

#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include <algorithm>
#include <utility>

namespace groundswell {
namespace {

prometheus::Family<prometheus::Gauge>& ListGauges(prometheus::Registry& registry, const char* name,
                                                  const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry);
}

}  // namespace

ListMetrics::ListMetrics(prometheus::Registry& registry) {
  families_[kInteractions] =
      &ListGauges(registry, "groundswell_list_judged_interactions",
                  "Newest interactions just before which the list was made and proposed anything; "
                  "\"served\" is the list in the order of the blend.");
  families_[kHitRatio] = &ListGauges(registry, "groundswell_list_hit_ratio",
                                     "Share of these whose item stood among its first 20.");
  families_[kNdcg] = &ListGauges(registry, "groundswell_list_ndcg", "NDCG at 20 over these.");
  families_[kServedHitRatio] =
      &ListGauges(registry, "groundswell_list_served_hit_ratio",
                  "Share of these whose item stood among the first 20 of the served list.");
  weight_family_ = &ListGauges(registry, "groundswell_blend_weight",
                               "What a feature counts in the order of lists, by who asks.");
  learns_ = &ListGauges(registry, "groundswell_blend_learning",
                        "1 while the weights of the blend learn from the log (blend.learning).")
                 .Add({});
}

void ListMetrics::SetBlend(bool learns, std::span<const Weight> weights,
                           std::span<const float> values) {
  learns_->Set(learns ? 1 : 0);
  const MutexLock lock(mutex_);
  for (size_t at = weights_.size(); at < weights.size(); ++at) {
    weights_.push_back(&weight_family_->Add(
        {{"context", std::string(weights[at].context)}, {"feature", weights[at].feature}}));
  }
  for (size_t at = 0; at < values.size(); ++at) weights_[at]->Set(double{values[at]});
}

void ListMetrics::SetQuality(std::span<const Quality> lists) {
  const MutexLock lock(mutex_);
  for (auto shown = now_.begin(); shown != now_.end();) {
    const auto& [list, gauges] = *shown;
    if (std::ranges::find(lists, list, &Quality::list) != lists.end()) {
      ++shown;
      continue;
    }
    for (size_t at = 0; at < kFigures && gauges[0] != nullptr; ++at) {
      families_[at]->Remove(gauges[at]);
    }
    shown = now_.erase(shown);
  }
  for (const Quality& of : lists) {
    auto& gauges = now_[of.list];
    const bool is_shown = gauges[0] != nullptr;
    const std::array<double, kFigures> values = {static_cast<double>(of.interactions), of.hit_ratio,
                                                 of.ndcg, of.served_hit_ratio};
    for (size_t at = 0; at < kFigures; ++at) {
      if (of.interactions == 0) {
        if (is_shown) families_[at]->Remove(std::exchange(gauges[at], nullptr));
        continue;
      }
      if (!is_shown) gauges[at] = &families_[at]->Add({{"list", of.list}});
      gauges[at]->Set(values[at]);
    }
  }
}

}  // namespace groundswell
