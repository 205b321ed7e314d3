// Lists as the API shows them.
#ifndef GROUNDSWELL_SERVER_RECOMMEND_LIST_RESPONSE_H_
#define GROUNDSWELL_SERVER_RECOMMEND_LIST_RESPONSE_H_

#include <chrono>
#include <optional>
#include <span>

#include "graph/state/catalogue.h"
#include "groundswell/v1/recommend.pb.h"
#include "server/pipeline/query.h"
#include "server/pipeline/ranked_list.h"
#include "server/process/metrics.h"
#include "server/recommend/ranked_lists.h"

namespace groundswell {

v1::Degradation ToApi(DegradedStep step);
v1::FallbackReason ToApi(std::optional<Fallback> fallback);

// The catalogue that serves, at the moment of the answer. It may be another one than the list's,
// and know of removals and of other titles that came after the list was ranked.
struct Present {
  const Catalogue& catalogue;
  int64_t now_us = 0;
  std::span<const ItemIndex> hidden = {};  // ascending; what the user is not to see
};

// Into an empty response; its timings are WriteTimings'. Items that may not be answered any more
// are left out, and so are explanations by removed ones.
void WritePage(const Page& page, const Present& present, v1::RecommendResponse& response);
void WritePage(const Page& page, const Present& present, v1::SimilarItemsResponse& response);
// The whole list. What was asked for and not found is the caller's to add.
void WriteRanking(const RankedList& list, v1::RankResponse& response);

// What the list says of itself: snapshot, ranker, freshness, degradations, fallback.
void WriteOrigin(const RankedList& list, v1::TraceRecommendResponse& response);
void WriteBlendTerms(std::span<const BlendTermOfItem> terms,
                     google::protobuf::RepeatedPtrField<v1::BlendTerm>& out);

void WriteTimings(std::chrono::nanoseconds queued, const StageDurations& stages,
                  std::chrono::nanoseconds total, v1::StageTimings& timings);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_RECOMMEND_LIST_RESPONSE_H_
