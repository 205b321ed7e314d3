// CountsVerification: whether what is counted in memory for lists, FadingCounts, ItemAges and
// TrendingItems, is what the users' edges say. At the moment of the verification it keeps a copy;
// beside it grow the same counts, made of the users as they were then.
#ifndef GROUNDSWELL_SERVER_SERVING_COUNTS_VERIFICATION_H_
#define GROUNDSWELL_SERVER_SERVING_COUNTS_VERIFICATION_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "graph/upkeep/verification.h"
#include "index/popular/fading_counts.h"
#include "index/popular/item_ages.h"
#include "index/popular/trending_items.h"
#include "server/pipeline/live_state.h"

namespace groundswell {

class CountsVerification {
 public:
  // `state` must outlive it.
  explicit CountsVerification(const LiveState& state) : state_(state) {}

  // Refers to this object. For one verification.
  VerifiedView View();

 private:
  void Begin();
  absl::Status Finish(Verification& result) const;
  void CompareFading(Verification& result) const;
  void CompareAges(Verification& result) const;

  const LiveState& state_;
  // As they were at the moment:
  std::vector<uint32_t> category_of_item_;
  std::vector<int64_t> fading_sums_;
  std::vector<uint64_t> age_sums_;
  uint64_t trending_digest_ = 0;
  // Of the users:
  std::unique_ptr<FadingCounts> fading_counts_;
  std::unique_ptr<ItemAges> item_ages_;
  std::unique_ptr<TrendingItems> trending_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_SERVING_COUNTS_VERIFICATION_H_
