#include "server/recommend/list_response.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>

#include "blend/features.h"
#include "google/protobuf/util/time_util.h"
#include "server/recommend/api_sources.h"
#include "server/rpc/api_time.h"

namespace groundswell {
namespace {

using google::protobuf::util::TimeUtil;

void WriteDuration(std::chrono::nanoseconds duration, google::protobuf::Duration& out) {
  out = TimeUtil::NanosecondsToDuration(duration.count());
}

// The item as the present catalogue has it; nullopt when it was removed, or is not in the snapshot
// that serves now.
std::optional<ItemIndex> FindNow(ItemIndex item, const RankedList& list, const Catalogue& now) {
  if (list.catalogue.get() != &now) return now.Find(list.catalogue->Id(item));
  return now.IsRemoved(item) ? std::nullopt : std::optional(item);
}

void WriteItem(const Candidate& candidate, ItemIndex item, const Catalogue& catalogue,
               v1::RecommendedItem& out) {
  out.set_item_id(std::string(catalogue.Id(item)));
  out.set_title(catalogue.Title(item));
  out.set_category(std::string(catalogue.Category(item)));
  out.set_score(candidate.score);
  for (const auto& [bit, in_api] : ApiSources()) {
    if (candidate.sources & bit) out.add_sources(in_api);
  }
}

void WriteExplanation(const RankedList& list, const Explanation& explanation, const Catalogue& now,
                      v1::RecommendedItem& item) {
  const auto [kind, number] = explanation.cause;
  std::optional<ItemIndex> past_item;
  if (kind == Cause::Kind::kPastItem) {
    past_item = FindNow(ItemIndex{number}, list, now);
    if (!past_item.has_value()) return;
  }
  v1::Explanation& out = *item.add_explanations();
  out.set_contribution(explanation.contribution);
  switch (kind) {
    case Cause::Kind::kPastItem:
      out.mutable_past_item()->set_item_id(std::string(now.Id(*past_item)));
      out.mutable_past_item()->set_title(now.Title(*past_item));
      break;
    case Cause::Kind::kItemCluster:
      out.mutable_item_node()->set_number(static_cast<int32_t>(number));
      for (const std::string& category : (*list.item_cluster_categories)[number]) {
        out.mutable_item_node()->add_categories(category);
      }
      break;
    case Cause::Kind::kUserCluster:
      out.mutable_user_node()->set_number(static_cast<int32_t>(number));
      break;
  }
}

// The item at `at` of the list, with what explains it if there is anything. Response: any that has
// items.
template <typename Response>
void WriteItemAt(const RankedList& list, size_t at, ItemIndex item_now, const Catalogue& now,
                 Response& response) {
  v1::RecommendedItem& item = *response.add_items();
  WriteItem(list.items[at], item_now, now, item);
  if (at < list.blend_terms.size()) {
    WriteBlendTerms(list.blend_terms[at], *item.mutable_blend_terms());
  }
  if (!list.explanations.has_value() || at >= list.explanations->of_item.size()) return;
  for (const Explanation& explanation : list.explanations->of_item[at]) {
    WriteExplanation(list, explanation, now, item);
  }
}

// The items of a page that may still be answered.
template <typename Response>
void WriteItems(const Page& page, const Present& present, Response& response) {
  for (size_t at = page.begin; at < page.end; ++at) {
    const auto item = FindNow(page.list->items[at].item, *page.list, present.catalogue);
    if (!item.has_value() || !present.catalogue.IsAvailable(*item, present.now_us)) continue;
    if (std::ranges::binary_search(present.hidden, *item)) continue;
    WriteItemAt(*page.list, at, *item, present.catalogue, response);
  }
}

// What a list says of itself. Response: RecommendResponse, RankResponse or TraceRecommendResponse.
template <typename Response>
void WriteListOrigin(const RankedList& list, Response& response) {
  response.set_snapshot_version(list.snapshot_version);
  response.set_ranker(list.ranker);
  v1::Freshness& freshness = *response.mutable_freshness();
  freshness.set_applied_offset(list.applied_offset);
  *freshness.mutable_newest_event_time() = ToTimestamp(list.newest_event_time_us);
  for (const DegradedStep step : list.degradations) response.add_degradations(ToApi(step));
  if constexpr (requires { response.mutable_explanation_causes(); }) {
    if (!list.explanations.has_value()) return;
    v1::ExplanationCauses& causes = *response.mutable_explanation_causes();
    causes.set_known(static_cast<int32_t>(list.explanations->causes));
    causes.set_tried(static_cast<int32_t>(list.explanations->causes_tried));
  }
}

}  // namespace

v1::Degradation ToApi(DegradedStep step) {
  switch (step) {
    case DegradedStep::kFewerCandidates:
      return v1::DEGRADATION_FEWER_CANDIDATES;
    case DegradedStep::kRankingSkipped:
      return v1::DEGRADATION_RANKING_SKIPPED;
    case DegradedStep::kRetrievalSkipped:
      return v1::DEGRADATION_RETRIEVAL_SKIPPED;
    case DegradedStep::kStaleState:
      return v1::DEGRADATION_STALE_STATE;
    case DegradedStep::kExplanationsSkipped:
      return v1::DEGRADATION_EXPLANATIONS_SKIPPED;
    case DegradedStep::kDiversitySkipped:
      return v1::DEGRADATION_DIVERSITY_SKIPPED;
    case DegradedStep::kCount:
      break;
  }
  return v1::DEGRADATION_UNSPECIFIED;
}

v1::FallbackReason ToApi(std::optional<Fallback> fallback) {
  if (fallback == Fallback::kUnknownUser) return v1::FALLBACK_REASON_UNKNOWN_USER;
  if (fallback == Fallback::kUserNotScored) return v1::FALLBACK_REASON_USER_NOT_SCORED;
  return v1::FALLBACK_REASON_UNSPECIFIED;
}

void WritePage(const Page& page, const Present& present, v1::RecommendResponse& response) {
  response.set_recommendation_id(page.recommendation_id);
  WriteItems(page, present, response);
  response.set_next_page_token(page.next_page_token);
  WriteListOrigin(*page.list, response);
  response.set_fallback_reason(ToApi(page.list->fallback));
}

void WritePage(const Page& page, const Present& present, v1::SimilarItemsResponse& response) {
  WriteItems(page, present, response);
  response.set_next_page_token(page.next_page_token);
  response.set_snapshot_version(page.list->snapshot_version);
}

void WriteRanking(const RankedList& list, v1::RankResponse& response) {
  for (size_t at = 0; at < list.items.size(); ++at) {
    WriteItemAt(list, at, list.items[at].item, *list.catalogue, response);
  }
  WriteListOrigin(list, response);
}

void WriteOrigin(const RankedList& list, v1::TraceRecommendResponse& response) {
  WriteListOrigin(list, response);
  response.set_fallback_reason(ToApi(list.fallback));
}

void WriteBlendTerms(std::span<const BlendTermOfItem> terms,
                     google::protobuf::RepeatedPtrField<v1::BlendTerm>& out) {
  for (const auto& [feature, contribution] : terms) {
    v1::BlendTerm& term = *out.Add();
    term.set_feature(BlendFeatureName(feature));
    term.set_contribution(contribution);
  }
}

void WriteTimings(std::chrono::nanoseconds queued, const StageDurations& stages,
                  std::chrono::nanoseconds total, v1::StageTimings& timings) {
  WriteDuration(queued, *timings.mutable_queue());
  WriteDuration(stages.user_state, *timings.mutable_user_state());
  WriteDuration(stages.retrieval, *timings.mutable_retrieval());
  WriteDuration(stages.rank, *timings.mutable_rank());
  WriteDuration(stages.explain, *timings.mutable_explain());
  WriteDuration(stages.arrange, *timings.mutable_arrange());
  WriteDuration(total, *timings.mutable_total());
}

}  // namespace groundswell
