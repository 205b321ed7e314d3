// What a request must be before anything is done with it. Each check names the field, shows the
// value and says what would be right (InvalidArgument with BadRequest), or names what is not there
// (NotFound).
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

inline constexpr size_t kIdBytesMax = 256;
inline constexpr size_t kCategoriesMax = 32;
inline constexpr size_t kExcludedItemsMax = 1'000;
inline constexpr size_t kRankItemsMax = 1'000;
inline constexpr size_t kBatchRequestsMax = 100;
inline constexpr size_t kInteractionsMax = 1'000;
inline constexpr int32_t kPageSizeMax = 100;
inline constexpr int32_t kPageSizeDefault = 20;
inline constexpr int32_t kRecentLimitMax = 1'000;
inline constexpr size_t kHypotheticalEventsMax = 100;
inline constexpr int64_t kWeightMax = 1'000'000;

// `name_space` empty means "default"; anything but `served` is NotFound (NAMESPACE_UNKNOWN).
absl::Status CheckNamespace(std::string_view name_space, std::string_view served);

// Empty, or a UUID in its usual form (8-4-4-4-12 hexadecimal digits).
absl::Status CheckRequestId(std::string_view request_id);

// A UUID, and not empty.
absl::Status RequireRequestId(std::string_view request_id);

// When the caller stops waiting; an hour from now for one who did not say.
std::chrono::steady_clock::time_point DeadlineOf(const grpc::CallbackServerContext& context);

// 1 to 256 bytes of UTF-8 without control characters.
absl::Status CheckId(std::string_view field, std::string_view id);

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

// Opaque outside: the offset that a client wants to see in an answer. An empty token is offset 0.
std::string MakeConsistencyToken(Offset offset);
absl::StatusOr<Offset> CheckConsistencyToken(std::string_view token);

// The interaction as the log stores it. `event_types` gives the types and their weights, `now_us`
// is the server's clock.
absl::StatusOr<Interaction> CheckInteraction(const v1::Interaction& interaction,
                                             const std::map<std::string, int64_t>& event_types,
                                             const Catalogue& catalogue, int64_t now_us);

// The user of a list: an id, or none where `has_events` of an anonymous session.
absl::Status CheckUser(std::string_view user_id, bool has_events);

// What a request lays over the state of `user_id`, which may be empty; likewise, and an unknown
// item is InvalidArgument too. An event without a time happens now.
absl::StatusOr<std::vector<Interaction>> CheckHypotheticalEvents(
    const google::protobuf::RepeatedPtrField<v1::HypotheticalEvent>& events,
    std::string_view user_id, const std::map<std::string, int64_t>& event_types,
    const Catalogue& catalogue, int64_t now_us);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_RECOMMEND_RECOMMEND_CHECKS_H_
