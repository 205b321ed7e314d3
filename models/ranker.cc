#include "models/ranker.h"

#include <algorithm>
#include <limits>

namespace groundswell {

void Ranker::PrepareItems(const ItemFeatures& /*items*/, RankerScratch& /*scratch*/,
                          std::span<float> /*prepared*/) const {}

void Ranker::ScorePrepared(std::span<const float> /*prepared*/, RankerScratch& /*scratch*/,
                           std::span<float> /*logits*/) const {}

bool Ranker::ScoreVariants(std::span<const UserFeatures> variants, const ItemFeatures& items,
                           RankerScratch& scratch, const std::function<bool()>& has_time,
                           std::span<float> logits) const {
  const size_t n = items.rows.size();
  for (size_t v = 0; v < variants.size(); ++v) {
    if (!has_time()) return false;
    const std::span<float> out = logits.subspan(v * n, n);
    if (PrepareUser(variants[v], scratch).ok()) {
      ScoreItems(items, scratch, out);
    } else {
      std::fill(out.begin(), out.end(), std::numeric_limits<float>::quiet_NaN());
    }
  }
  return true;
}

}  // namespace groundswell
