#include "server/recommend/recommend_service.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "google/protobuf/util/time_util.h"
#include "server/pipeline/pipeline.h"
#include "server/pipeline/request_user.h"
#include "server/recommend/recommend_checks.h"
#include "server/rpc/event_checks.h"
#include "server/rpc/field_checks.h"
#include "server/rpc/status_details.h"

namespace groundswell {
namespace {

using google::protobuf::util::TimeUtil;

void SetDuration(std::chrono::nanoseconds duration, google::protobuf::Duration& out) {
  out = TimeUtil::NanosecondsToDuration(duration.count());
}

void SetTimings(const UnaryRunner::Call& call, const StageDurations& durations,
                v1::StageTimings& out) {
  SetDuration(call.queued, *out.mutable_queue());
  SetDuration(durations.user_state, *out.mutable_user_state());
  SetDuration(durations.retrieval, *out.mutable_retrieval());
  SetDuration(durations.rank, *out.mutable_rank());
  SetDuration(durations.explain, *out.mutable_explain());
  SetDuration(durations.arrange, *out.mutable_arrange());
  SetDuration(std::chrono::steady_clock::now() - call.arrival, *out.mutable_total());
}

void SetFreshness(const RankedList& list, v1::Freshness& out) {
  out.set_applied_offset(list.applied_offset);
  *out.mutable_newest_event_time() = TimeUtil::MicrosecondsToTimestamp(list.newest_event_time_us);
}

// Stands for every field that must be the same on all pages of a list.
template <typename Request>
uint64_t QueryHash(Request request) {
  request.clear_page_size();
  request.clear_page_token();
  request.clear_request_id();
  return std::hash<std::string>{}(request.SerializeAsString());
}

template <typename Request>
uint64_t QueryHashOf(const Request& request) {
  Request query = request;
  if constexpr (requires { query.clear_consistency_token(); }) query.clear_consistency_token();
  return QueryHash(std::move(query));
}

void AddItem(const Candidate& candidate, const Catalogue& catalogue, v1::RecommendedItem& out) {
  out.set_item_id(std::string(catalogue.Id(candidate.item)));
  out.set_title(std::string(catalogue.Title(candidate.item)));
  out.set_category(std::string(catalogue.Category(candidate.item)));
  out.set_score(candidate.score);
  for (const auto& [bit, source] : kSources) {
    if (candidate.sources & bit) out.add_sources(source);
  }
}

// The explanations of the item at `position` of the list, if it has any.
void AddExplanations(const RankedList& list, size_t position, v1::RecommendedItem& out) {
  if (!list.explanations.has_value() || position >= list.explanations->of_item.size()) return;
  for (const Explanation& explanation : list.explanations->of_item[position]) {
    v1::Explanation& added = *out.add_explanations();
    added.set_contribution(explanation.contribution);
    const auto [kind, number] = explanation.cause;
    switch (kind) {
      case Cause::Kind::kPastItem:
        added.mutable_past_item()->set_item_id(std::string(list.catalogue->Id(ItemIndex{number})));
        added.mutable_past_item()->set_title(std::string(list.catalogue->Title(ItemIndex{number})));
        break;
      case Cause::Kind::kItemNode:
        added.mutable_item_node()->set_number(static_cast<int32_t>(number));
        for (const std::string& category : (*list.item_node_categories)[number]) {
          added.mutable_item_node()->add_categories(category);
        }
        break;
      case Cause::Kind::kUserNode:
        added.mutable_user_node()->set_number(static_cast<int32_t>(number));
        break;
    }
  }
}

// Response: RecommendResponse or RankResponse.
template <typename Response>
void SetExplanationCauses(const RankedList& list, Response& response) {
  if (!list.explanations.has_value()) return;
  v1::ExplanationCauses& causes = *response.mutable_explanation_causes();
  causes.set_known(static_cast<int32_t>(list.explanations->causes));
  causes.set_tried(static_cast<int32_t>(list.explanations->causes_tried));
}

void WritePage(const Page& page, v1::RecommendResponse& response) {
  const RankedList& list = *page.list;
  response.set_recommendation_id(page.recommendation_id);
  for (size_t at = page.begin; at < page.end; ++at) {
    v1::RecommendedItem& item = *response.add_items();
    AddItem(list.items[at], *list.catalogue, item);
    AddExplanations(list, at, item);
  }
  response.set_next_page_token(page.next_page_token);
  response.set_snapshot_version(list.snapshot_version);
  response.set_ranker(list.ranker);
  SetFreshness(list, *response.mutable_freshness());
  SetExplanationCauses(list, response);
  for (const int step : list.degradations) {
    response.add_degradations(static_cast<v1::Degradation>(step));
  }
  response.set_fallback_reason(static_cast<v1::FallbackReason>(list.fallback_reason));
}

}  // namespace

RecommendService::RecommendService(RankedLists& lists, const ListRulesCell& list_rules,
                                   const RankerShares& shares, ShadowRanking& shadow,
                                   UnaryRunner& runner, Options options)
    : lists_(lists),
      list_rules_(list_rules),
      shares_(shares),
      shadow_(shadow),
      runner_(runner),
      options_(std::move(options)) {}

grpc::ServerUnaryReactor* RecommendService::Recommend(grpc::CallbackServerContext* context,
                                                      const v1::RecommendRequest* request,
                                                      v1::RecommendResponse* response) {
  return runner_.Run(context, Method::kRecommend, request->request_id(),
                     CheckConsistencyToken(request->consistency_token()),
                     [=, this](Call& call) { return DoRecommend(*request, call, *response); });
}

grpc::ServerUnaryReactor* RecommendService::BatchRecommend(grpc::CallbackServerContext* context,
                                                           const v1::BatchRecommendRequest* request,
                                                           v1::BatchRecommendResponse* response) {
  // One wait serves all entries; a bad token is that entry's own error.
  Offset newest = 0;
  for (const v1::RecommendRequest& one : request->requests()) {
    newest = std::max(newest, CheckConsistencyToken(one.consistency_token()).value_or(0));
  }
  return runner_.Run(context, Method::kBatchRecommend, /*request_id=*/"", newest,
                     [=, this](Call& call) { return DoBatchRecommend(*request, call, *response); });
}

grpc::ServerUnaryReactor* RecommendService::Rank(grpc::CallbackServerContext* context,
                                                 const v1::RankRequest* request,
                                                 v1::RankResponse* response) {
  return runner_.Run(context, Method::kRank, request->request_id(),
                     CheckConsistencyToken(request->consistency_token()),
                     [=, this](Call& call) { return DoRank(*request, call, *response); });
}

grpc::ServerUnaryReactor* RecommendService::SimilarItems(grpc::CallbackServerContext* context,
                                                         const v1::SimilarItemsRequest* request,
                                                         v1::SimilarItemsResponse* response) {
  return runner_.Run(context, Method::kSimilarItems, request->request_id(), Offset{0},
                     [=, this](Call& call) { return DoSimilarItems(*request, call, *response); });
}

grpc::ServerUnaryReactor* RecommendService::GetUserState(grpc::CallbackServerContext* context,
                                                         const v1::GetUserStateRequest* request,
                                                         v1::GetUserStateResponse* response) {
  return runner_.Run(context, Method::kGetUserState, request->request_id(),
                     CheckConsistencyToken(request->consistency_token()),
                     [=, this](Call& call) { return DoGetUserState(*request, call, *response); });
}

absl::Status RecommendService::CheckCommon(std::string_view name_space,
                                           std::string_view request_id) const {
  if (absl::Status s = CheckNamespace(name_space, options_.name_space); !s.ok()) return s;
  return CheckRequestId(request_id);
}

template <typename Request>
absl::StatusOr<std::vector<Interaction>> RecommendService::CheckEvents(
    const Request& request, const ServingState& state) const {
  const auto& events = request.hypothetical_events();
  if (absl::Status s = CheckUser(request.user_id(), !events.empty()); !s.ok()) return s;
  if (events.empty()) return std::vector<Interaction>();
  return CheckHypotheticalEvents(events, request.user_id(), options_.event_types, *state.catalogue,
                                 options_.now_us());
}

absl::Status RecommendService::DoRecommend(const v1::RecommendRequest& request, Call& call,
                                           v1::RecommendResponse& response) {
  const ServingState& state = *call.state;
  if (absl::Status s = CheckCommon(request.namespace_(), request.request_id()); !s.ok()) return s;
  absl::StatusOr<std::vector<Interaction>> events = CheckEvents(request, state);
  if (!events.ok()) return events.status();
  const absl::StatusOr<size_t> page_size = CheckPageSize(request.page_size());
  if (!page_size.ok()) return page_size.status();
  absl::StatusOr<ItemRules> rules =
      CheckFilter(request.filter(), *state.catalogue, options_.now_us());
  if (!rules.ok()) return rules.status();
  const absl::StatusOr<const Ranker*> ranker = CheckRanker(
      request.ranker().empty() ? shares_.Of(request.user_id()) : request.ranker(), *state.snapshot);
  if (!ranker.ok()) return ranker.status();
  const absl::StatusOr<size_t> explain_items = CheckExplainItems(request.explain_items());
  if (!explain_items.ok()) return explain_items.status();

  const absl::StatusOr<uint32_t> only_sources = CheckOnlySources(request.only_sources());
  if (!only_sources.ok()) return only_sources.status();
  const absl::StatusOr<Diversity> diversity = CheckDiversity(request.diversity());
  if (!diversity.ok()) return diversity.status();

  const uint64_t query_hash = QueryHashOf(request);
  StageDurations durations;
  absl::StatusOr<Page> page;
  if (!request.page_token().empty()) {
    page = lists_.Resume(request.page_token(), query_hash, *page_size);
  } else {
    absl::StatusOr<RankedList> list = state.pipeline->Recommend(
        {.user_id = request.user_id(),
         .hypothetical_events = *std::move(events),
         .rules = *std::move(rules),
         .applied_rules = list_rules_.Apply(request.filter().categories(), *state.catalogue),
         .diversity = *diversity,
         .page_size = *page_size,
         .ranker = *ranker,
         .deadline = call.deadline,
         .only_sources = *only_sources,
         .skip_ranking = request.skip_ranking(),
         .stale = call.stale,
         .explain_items = *explain_items},
        call.thread, durations);
    call.stages += durations;
    if (!list.ok()) return list.status();
    page = lists_.Begin(*std::move(list), query_hash, *page_size);
    if (request.hypothetical_events().empty())
      shadow_.Offer(call.state, request.user_id(), page->list);
  }
  if (!page.ok()) return page.status();
  WritePage(*page, response);
  SetTimings(call, durations, *response.mutable_timings());
  return absl::OkStatus();
}

absl::Status RecommendService::DoBatchRecommend(const v1::BatchRecommendRequest& request,
                                                Call& call, v1::BatchRecommendResponse& response) {
  const int count = request.requests_size();
  if (count == 0 || static_cast<size_t>(count) > kBatchRequestsMax) {
    return InvalidField("requests", std::to_string(count),
                        fmt::format("must hold 1 to {} requests", kBatchRequestsMax));
  }
  for (const v1::RecommendRequest& one : request.requests()) {
    v1::BatchRecommendResponse::Entry& entry = *response.add_entries();
    const absl::StatusOr<Offset> token = CheckConsistencyToken(one.consistency_token());
    Call entry_call = call;
    entry_call.stale = token.ok() && *token > call.state->applier->applied_offset();
    const absl::Status status =
        token.ok() ? DoRecommend(one, entry_call, *entry.mutable_response()) : token.status();
    call.stages = entry_call.stages;
    *entry.mutable_status() = ToRpcStatus(status);
    if (!status.ok()) entry.clear_response();
  }
  return absl::OkStatus();
}

absl::Status RecommendService::DoRank(const v1::RankRequest& request, Call& call,
                                      v1::RankResponse& response) {
  const ServingState& state = *call.state;
  if (absl::Status s = CheckCommon(request.namespace_(), request.request_id()); !s.ok()) return s;
  absl::StatusOr<std::vector<Interaction>> events = CheckEvents(request, state);
  if (!events.ok()) return events.status();
  const absl::StatusOr<const Ranker*> ranker = CheckRanker(request.ranker(), *state.snapshot);
  if (!ranker.ok()) return ranker.status();
  if (*ranker == nullptr) {
    return PreconditionFailed("RANKER_MISSING", "snapshot",
                              "the snapshot has no models; import one that has");
  }
  const auto count = static_cast<size_t>(request.item_ids_size());
  if (count == 0 || count > kRankItemsMax) {
    return InvalidField("item_ids", std::to_string(count),
                        fmt::format("must hold 1 to {} items", kRankItemsMax));
  }
  std::vector<ItemIndex> items;
  absl::flat_hash_set<std::string> listed;
  for (const std::string& id : request.item_ids()) {
    if (absl::Status s = CheckId("item_ids", id); !s.ok()) return s;
    if (!listed.insert(id).second) return InvalidField("item_ids", id, "must not be repeated");
    if (const std::optional<ItemIndex> item = state.catalogue->Find(id); item.has_value()) {
      items.push_back(*item);
    } else {
      response.add_unknown_item_ids(id);
    }
  }
  const absl::StatusOr<size_t> explain_items = CheckExplainItems(request.explain_items());
  if (!explain_items.ok()) return explain_items.status();
  StageDurations durations;
  const absl::StatusOr<RankedList> list =
      state.pipeline->Rank({.user_id = request.user_id(),
                            .hypothetical_events = *std::move(events),
                            .ranker = *ranker,
                            .deadline = call.deadline,
                            .stale = call.stale,
                            .explain_items = *explain_items},
                           items, call.thread, durations);
  call.stages += durations;
  if (!list.ok()) return list.status();
  for (size_t at = 0; at < list->items.size(); ++at) {
    v1::RecommendedItem& item = *response.add_items();
    AddItem(list->items[at], *list->catalogue, item);
    AddExplanations(*list, at, item);
  }
  response.set_snapshot_version(list->snapshot_version);
  response.set_ranker(list->ranker);
  SetFreshness(*list, *response.mutable_freshness());
  SetExplanationCauses(*list, response);
  for (const int step : list->degradations) {
    response.add_degradations(static_cast<v1::Degradation>(step));
  }
  SetTimings(call, durations, *response.mutable_timings());
  return absl::OkStatus();
}

absl::Status RecommendService::DoSimilarItems(const v1::SimilarItemsRequest& request, Call& call,
                                              v1::SimilarItemsResponse& response) {
  const ServingState& state = *call.state;
  if (absl::Status s = CheckCommon(request.namespace_(), request.request_id()); !s.ok()) return s;
  if (absl::Status s = CheckId("item_id", request.item_id()); !s.ok()) return s;
  const absl::StatusOr<size_t> page_size = CheckPageSize(request.page_size());
  if (!page_size.ok()) return page_size.status();
  const absl::StatusOr<ItemRules> rules =
      CheckFilter(request.filter(), *state.catalogue, options_.now_us());
  if (!rules.ok()) return rules.status();
  const std::optional<ItemIndex> item = state.catalogue->Find(request.item_id());
  if (!item.has_value()) {
    return UnknownResource("item", request.item_id(), "ITEM_UNKNOWN",
                           "the catalogue of the served snapshot does not have it");
  }
  const uint64_t query_hash = QueryHashOf(request);
  absl::StatusOr<Page> page;
  if (!request.page_token().empty()) {
    page = lists_.Resume(request.page_token(), query_hash, *page_size);
  } else {
    absl::StatusOr<RankedList> list = state.pipeline->Similar(*item, *rules, call.stages);
    if (!list.ok()) return list.status();
    page = lists_.Begin(*std::move(list), query_hash, *page_size);
  }
  if (!page.ok()) return page.status();
  for (const Candidate& candidate : page->items()) {
    AddItem(candidate, *page->list->catalogue, *response.add_items());
  }
  response.set_next_page_token(page->next_page_token);
  response.set_snapshot_version(page->list->snapshot_version);
  return absl::OkStatus();
}

absl::Status RecommendService::DoGetUserState(const v1::GetUserStateRequest& request, Call& call,
                                              v1::GetUserStateResponse& response) {
  const ServingState& state = *call.state;
  if (absl::Status s = CheckCommon(request.namespace_(), request.request_id()); !s.ok()) return s;
  if (absl::Status s = CheckId("user_id", request.user_id()); !s.ok()) return s;
  if (request.recent_limit() < 0 || request.recent_limit() > kRecentLimitMax) {
    return InvalidField(
        "recent_limit", std::to_string(request.recent_limit()),
        fmt::format("must be 1 to {}, or 0 for {}", kRecentLimitMax, kPageSizeDefault));
  }
  const Applier::Progress progress = state.applier->progress();
  response.mutable_freshness()->set_applied_offset(progress.applied_offset);
  *response.mutable_freshness()->mutable_newest_event_time() =
      TimeUtil::MicrosecondsToTimestamp(progress.newest_event_time_us);
  const absl::StatusOr<std::optional<OverlaidUser>> read =
      ReadRequestUser(state, request.user_id(), {});
  if (!read.ok()) return read.status();
  if (!read->has_value()) {
    return UnknownResource("user", request.user_id(), "USER_UNKNOWN",
                           "it has no interaction and is not in the snapshot");
  }
  const UserState& user = (*read)->state;
  const Manifest& manifest = state.snapshot->manifest();
  response.set_user_id(request.user_id());
  response.set_has_embedding(ToInt(user.index) < manifest.users);
  response.set_user_cluster(static_cast<int32_t>(user.cluster));
  response.set_distinct_items(static_cast<int64_t>(user.item_count()));
  int64_t total = 0;
  for (const Edge& edge : user.edges) total += edge.count;
  response.set_total_count(total);

  const int limit = request.recent_limit() == 0 ? kPageSizeDefault : request.recent_limit();
  std::vector<uint32_t> newest;
  NewestEdges(user, static_cast<size_t>(limit), newest);
  for (const uint32_t at : newest) {
    const Edge& edge = user.edges[at];
    v1::RecentItem& item = *response.add_recent_items();
    item.set_item_id(std::string(state.catalogue->Id(edge.item)));
    item.set_title(std::string(state.catalogue->Title(edge.item)));
    item.set_category(std::string(state.catalogue->Category(edge.item)));
    item.set_item_cluster(static_cast<int32_t>(state.graph->ClusterOf(edge.item)));
    int64_t count = 0;
    for (const Edge& one : user.EdgesTo(edge.item)) count += one.count;
    item.set_count(count);
    *item.mutable_last_time() = TimeUtil::MicrosecondsToTimestamp(edge.last.time_us);
  }
  std::vector<Count> one_hop(manifest.item_clusters);
  std::vector<Count> two_hop(manifest.user_clusters);
  state.graph->GatherUser(user, one_hop, two_hop);
  response.mutable_one_hop()->Add(one_hop.begin(), one_hop.end());
  response.mutable_two_hop()->Add(two_hop.begin(), two_hop.end());
  response.set_snapshot_version(manifest.FullVersion());
  if (call.stale) response.add_degradations(v1::DEGRADATION_STALE_STATE);
  return absl::OkStatus();
}

}  // namespace groundswell
