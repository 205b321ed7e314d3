// Pipeline: one request from the user's state to a ranked list, inside its deadline.
//
//   user state -> candidate sources -> blend -> ranker -> blend -> ranked list
//
// When the time runs short, or a stage fails, the answer gets cheaper instead of failing: the
// blend of everything, else without a ranker, else without searches; and the list says so. So it
// does when many requests wait (Pressure): fewer candidates, then none ranked.
#ifndef GROUNDSWELL_SERVER_PIPELINE_PIPELINE_H_
#define GROUNDSWELL_SERVER_PIPELINE_PIPELINE_H_

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "graph/ids.h"
#include "index/candidate_source.h"
#include "index/item_filter.h"
#include "index/vectors/cosine_scan.h"
#include "index/vectors/diversity.h"
#include "models/ranker.h"
#include "server/pipeline/admission.h"
#include "server/pipeline/blend_order.h"
#include "server/pipeline/list_order.h"
#include "server/pipeline/list_trace.h"
#include "server/pipeline/live_state.h"
#include "server/pipeline/page_layout.h"
#include "server/pipeline/query.h"
#include "server/pipeline/ranked_list.h"
#include "server/pipeline/retrieval.h"
#include "server/pipeline/scoring.h"
#include "server/process/metrics.h"

namespace groundswell {

class Pipeline {
 public:
  struct Options {
    Retrieval::Options retrieval;
    size_t item_cache_bytes = size_t{256} << 20;  // of each ranker that prepares items
    size_t diversity_items_max = 200;             // first items of a list that diversity reorders
    size_t items_max = 500;                       // of a list that is laid out in pages
  };

  // All references must outlive the pipeline; `state` has its applier.
  Pipeline(const LiveState& state, PipelineMetrics& metrics, Options options,
           size_t compute_threads);

  // Runs every ranker once on a made-up user, so that the first request does not pay for what the
  // dense kernels prepare (tens of milliseconds of code generation). Before the first request.
  void WarmUp();

  // Best first, at most retrieval.candidates items. What is first, the blend says (BlendOrder), or
  // alone what the caller named: a ranker, or else one source. Scores are probabilities of the
  // ranker, if one ordered the list, else the blend's or the one source's. InvalidArgument for a
  // hypothetical event that would not be applied; so also Rank.
  absl::StatusOr<RankedList> Recommend(const RecommendQuery& query, ComputeThread thread,
                                       StageDurations& durations);

  // The list that Recommend returns for the same query, unexplained, and what each stage made of
  // these items. Costs a Recommend and some passes over the list; counted as one.
  absl::StatusOr<ListTrace> Trace(const RecommendQuery& query, std::span<const ItemIndex> items,
                                  ComputeThread thread, StageDurations& durations);

  // The listed items, all of them, best first. DeadlineExceeded when the time does not suffice,
  // FailedPrecondition (reason USER_NOT_SCORED) when the ranker has no score for this user.
  absl::StatusOr<RankedList> Rank(const RecommendQuery& query, std::span<const ItemIndex> items,
                                  ComputeThread thread, StageDurations& durations);

  // What another ranker gives these items at that time, in their order: nothing is timed or
  // counted. FailedPrecondition when it has no score for the user.
  absl::StatusOr<std::vector<float>> ScoreAgain(const Ranker& ranker, const std::string& user_id,
                                                std::span<const Candidate> items, int64_t now_us,
                                                ComputeThread thread);

  // The items nearest to `item`, which is not among them. FailedPrecondition when it has no vector
  // (reason EMBEDDING_MISSING), or, for the cosine, one without a direction (EMBEDDING_ZERO).
  absl::StatusOr<RankedList> Similar(ItemIndex item, Similarity similarity, const ItemRules& rules,
                                     StageDurations& durations);

 private:
  // Memory of one compute thread.
  struct Scratch {
    Scoring::Scratch scoring;
    Retrieval::Scratch retrieval;
    BlendOrder::Scratch blend;
    std::vector<ItemIndex> seen;
    ListOrderScratch order;
    DiversityScratch diversity;
    PageLayoutScratch page_layout;
  };
  // One request on its way through the stages.
  struct Run;

  ItemFilter FilterOf(const ItemRules& rules, std::span<const ItemIndex> left_out,
                      std::span<const ItemIndex> hidden) const;
  RankedList NewList() const;

  const LiveState& state_;
  PipelineMetrics& metrics_;
  const Options options_;
  const Retrieval retrieval_;
  const BlendOrder blend_;
  Scoring scoring_;
  std::vector<Scratch> scratch_;  // by compute thread
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_PIPELINE_PIPELINE_H_
