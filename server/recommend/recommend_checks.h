// From a request of the read side to what it asks, in the server's own terms: every field is
// checked here, and nowhere else. Each check names the field, shows the value and says what would
// be right (InvalidArgument with BadRequest), or names what is not there (NotFound).
#ifndef GROUNDSWELL_SERVER_RECOMMEND_RECOMMEND_CHECKS_H_
#define GROUNDSWELL_SERVER_RECOMMEND_RECOMMEND_CHECKS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "graph/ids.h"
#include "graph/state/catalogue.h"
#include "groundswell/v1/recommend.pb.h"
#include "index/vectors/cosine_scan.h"
#include "models/snapshot/snapshot.h"
#include "server/config/ranker_shares.h"
#include "server/pipeline/live_state.h"
#include "server/pipeline/query.h"
#include "server/recommend/item_listing.h"
#include "server/rpc/event_checks.h"

namespace groundswell {

inline constexpr size_t kExcludedItemsMax = 1'000;
inline constexpr size_t kRankItemsMax = 1'000;
inline constexpr size_t kTraceItemsMax = 100;
inline constexpr size_t kListQueryBytesMax = 256;
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

// SourceBits of the sources that a list may come from; 0 when none is named.
absl::StatusOr<uint32_t> CheckOnlySources(const google::protobuf::RepeatedField<int>& only_sources);

// How unlike each other items are to be.
absl::StatusOr<Diversity> CheckDiversity(const v1::ListDiversity& diversity);

// nullptr when the snapshot has no models and `ranker` is empty; NotFound (RANKER_UNKNOWN)
// otherwise.
absl::StatusOr<const Ranker*> CheckRanker(std::string_view ranker, const Snapshot& snapshot);

// What the checks go by, whichever state answers.
struct RequestTerms {
  std::string name_space;
  EventTerms events;                // hypothetical ones
  std::function<int64_t()> now_us;  // when those without a time happen
  RankerShares shares;              // of users whose request names no ranker
};

// Whole requests. What comes from the call and not from its request (`applied_rules`, `deadline`,
// `stale`) is left to the caller, and so are page tokens.
absl::StatusOr<RecommendQuery> CheckRecommend(const v1::RecommendRequest& request,
                                              const LiveState& state, const RequestTerms& terms);

// How many requests it holds; each is for CheckRecommend.
absl::Status CheckBatchRecommend(const v1::BatchRecommendRequest& request);

// An item that a request lists. Whether one that the catalogue does not have was removed from it is
// for the caller to look up.
struct AskedItem {
  std::string_view id;  // the request's
  std::optional<ItemIndex> item;
  bool was_removed = false;
};
struct TraceQuery {
  RecommendQuery query;
  std::vector<AskedItem> items;  // as listed
};
absl::StatusOr<TraceQuery> CheckTraceRecommend(const v1::TraceRecommendRequest& request,
                                               const LiveState& state, const RequestTerms& terms);

struct RankQuery {
  RecommendQuery query;  // with a ranker; of its lists' own fields it has the defaults
  std::vector<ItemIndex> items;
  std::vector<std::string> unknown_item_ids;  // the rest: not in the catalogue
};
// FailedPrecondition (RANKER_MISSING) when the snapshot has no models.
absl::StatusOr<RankQuery> CheckRank(const v1::RankRequest& request, const LiveState& state,
                                    const RequestTerms& terms);

struct SimilarItemsQuery {
  ItemIndex item{};
  Similarity similarity = Similarity::kInnerProduct;
  ItemRules rules;
  size_t page_size = 0;
};
absl::StatusOr<SimilarItemsQuery> CheckSimilarItems(const v1::SimilarItemsRequest& request,
                                                    const LiveState& state,
                                                    const RequestTerms& terms);

struct UserStateQuery {
  std::string user_id;
  size_t recent_items = 0;  // the newest ones to show
};
absl::StatusOr<UserStateQuery> CheckGetUserState(const v1::GetUserStateRequest& request,
                                                 const RequestTerms& terms);

// Whether the catalogue has the item, or had it, is for the caller to look up.
absl::Status CheckGetItem(const v1::GetItemRequest& request, const RequestTerms& terms);

absl::StatusOr<ItemListing> CheckListItems(const v1::ListItemsRequest& request,
                                           const LiveState& state, const RequestTerms& terms);

// How many categories a page has.
absl::StatusOr<size_t> CheckListCategories(const v1::ListCategoriesRequest& request,
                                           const RequestTerms& terms);

// NotFound (ITEM_UNKNOWN).
absl::Status UnknownItem(std::string_view item_id);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_RECOMMEND_RECOMMEND_CHECKS_H_
