#include "server/recommend/recommend_checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "server/pipeline/retrieval.h"
#include "server/recommend/api_sources.h"
#include "server/rpc/event_checks.h"
#include "server/rpc/field_checks.h"
#include "server/rpc/status_details.h"

namespace groundswell {
namespace {

// What was checked goes to `out`.
template <typename T>
absl::Status Take(absl::StatusOr<T> checked, T& out) {
  if (!checked.ok()) return checked.status();
  out = *std::move(checked);
  return absl::OkStatus();
}

// Request: any of the read side.
template <typename Request>
absl::Status CheckCommon(const Request& request, const RequestTerms& terms) {
  if (absl::Status s = CheckNamespace(request.namespace_(), terms.name_space); !s.ok()) return s;
  return CheckRequestId(request.request_id());
}

// The user and what is laid over them. Request: RecommendRequest or RankRequest.
template <typename Request>
absl::Status CheckRequestUser(const Request& request, const Catalogue& catalogue,
                              const RequestTerms& terms, RecommendQuery& query) {
  const auto& events = request.hypothetical_events();
  if (absl::Status s = CheckUser(request.user_id(), !events.empty()); !s.ok()) return s;
  query.user_id = request.user_id();
  if (events.empty()) return absl::OkStatus();
  return Take(
      CheckHypotheticalEvents(events, request.user_id(), terms.events, catalogue, terms.now_us()),
      query.hypothetical_events);
}

absl::Status NoSnapshot(std::string_view subject, const std::string& what) {
  return PreconditionFailed("NO_SNAPSHOT", subject,
                            what +
                                ", and the server has no snapshot yet: activate a trained one "
                                "(groundswell activate)");
}

// 1 to `items_max` items without repeats.
absl::StatusOr<std::vector<AskedItem>> CheckAskedItems(
    const google::protobuf::RepeatedPtrField<std::string>& item_ids, size_t items_max,
    const Catalogue& catalogue) {
  const auto count = static_cast<size_t>(item_ids.size());
  if (count == 0 || count > items_max) {
    return InvalidField("item_ids", std::to_string(count),
                        fmt::format("must hold 1 to {} items", items_max));
  }
  absl::flat_hash_set<std::string_view> listed;
  std::vector<AskedItem> items;
  for (const std::string& id : item_ids) {
    if (absl::Status s = CheckId("item_ids", id); !s.ok()) return s;
    if (!listed.insert(id).second) return InvalidField("item_ids", id, "must not be repeated");
    items.push_back({.id = id, .item = catalogue.Find(id)});
  }
  return items;
}

absl::Status CheckRankedItems(const google::protobuf::RepeatedPtrField<std::string>& item_ids,
                              const Catalogue& catalogue, RankQuery& query) {
  const auto items = CheckAskedItems(item_ids, kRankItemsMax, catalogue);
  if (!items.ok()) return items.status();
  for (const AskedItem& asked : *items) {
    if (asked.item.has_value()) {
      query.items.push_back(*asked.item);
    } else {
      query.unknown_item_ids.emplace_back(asked.id);
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<ItemIndex> CheckItem(std::string_view item_id, const Catalogue& catalogue) {
  if (const std::optional<ItemIndex> item = catalogue.Find(item_id)) return *item;
  return UnknownItem(item_id);
}

// Without a snapshot there are no vectors, and no source that compares them.
absl::Status CheckSourcesServed(uint32_t only_sources, const Snapshot& snapshot) {
  if (!snapshot.is_empty()) return absl::OkStatus();
  for (const SourceBit source : {kFromEmbedding, kFromSimilarItems}) {
    if ((source & only_sources) == 0) continue;
    return NoSnapshot("only_sources",
                      v1::CandidateSource_Name(InApi(source)) + " compares vectors");
  }
  return absl::OkStatus();
}

absl::StatusOr<size_t> CheckRecentLimit(int32_t recent_limit) {
  if (recent_limit < 0 || recent_limit > kRecentLimitMax) {
    return InvalidField(
        "recent_limit", std::to_string(recent_limit),
        fmt::format("must be 1 to {}, or 0 for {}", kRecentLimitMax, kPageSizeDefault));
  }
  return static_cast<size_t>(recent_limit == 0 ? kPageSizeDefault : recent_limit);
}

absl::StatusOr<uint32_t> CheckCategory(std::string_view field, const std::string& name,
                                       const Catalogue& catalogue) {
  if (const std::optional<uint32_t> category = catalogue.FindCategory(name)) return *category;
  return InvalidField(field, name, "must be a category of the catalogue");
}

absl::StatusOr<Similarity> CheckSimilarity(v1::Similarity similarity) {
  switch (similarity) {
    case v1::SIMILARITY_UNSPECIFIED:
    case v1::SIMILARITY_INNER_PRODUCT:
      return Similarity::kInnerProduct;
    case v1::SIMILARITY_COSINE:
      return Similarity::kCosine;
    default:
      return InvalidField("similarity", std::to_string(similarity),
                          "must be INNER_PRODUCT (1), COSINE (2), or absent for the inner product");
  }
}

}  // namespace

absl::StatusOr<size_t> CheckPageSize(int32_t page_size) {
  if (page_size < 0) {
    return InvalidField(
        "page_size", std::to_string(page_size),
        fmt::format("must be 1 to {}, or 0 for {}", kPageSizeMax, kPageSizeDefault));
  }
  if (page_size == 0) return static_cast<size_t>(kPageSizeDefault);
  return static_cast<size_t>(std::min(page_size, kPageSizeMax));
}

absl::StatusOr<size_t> CheckExplainItems(int32_t explain_items) {
  if (explain_items < 0) {
    return InvalidField("explain_items", std::to_string(explain_items),
                        fmt::format("must be 1 to {}, or 0 for none", kExplainedItemsMax));
  }
  return std::min(static_cast<size_t>(explain_items), kExplainedItemsMax);
}

absl::StatusOr<ItemRules> CheckFilter(const v1::ItemFilter& filter, const Catalogue& catalogue,
                                      int64_t now_us) {
  if (static_cast<size_t>(filter.categories_size()) > kCategoriesMax) {
    return TooMany("filter.categories", filter.categories_size(), kCategoriesMax);
  }
  if (static_cast<size_t>(filter.excluded_item_ids_size()) > kExcludedItemsMax) {
    return TooMany("filter.excluded_item_ids", filter.excluded_item_ids_size(), kExcludedItemsMax);
  }
  ItemRules rules{.include_seen = filter.include_seen(), .now_us = now_us};
  for (const std::string& name : filter.categories()) {
    const absl::StatusOr<uint32_t> category = CheckCategory("filter.categories", name, catalogue);
    if (!category.ok()) return category.status();
    rules.categories.push_back(*category);
  }
  for (const std::string& id : filter.excluded_item_ids()) {
    if (absl::Status s = CheckId("filter.excluded_item_ids", id); !s.ok()) return s;
    const std::optional<ItemIndex> item = catalogue.Find(id);
    if (item.has_value()) rules.excluded.push_back(*item);
  }
  std::sort(rules.excluded.begin(), rules.excluded.end());
  return rules;
}

absl::StatusOr<uint32_t> CheckOnlySources(
    const google::protobuf::RepeatedField<int>& only_sources) {
  uint32_t bits = 0;
  for (const int named : only_sources) {
    const SourceBit source = SourceOfApi(named);
    const bool proposes = (source & Retrieval::kSources) != 0;
    if (!proposes || (bits & source) != 0) {
      return InvalidField("only_sources",
                          v1::CandidateSource_IsValid(named) ? v1::CandidateSource_Name(named)
                                                             : std::to_string(named),
                          "must be a source that proposes candidates, and not be repeated");
    }
    bits |= source;
  }
  return bits;
}

absl::StatusOr<Diversity> CheckDiversity(const v1::ListDiversity& diversity) {
  if (!(diversity.strength() >= 0 && diversity.strength() <= 1)) {
    return InvalidField("diversity.strength", std::to_string(diversity.strength()),
                        "must be 0 to 1");
  }
  if (diversity.category_max() < 0) {
    return InvalidField("diversity.category_max", std::to_string(diversity.category_max()),
                        "must be at least 1, or 0 for any number");
  }
  return Diversity{.strength = static_cast<float>(diversity.strength()),
                   .category_max = static_cast<size_t>(diversity.category_max())};
}

absl::StatusOr<const Ranker*> CheckRanker(std::string_view ranker, const Snapshot& snapshot) {
  const Ranker* found = snapshot.FindRanker(ranker);
  if (found != nullptr || ranker.empty()) return found;
  std::string known;
  for (const auto& one : snapshot.rankers()) {
    known += (known.empty() ? "\"" : ", \"") + std::string(one->name()) + "\"";
  }
  return UnknownResource("ranker", ranker, "RANKER_UNKNOWN",
                         snapshot.is_empty()
                             ? std::string("the server has no snapshot yet, and so no models")
                         : known.empty() ? std::string("the snapshot has no models")
                                         : "the snapshot has " + known);
}

absl::StatusOr<RecommendQuery> CheckRecommend(const v1::RecommendRequest& request,
                                              const LiveState& state, const RequestTerms& terms) {
  const Catalogue& catalogue = *state.catalogue;
  const std::string_view ranker =
      request.ranker().empty() ? terms.shares.Of(request.user_id()) : request.ranker();
  RecommendQuery query{.ranker_alone = !request.ranker().empty(),
                       .skip_ranking = request.skip_ranking()};
  absl::Status s = CheckCommon(request, terms);
  if (s.ok()) s = CheckRequestUser(request, catalogue, terms, query);
  if (s.ok()) s = Take(CheckPageSize(request.page_size()), query.page_size);
  if (s.ok()) s = Take(CheckFilter(request.filter(), catalogue, terms.now_us()), query.rules);
  if (s.ok()) s = Take(CheckRanker(ranker, *state.snapshot), query.ranker);
  if (s.ok()) s = Take(CheckExplainItems(request.explain_items()), query.explain_items);
  if (s.ok()) s = Take(CheckOnlySources(request.only_sources()), query.only_sources);
  if (s.ok()) s = CheckSourcesServed(query.only_sources, *state.snapshot);
  if (s.ok()) s = Take(CheckDiversity(request.diversity()), query.diversity);
  if (!s.ok()) return s;
  return query;
}

absl::StatusOr<TraceQuery> CheckTraceRecommend(const v1::TraceRecommendRequest& request,
                                               const LiveState& state, const RequestTerms& terms) {
  TraceQuery trace;
  absl::Status s = Take(CheckRecommend(request.recommend(), state, terms), trace.query);
  if (s.ok() && !request.recommend().page_token().empty()) {
    s = InvalidField("page_token", request.recommend().page_token(),
                     "must be empty: the whole list is traced");
  }
  s = WithinField(s, "recommend");
  if (s.ok()) {
    s = Take(CheckAskedItems(request.item_ids(), kTraceItemsMax, *state.catalogue), trace.items);
  }
  if (!s.ok()) return s;
  return trace;
}

absl::Status CheckBatchRecommend(const v1::BatchRecommendRequest& request) {
  const int count = request.requests_size();
  if (count > 0 && static_cast<size_t>(count) <= kBatchRequestsMax) return absl::OkStatus();
  return InvalidField("requests", std::to_string(count),
                      fmt::format("must hold 1 to {} requests", kBatchRequestsMax));
}

absl::StatusOr<RankQuery> CheckRank(const v1::RankRequest& request, const LiveState& state,
                                    const RequestTerms& terms) {
  RankQuery rank;
  RecommendQuery& query = rank.query;
  absl::Status s = CheckCommon(request, terms);
  if (s.ok()) s = CheckRequestUser(request, *state.catalogue, terms, query);
  query.rules.now_us = terms.now_us();
  if (s.ok()) s = Take(CheckRanker(request.ranker(), *state.snapshot), query.ranker);
  if (s.ok() && state.snapshot->is_empty()) s = NoSnapshot("snapshot", "a model ranks items");
  if (s.ok() && query.ranker == nullptr) {
    s = PreconditionFailed("RANKER_MISSING", "snapshot",
                           "the snapshot has no models; import one that has");
  }
  if (s.ok()) s = CheckRankedItems(request.item_ids(), *state.catalogue, rank);
  if (s.ok()) s = Take(CheckExplainItems(request.explain_items()), query.explain_items);
  if (!s.ok()) return s;
  return rank;
}

absl::StatusOr<SimilarItemsQuery> CheckSimilarItems(const v1::SimilarItemsRequest& request,
                                                    const LiveState& state,
                                                    const RequestTerms& terms) {
  const Catalogue& catalogue = *state.catalogue;
  SimilarItemsQuery query;
  absl::Status s = CheckCommon(request, terms);
  if (s.ok()) s = CheckId("item_id", request.item_id());
  if (s.ok()) s = Take(CheckPageSize(request.page_size()), query.page_size);
  if (s.ok()) s = Take(CheckSimilarity(request.similarity()), query.similarity);
  if (s.ok()) s = Take(CheckFilter(request.filter(), catalogue, terms.now_us()), query.rules);
  if (s.ok()) s = Take(CheckItem(request.item_id(), catalogue), query.item);
  if (s.ok() && state.snapshot->is_empty()) {
    s = NoSnapshot("item_id", "similar items are those with similar vectors");
  }
  if (!s.ok()) return s;
  return query;
}

absl::StatusOr<UserStateQuery> CheckGetUserState(const v1::GetUserStateRequest& request,
                                                 const RequestTerms& terms) {
  UserStateQuery query{.user_id = request.user_id()};
  absl::Status s = CheckCommon(request, terms);
  if (s.ok()) s = CheckId("user_id", request.user_id());
  if (s.ok()) s = Take(CheckRecentLimit(request.recent_limit()), query.recent_items);
  if (!s.ok()) return s;
  return query;
}

absl::Status CheckGetItem(const v1::GetItemRequest& request, const RequestTerms& terms) {
  absl::Status s = CheckCommon(request, terms);
  if (s.ok()) s = CheckId("item_id", request.item_id());
  return s;
}

absl::StatusOr<ItemListing> CheckListItems(const v1::ListItemsRequest& request,
                                           const LiveState& state, const RequestTerms& terms) {
  ItemListing listing{.text = request.query()};
  absl::Status s = CheckCommon(request, terms);
  if (s.ok() && request.query().size() > kListQueryBytesMax) {
    s = InvalidField("query", fmt::format("{} bytes", request.query().size()),
                     fmt::format("must have at most {} bytes", kListQueryBytesMax));
  }
  if (s.ok()) s = Take(CheckPageSize(request.page_size()), listing.page_size);
  if (s.ok() && !request.category().empty()) {
    uint32_t category = 0;
    s = Take(CheckCategory("category", request.category(), *state.catalogue), category);
    listing.category = category;
  }
  if (!s.ok()) return s;
  return listing;
}

absl::StatusOr<size_t> CheckListCategories(const v1::ListCategoriesRequest& request,
                                           const RequestTerms& terms) {
  if (absl::Status s = CheckCommon(request, terms); !s.ok()) return s;
  return CheckPageSize(request.page_size());
}

absl::Status UnknownItem(std::string_view item_id) {
  return UnknownResource("item", item_id, "ITEM_UNKNOWN",
                         "the catalogue of the served snapshot does not have it");
}

}  // namespace groundswell
