#include "server/recommend/recommend_service.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <optional>
#include <utility>

#include "server/pipeline/pipeline.h"
#include "server/pipeline/request_user.h"
#include "server/recommend/item_listing.h"
#include "server/recommend/item_response.h"
#include "server/recommend/list_response.h"
#include "server/recommend/trace_response.h"
#include "server/recommend/user_state_response.h"
#include "server/rpc/field_checks.h"
#include "server/rpc/request_decoding.h"
#include "server/rpc/status_details.h"

namespace groundswell {
namespace {

// Of a deadline, to write and send the page that a search was cut off for.
constexpr std::chrono::milliseconds kListingReserve{2};

// Stands for every field that must be the same on all pages of a list. Request: any that has pages.
template <typename Request>
uint64_t QueryHashOf(Request request) {
  request.clear_page_size();
  request.clear_page_token();
  request.clear_request_id();
  if constexpr (requires { request.clear_consistency_token(); }) request.clear_consistency_token();
  return std::hash<std::string>{}(request.SerializeAsString());
}

// Stands for what pages of the catalogue are of. Request: ListItemsRequest or
// ListCategoriesRequest.
template <typename Request>
uint64_t ListedHashOf(const Request& request, const ServingState& state) {
  // Of what numbers the items: a snapshot that serves again numbers the created ones anew.
  const std::string of =
      fmt::format("{} {} {} {:x}", Request::descriptor()->full_name(), state.snapshot->digest(),
                  state.generation.number(), QueryHashOf(request));
  return std::hash<std::string>{}(of);
}

}  // namespace

RecommendService::RecommendService(const GraphStore& store, RankedLists& lists,
                                   const ListRulesCell& list_rules, ShadowRanking& shadow,
                                   UnaryRunner& runner, RequestTerms terms)
    : store_(store),
      lists_(lists),
      list_rules_(list_rules),
      shadow_(shadow),
      runner_(runner),
      terms_(std::move(terms)) {
  const auto decode_late = [this](Method method, auto handle) {
    MarkMethodRawCallback(IndexOf(v1::RecommendationService::service_full_name(), method),
                          DecodeLate(runner_.gate(), method, this, handle));
  };
  decode_late(Method::kRecommend, &RecommendService::Recommend);
  decode_late(Method::kBatchRecommend, &RecommendService::BatchRecommend);
  decode_late(Method::kRank, &RecommendService::Rank);
  decode_late(Method::kSimilarItems, &RecommendService::SimilarItems);
  decode_late(Method::kTraceRecommend, &RecommendService::TraceRecommend);
  decode_late(Method::kGetUserState, &RecommendService::GetUserState);
  decode_late(Method::kGetItem, &RecommendService::GetItem);
  decode_late(Method::kListItems, &RecommendService::ListItems);
  decode_late(Method::kListCategories, &RecommendService::ListCategories);
}

grpc::ServerUnaryReactor* RecommendService::Recommend(grpc::CallbackServerContext* context,
                                                      const v1::RecommendRequest* request,
                                                      v1::RecommendResponse* response) {
  return runner_.Run(context, Method::kRecommend, request->request_id(),
                     CheckConsistencyToken(request->consistency_token()), *response,
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
  return runner_.Run(context, Method::kBatchRecommend, /*request_id=*/"", newest, *response,
                     [=, this](Call& call) { return DoBatchRecommend(*request, call, *response); });
}

grpc::ServerUnaryReactor* RecommendService::Rank(grpc::CallbackServerContext* context,
                                                 const v1::RankRequest* request,
                                                 v1::RankResponse* response) {
  return runner_.Run(context, Method::kRank, request->request_id(),
                     CheckConsistencyToken(request->consistency_token()), *response,
                     [=, this](Call& call) { return DoRank(*request, call, *response); });
}

grpc::ServerUnaryReactor* RecommendService::SimilarItems(grpc::CallbackServerContext* context,
                                                         const v1::SimilarItemsRequest* request,
                                                         v1::SimilarItemsResponse* response) {
  return runner_.Run(context, Method::kSimilarItems, request->request_id(), Offset{0}, *response,
                     [=, this](Call& call) { return DoSimilarItems(*request, call, *response); });
}

grpc::ServerUnaryReactor* RecommendService::TraceRecommend(grpc::CallbackServerContext* context,
                                                           const v1::TraceRecommendRequest* request,
                                                           v1::TraceRecommendResponse* response) {
  const v1::RecommendRequest& recommend = request->recommend();
  return runner_.Run(context, Method::kTraceRecommend, recommend.request_id(),
                     CheckConsistencyToken(recommend.consistency_token()), *response,
                     [=, this](Call& call) { return DoTraceRecommend(*request, call, *response); });
}

grpc::ServerUnaryReactor* RecommendService::GetUserState(grpc::CallbackServerContext* context,
                                                         const v1::GetUserStateRequest* request,
                                                         v1::GetUserStateResponse* response) {
  return runner_.Run(context, Method::kGetUserState, request->request_id(),
                     CheckConsistencyToken(request->consistency_token()), *response,
                     [=, this](Call& call) { return DoGetUserState(*request, call, *response); });
}

grpc::ServerUnaryReactor* RecommendService::GetItem(grpc::CallbackServerContext* context,
                                                    const v1::GetItemRequest* request,
                                                    v1::GetItemResponse* response) {
  return runner_.Run(context, Method::kGetItem, request->request_id(),
                     CheckConsistencyToken(request->consistency_token()), *response,
                     [=, this](Call& call) { return DoGetItem(*request, call, *response); });
}

grpc::ServerUnaryReactor* RecommendService::ListItems(grpc::CallbackServerContext* context,
                                                      const v1::ListItemsRequest* request,
                                                      v1::ListItemsResponse* response) {
  return runner_.Run(context, Method::kListItems, request->request_id(), Offset{0}, *response,
                     [=, this](Call& call) { return DoListItems(*request, call, *response); });
}

grpc::ServerUnaryReactor* RecommendService::ListCategories(grpc::CallbackServerContext* context,
                                                           const v1::ListCategoriesRequest* request,
                                                           v1::ListCategoriesResponse* response) {
  return runner_.Run(context, Method::kListCategories, request->request_id(), Offset{0}, *response,
                     [=, this](Call& call) { return DoListCategories(*request, call, *response); });
}

absl::Status RecommendService::DoRecommend(const v1::RecommendRequest& request, Call& call,
                                           v1::RecommendResponse& response) {
  absl::StatusOr<RecommendQuery> query = CheckRecommend(request, *call.state, terms_);
  if (!query.ok()) return query.status();
  StageDurations durations;
  const absl::StatusOr<Page> page = request.page_token().empty()
                                        ? FirstPage(request, *std::move(query), call, durations)
                                        : NextPage(request, query->page_size);
  if (!page.ok()) return page.status();
  // The list itself leaves out what was hidden before it.
  RequestUser user;
  if (!request.page_token().empty()) {
    absl::StatusOr<RequestUser> read = ReadRequestUser(*call.state, request.user_id(), {});
    if (!read.ok()) return read.status();
    user = *std::move(read);
  }
  WritePage(*page,
            {.catalogue = *call.state->catalogue, .now_us = terms_.now_us(), .hidden = user.hidden},
            response);
  WriteTimings(call.queued, durations, std::chrono::steady_clock::now() - call.arrival,
               *response.mutable_timings());
  return absl::OkStatus();
}

void RecommendService::Complete(const v1::RecommendRequest& request, const Call& call,
                                RecommendQuery& query) const {
  query.applied_rules = list_rules_.Apply(request.filter().categories(), *call.state->catalogue);
  query.deadline = call.deadline;
  query.stale = call.stale;
}

absl::StatusOr<Page> RecommendService::FirstPage(const v1::RecommendRequest& request,
                                                 RecommendQuery query, Call& call,
                                                 StageDurations& durations) {
  Complete(request, call, query);
  absl::StatusOr<RankedList> list = call.state->pipeline->Recommend(query, call.thread, durations);
  call.stages += durations;
  if (!list.ok()) return list.status();
  Page page = lists_.Begin(*std::move(list), QueryHashOf(request), query.page_size);
  if (query.hypothetical_events.empty()) shadow_.Offer(call.state, query.user_id, page.list);
  return page;
}

absl::StatusOr<Page> RecommendService::NextPage(const v1::RecommendRequest& request,
                                                size_t page_size) {
  const std::string& token = request.page_token();
  absl::StatusOr<Page> page = lists_.Resume(token, QueryHashOf(request), page_size);
  if (!page.ok() || request.user_id().empty()) return page;
  const auto forgotten = store_.FindTombstone(Tombstone::Kind::kUser, HashId(request.user_id()));
  if (!forgotten.ok()) return forgotten.status();
  if (!forgotten->has_value() || (*forgotten)->offset <= page->list->applied_offset) return page;
  // What the list says of the user may not be said any more.
  lists_.Drop(token);
  return lists_.Resume(token, QueryHashOf(request), page_size);
}

absl::Status RecommendService::DoBatchRecommend(const v1::BatchRecommendRequest& request,
                                                Call& call, v1::BatchRecommendResponse& response) {
  if (absl::Status s = CheckBatchRecommend(request); !s.ok()) return s;
  for (const v1::RecommendRequest& one : request.requests()) {
    v1::BatchRecommendResponse::Entry& entry = *response.add_entries();
    const absl::StatusOr<Offset> token = CheckConsistencyToken(one.consistency_token());
    Call entry_call = call;
    entry_call.stale = token.ok() && *token > call.state->applier->applied_offset();
    const absl::Status status =
        token.ok() ? DoRecommend(one, entry_call, *entry.mutable_response()) : token.status();
    call.stages = entry_call.stages;
    *entry.mutable_status() = ToRpcStatus(entry_call.stale ? OfStaleState(status) : status);
    if (!status.ok()) entry.clear_response();
  }
  return absl::OkStatus();
}

absl::Status RecommendService::DoRank(const v1::RankRequest& request, Call& call,
                                      v1::RankResponse& response) {
  absl::StatusOr<RankQuery> rank = CheckRank(request, *call.state, terms_);
  if (!rank.ok()) return rank.status();
  rank->query.deadline = call.deadline;
  rank->query.stale = call.stale;
  StageDurations durations;
  const absl::StatusOr<RankedList> list =
      call.state->pipeline->Rank(rank->query, rank->items, call.thread, durations);
  call.stages += durations;
  if (!list.ok()) return list.status();
  WriteRanking(*list, response);
  for (std::string& id : rank->unknown_item_ids) response.add_unknown_item_ids(std::move(id));
  WriteTimings(call.queued, durations, std::chrono::steady_clock::now() - call.arrival,
               *response.mutable_timings());
  return absl::OkStatus();
}

absl::Status RecommendService::DoTraceRecommend(const v1::TraceRecommendRequest& request,
                                                Call& call, v1::TraceRecommendResponse& response) {
  absl::StatusOr<TraceQuery> asked = CheckTraceRecommend(request, *call.state, terms_);
  if (!asked.ok()) return asked.status();
  std::vector<ItemIndex> items;
  for (AskedItem& one : asked->items) {
    if (one.item.has_value()) {
      items.push_back(*one.item);
      continue;
    }
    const absl::StatusOr<bool> removed = WasRemoved(one.id);
    if (!removed.ok()) return removed.status();
    one.was_removed = *removed;
  }
  Complete(request.recommend(), call, asked->query);
  StageDurations durations;
  const absl::StatusOr<ListTrace> trace =
      call.state->pipeline->Trace(asked->query, items, call.thread, durations);
  call.stages += durations;
  if (!trace.ok()) return trace.status();
  WriteTrace(*trace, asked->items, response);
  WriteTimings(call.queued, durations, std::chrono::steady_clock::now() - call.arrival,
               *response.mutable_timings());
  return absl::OkStatus();
}

absl::Status RecommendService::DoSimilarItems(const v1::SimilarItemsRequest& request, Call& call,
                                              v1::SimilarItemsResponse& response) {
  const absl::StatusOr<SimilarItemsQuery> query = CheckSimilarItems(request, *call.state, terms_);
  if (!query.ok()) return query.status();
  const uint64_t query_hash = QueryHashOf(request);
  absl::StatusOr<Page> page;
  if (request.page_token().empty()) {
    absl::StatusOr<RankedList> list =
        call.state->pipeline->Similar(query->item, query->similarity, query->rules, call.stages);
    if (!list.ok()) return list.status();
    page = lists_.Begin(*std::move(list), query_hash, query->page_size);
  } else {
    page = lists_.Resume(request.page_token(), query_hash, query->page_size);
  }
  if (!page.ok()) return page.status();
  WritePage(*page, {.catalogue = *call.state->catalogue, .now_us = terms_.now_us()}, response);
  return absl::OkStatus();
}

absl::Status RecommendService::DoGetUserState(const v1::GetUserStateRequest& request, Call& call,
                                              v1::GetUserStateResponse& response) {
  const absl::StatusOr<UserStateQuery> query = CheckGetUserState(request, terms_);
  if (!query.ok()) return query.status();
  const ServingState& state = *call.state;
  const Applier::Progress progress = state.applier->progress();
  const auto user = state.generation.ReadUser(query->user_id);
  if (!user.ok()) return user.status();
  const bool is_there = user->has_value() && (IsKnown(**user, state) || !(*user)->hidden.empty());
  if (!is_there) {
    return UnknownResource("user", query->user_id, "USER_UNKNOWN",
                           "it has no interaction and is not in the snapshot");
  }
  WriteUserState(state, progress, *query, **user, call.stale, response);
  return absl::OkStatus();
}

absl::StatusOr<bool> RecommendService::WasRemoved(std::string_view item_id) const {
  const auto removed = store_.FindTombstone(Tombstone::Kind::kItem, HashId(item_id));
  if (!removed.ok()) return removed.status();
  return removed->has_value();
}

absl::Status RecommendService::DoGetItem(const v1::GetItemRequest& request, const Call& call,
                                         v1::GetItemResponse& response) {
  if (absl::Status s = CheckGetItem(request, terms_); !s.ok()) return s;
  const std::optional<ItemIndex> item = call.state->catalogue->Find(request.item_id());
  if (item.has_value()) {
    WriteItemDetails(*call.state, *list_rules_.Get(), *item, terms_.now_us(), response);
    return absl::OkStatus();
  }
  const absl::StatusOr<bool> removed = WasRemoved(request.item_id());
  if (!removed.ok()) return removed.status();
  if (!*removed) return UnknownItem(request.item_id());
  WriteRemovedItem(*call.state, request.item_id(), response);
  return absl::OkStatus();
}

absl::Status RecommendService::DoListItems(const v1::ListItemsRequest& request, const Call& call,
                                           v1::ListItemsResponse& response) {
  const ServingState& state = *call.state;
  const absl::StatusOr<ItemListing> listing = CheckListItems(request, state, terms_);
  if (!listing.ok()) return listing.status();
  const uint64_t listed = ListedHashOf(request, state);
  const absl::StatusOr<size_t> begin = CheckPlaceToken(request.page_token(), listed);
  if (!begin.ok()) return begin.status();
  const ItemPage page =
      FindItems(*state.catalogue, *listing, *begin, call.deadline - kListingReserve);
  WriteItemPage(state, page.items, terms_.now_us(), response);
  if (page.next.has_value()) response.set_next_page_token(MakePlaceToken(*page.next, listed));
  return absl::OkStatus();
}

absl::Status RecommendService::DoListCategories(const v1::ListCategoriesRequest& request,
                                                const Call& call,
                                                v1::ListCategoriesResponse& response) {
  const absl::StatusOr<size_t> page_size = CheckListCategories(request, terms_);
  if (!page_size.ok()) return page_size.status();
  const uint64_t listed = ListedHashOf(request, *call.state);
  const absl::StatusOr<size_t> begin = CheckPlaceToken(request.page_token(), listed);
  if (!begin.ok()) return begin.status();
  const Catalogue& catalogue = *call.state->catalogue;
  const size_t categories = catalogue.category_count();
  const size_t end = std::min(*begin + *page_size, categories);
  const std::vector<size_t> counts =
      CountItemsOfCategories(catalogue, *begin, end - std::min(*begin, end));
  WriteCategoryPage(*call.state, *begin, counts, response);
  if (end < categories) response.set_next_page_token(MakePlaceToken(end, listed));
  return absl::OkStatus();
}

}  // namespace groundswell
