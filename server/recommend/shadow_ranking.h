// ShadowRanking: scores some lists a second time with another ranker, whose order nobody sees, to
// know how much it disagrees before it is let loose.
#ifndef GROUNDSWELL_SERVER_RECOMMEND_SHADOW_RANKING_H_
#define GROUNDSWELL_SERVER_RECOMMEND_SHADOW_RANKING_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "index/candidate_source.h"
#include "models/snapshot/snapshot.h"
#include "server/pipeline/admission.h"
#include "server/process/metrics.h"
#include "server/recommend/ranked_lists.h"
#include "server/serving/serving_state.h"

namespace groundswell {

// The share of the `first` items by the first scores that are among the `first` by the second; 1
// where there is nothing. `items` and `scores` are as long; ties by item.
double OverlapOfFirst(size_t first, std::span<const Candidate> items,
                      std::span<const float> scores);

// Thread-safe.
class ShadowRanking {
 public:
  static constexpr size_t kComparedItems = 10;

  struct Options {
    std::string ranker;        // empty: none
    int64_t one_list_in = 10;  // so many ranked lists is scored again
  };

  // References must outlive it.
  ShadowRanking(Options options, Admission& admission, PipelineMetrics& metrics);

  // Scores the list again, after the call that it was made for, on a compute thread; if none of
  // them waits for work the list is left out, and counted. Not for lists that the shadow itself
  // ranked.
  void Offer(const std::shared_ptr<ServingState>& state, const std::string& user_id,
             std::shared_ptr<const RankedList> list);

  // FailedPrecondition when the snapshot lacks the ranker.
  absl::Status Check(const Snapshot& snapshot) const;

 private:
  void Score(const ServingState& state, const std::string& user_id, const RankedList& list,
             ComputeThread thread);

  const Options options_;
  Admission& admission_;
  PipelineMetrics& metrics_;
  std::atomic<uint64_t> lists_{0};
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_RECOMMEND_SHADOW_RANKING_H_
