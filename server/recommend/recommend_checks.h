// What a request for a list must be before anything is done with it. Each check names the field,
// shows the value and says what would be right (InvalidArgument with BadRequest), or names what is
// not there (NotFound).
#ifndef GROUNDSWELL_SERVER_RECOMMEND_RECOMMEND_CHECKS_H_
#define GROUNDSWELL_SERVER_RECOMMEND_RECOMMEND_CHECKS_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "graph/ids.h"
#include "graph/log/interaction.h"
#include "graph/state/catalogue.h"
#include "groundswell/v1/interaction.pb.h"
#include "groundswell/v1/recommend.pb.h"
#include "grpcpp/server_context.h"
#include "server/pipeline/pipeline.h"

namespace groundswell {

inline constexpr size_t kCategoriesMax = 32;
inline constexpr size_t kExcludedItemsMax = 1'000;
inline constexpr size_t kRankItemsMax = 1'000;
inline constexpr size_t kBatchRequestsMax = 100;
inline constexpr int32_t kPageSizeMax = 100;
inline constexpr int32_t kPageSizeDefault = 20;
inline constexpr int32_t kRecentLimitMax = 1'000;

// 0 becomes the default, more than the maximum the maximum; negative is refused.
absl::StatusOr<size_t> CheckPageSize(int32_t page_size);

// More than the maximum becomes the maximum; negative is refused.
absl::StatusOr<size_t> CheckExplainItems(int32_t explain_items);

absl::StatusOr<ItemRules> CheckFilter(const v1::ItemFilter& filter, const Catalogue& catalogue,
                                      int64_t now_us);

// Which source of the server is which of the API.
inline constexpr std::pair<SourceBit, v1::CandidateSource> kSources[] = {
    {kFromEmbedding, v1::CANDIDATE_SOURCE_EMBEDDING},
    {kFromPopular, v1::CANDIDATE_SOURCE_POPULAR},
    {kFromRequest, v1::CANDIDATE_SOURCE_REQUEST},
    {kFromTrending, v1::CANDIDATE_SOURCE_TRENDING},
    {kFromMacroNode, v1::CANDIDATE_SOURCE_MACRO_NODE},
    {kFromSimilarItems, v1::CANDIDATE_SOURCE_SIMILAR_ITEMS},
    {kFromWalk, v1::CANDIDATE_SOURCE_RANDOM_WALK},
    {kFromCoOccurrence, v1::CANDIDATE_SOURCE_CO_OCCURRENCE},
    {kFromHistory, v1::CANDIDATE_SOURCE_HISTORY},
    {kFromPinned, v1::CANDIDATE_SOURCE_PINNED}};

// SourceBits of the sources that a list may come from; 0 when none is named.
absl::StatusOr<uint32_t> CheckOnlySources(const google::protobuf::RepeatedField<int>& only_sources);

// How unlike each other items are to be.
absl::StatusOr<Diversity> CheckDiversity(const v1::ListDiversity& diversity);

// nullptr when the snapshot has no models and `ranker` is empty; NotFound (RANKER_UNKNOWN)
// otherwise.
absl::StatusOr<const Ranker*> CheckRanker(std::string_view ranker, const Snapshot& snapshot);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_RECOMMEND_RECOMMEND_CHECKS_H_
