// Pipeline: one request from the user's state to a ranked list, inside its deadline.
//
//   user state -> candidate sources -> merge & filter -> ranker -> ranked list
//
// When the time runs short, or a stage fails, the answer gets cheaper instead of failing: the
// ranker's order, else the order of retrieval, else popularity; and the list says so. So it does
// when many requests wait (Pressure): fewer candidates, then none ranked.
#ifndef GROUNDSWELL_SERVER_PIPELINE_PIPELINE_H_
#define GROUNDSWELL_SERVER_PIPELINE_PIPELINE_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "graph/fold/applier.h"
#include "graph/log/interaction.h"
#include "index/vectors/diversity.h"
#include "models/explanations.h"
#include "models/item_cache.h"
#include "models/ranker.h"
#include "server/pipeline/admission.h"
#include "server/pipeline/applied_rules.h"
#include "server/pipeline/features.h"
#include "server/pipeline/live_state.h"
#include "server/pipeline/page_layout.h"
#include "server/pipeline/prepared_items.h"
#include "server/pipeline/query.h"
#include "server/pipeline/ranked_list.h"
#include "server/pipeline/retrieval.h"
#include "server/process/metrics.h"

namespace groundswell {

class Pipeline {
 public:
  struct Options {
    Retrieval::Options retrieval;
    size_t item_cache_bytes = size_t{256} << 20;  // of each ranker that prepares items
    // Of the order of retrieval beside the ranker's, whose weight is 1, in a ranked list; 0: the
    // ranker decides alone.
    float retrieval_weight = 0;
    size_t diversity_items_max = 200;  // first items of a list that diversity reorders
    size_t items_max = 500;            // of a list that is laid out in pages
  };

  // All references must outlive the pipeline; `state` has its applier.
  Pipeline(const LiveState& state, PipelineMetrics& metrics, Options options,
           size_t compute_threads);

  // Runs every ranker once on a made-up user, so that the first request does not pay for what the
  // dense kernels prepare (tens of milliseconds of code generation). Before the first request.
  void WarmUp();

  // Probabilities, best first, at most retrieval.candidates items. InvalidArgument for a
  // hypothetical event that would not be applied; so also Rank.
  absl::StatusOr<RankedList> Recommend(const RecommendQuery& query, ComputeThread thread,
                                       StageDurations& durations);

  // The listed items, all of them, best first. DeadlineExceeded when the time does not suffice,
  // FailedPrecondition (reason USER_NOT_SCORED) when the ranker has no score for this user.
  absl::StatusOr<RankedList> Rank(const RecommendQuery& query, std::span<const ItemIndex> items,
                                  ComputeThread thread, StageDurations& durations);

  // What another ranker gives these items, in their order: nothing is timed or counted.
  // FailedPrecondition when it has no score for the user.
  absl::StatusOr<std::vector<float>> ScoreAgain(const Ranker& ranker, const std::string& user_id,
                                                std::span<const Candidate> items,
                                                ComputeThread thread);

  // The items nearest to `item`, which is not among them.
  absl::StatusOr<RankedList> Similar(ItemIndex item, const ItemRules& rules,
                                     StageDurations& durations);

 private:
  // Memory of one compute thread.
  struct Scratch {
    FeatureBuffers features;
    std::vector<std::unique_ptr<RankerScratch>> rankers;  // one per ranker of the snapshot
    std::vector<ItemIndex> seen;
    std::vector<ItemIndex> items;
    ExplanationBuffers explanations;
    std::vector<float> logits;
    std::vector<uint32_t> order;
    PreparedItemBuffers prepared_items;
    Retrieval::Scratch retrieval;
    DiversityScratch diversity;
    PageLayoutScratch page_layout;
  };

  ItemFilter FilterOf(const ItemRules& rules, std::span<const ItemIndex> left_out) const;
  bool HasTimeFor(std::chrono::steady_clock::time_point deadline) const;
  RankedList NewList(bool stale) const;
  void Degrade(RankedList& list, int degradation, DegradedStep step) const;
  absl::StatusOr<std::optional<OverlaidUser>> ReadUser(const RecommendQuery& query,
                                                       StageDurations& durations) const;
  void Retrieve(const RecommendQuery& query, const std::optional<OverlaidUser>& user,
                ComputeThread thread, Scratch& scratch, RankedList& list,
                StageDurations& durations) const;
  void OrderItems(const RecommendQuery& query, const std::optional<OverlaidUser>& user,
                  ComputeThread thread, Scratch& scratch, RankedList& list,
                  StageDurations& durations) const;
  absl::Status RankItems(const RecommendQuery& query, const OverlaidUser& user,
                         float retrieval_weight, Scratch& scratch, RankedList& list,
                         StageDurations& durations) const;
  absl::Status ScoreItems(const Ranker& ranker, const OverlaidUser& user,
                          std::span<const Candidate> items,
                          std::chrono::steady_clock::time_point deadline, Scratch& scratch) const;
  void ExplainItems(const RecommendQuery& query, const UserState& user, Scratch& scratch,
                    RankedList& list, StageDurations& durations) const;
  void OrderByRankerAndRetrieval(float retrieval_weight, const Boosts& boosts, Scratch& scratch,
                                 RankedList& list) const;
  void MultiplyByBoosts(const Boosts& boosts, std::span<float> votes,
                        std::span<const Candidate> items) const;
  void OrderByBoosts(const Boosts& boosts, Scratch& scratch, RankedList& list) const;
  void ArrangeItems(const RecommendQuery& query, Scratch& scratch, RankedList& list,
                    StageDurations& durations) const;
  void LayOutItems(const RecommendQuery& query, Scratch& scratch, RankedList& list) const;
  void ScoreBlock(const Ranker& ranker, std::span<const ItemIndex> block, Scratch& scratch,
                  std::span<float> logits) const;
  size_t NumberOf(const Ranker& ranker) const;

  const LiveState& state_;
  PipelineMetrics& metrics_;
  const Options options_;
  const Retrieval retrieval_;
  std::vector<std::unique_ptr<ItemCache>> item_caches_;  // one per ranker; some keep nothing
  std::vector<Scratch> scratch_;                         // by compute thread
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_PIPELINE_PIPELINE_H_
