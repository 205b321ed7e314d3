// Every RPC of a real server, as a client sees it.
#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <set>
#include <thread>

#include "tests/integration/sample_server.h"

namespace groundswell {
namespace {

class ApiTest : public SampleServerTest {};

TEST_F(ApiTest, RecommendRanksUnseenItemsWithTitlesAndSources) {
  v1::RecommendRequest request;
  request.set_user_id(kCustomer);
  request.set_ranker("macgnn");
  const v1::RecommendResponse response = Recommend(request);
  ASSERT_EQ(response.items_size(), 20);
  EXPECT_EQ(response.ranker(), "macgnn");
  EXPECT_EQ(response.degradations_size(), 0);
  EXPECT_EQ(response.fallback_reason(), v1::FALLBACK_REASON_UNSPECIFIED);
  EXPECT_FALSE(response.recommendation_id().empty());
  EXPECT_FALSE(response.snapshot_version().empty());
  EXPECT_GT(response.timings().total().nanos(), 0);

  v1::GetUserStateRequest state_request;
  state_request.set_user_id(kCustomer);
  state_request.set_recent_limit(1'000);
  v1::GetUserStateResponse state;
  ASSERT_TRUE(stubs_->recommend->GetUserState(NewContext().get(), state_request, &state).ok());
  std::set<std::string> seen;
  for (const v1::RecentItem& item : state.recent_items()) seen.insert(item.item_id());
  double previous = 1.0;
  for (const v1::RecommendedItem& item : response.items()) {
    EXPECT_FALSE(seen.contains(item.item_id())) << item.item_id();
    EXPECT_FALSE(item.title().empty());
    EXPECT_FALSE(item.category().empty());
    EXPECT_GT(item.sources_size(), 0);
    EXPECT_LE(item.score(), previous);
    EXPECT_GE(item.score(), 0.0);
    previous = item.score();
  }
}

TEST_F(ApiTest, FiltersByCategoryAndExclusionAndSeen) {
  v1::RecommendRequest request;
  request.set_user_id(kCustomer);
  const v1::RecommendResponse all = Recommend(request);
  request.mutable_filter()->add_categories(all.items(0).category());
  request.mutable_filter()->add_excluded_item_ids(all.items(0).item_id());
  const v1::RecommendResponse filtered = Recommend(request);
  ASSERT_GT(filtered.items_size(), 0);
  for (const v1::RecommendedItem& item : filtered.items()) {
    EXPECT_EQ(item.category(), all.items(0).category());
    EXPECT_NE(item.item_id(), all.items(0).item_id());
  }
}

TEST_F(ApiTest, WhatAUserHidIsNotRecommendedAnyMore) {
  v1::RecommendRequest request;
  request.set_user_id("13680");
  request.set_page_size(5);
  const v1::RecommendResponse before = Recommend(request);
  const std::string shown = before.items(0).item_id();
  v1::Interaction hide = NewInteraction("hide-1", "13680", shown);
  hide.set_event_type("hide");
  request.set_consistency_token(Record(hide).consistency_token());
  request.mutable_filter()->set_include_seen(true);
  request.set_page_size(100);
  const v1::RecommendResponse after = Recommend(request);
  for (const v1::RecommendedItem& item : after.items()) EXPECT_NE(item.item_id(), shown);
  v1::GetUserStateRequest state_request;
  state_request.set_user_id("13680");
  v1::GetUserStateResponse state;
  ASSERT_TRUE(stubs_->recommend->GetUserState(NewContext().get(), state_request, &state).ok());
  ASSERT_EQ(state.hidden_item_ids_size(), 1);
  EXPECT_EQ(state.hidden_item_ids(0), shown);
}

TEST_F(ApiTest, PagesNeitherRepeatNorSkipWhileTheGraphMoves) {
  v1::RecommendRequest request;
  request.set_user_id(kCustomer);
  request.set_page_size(100);
  std::vector<std::string> whole;
  const v1::RecommendResponse first = Recommend(request);
  for (const v1::RecommendedItem& item : first.items()) whole.push_back(item.item_id());

  request.set_page_size(7);
  std::vector<std::string> paged;
  std::string recommendation_id;
  for (int page = 0; page < 10; ++page) {
    const v1::RecommendResponse response = Recommend(request);
    if (page == 0) recommendation_id = response.recommendation_id();
    EXPECT_EQ(response.recommendation_id(), recommendation_id);
    for (const v1::RecommendedItem& item : response.items()) paged.push_back(item.item_id());
    ASSERT_FALSE(response.next_page_token().empty());
    request.set_page_token(response.next_page_token());
    Record(NewInteraction("paging-" + std::to_string(page), kCustomer, whole[90 + page]));
  }
  ASSERT_EQ(paged.size(), 70u);
  EXPECT_EQ(paged, std::vector<std::string>(whole.begin(), whole.begin() + 70));
}

TEST_F(ApiTest, TheLastPageHasNoTokenAndAllPagesMakeTheWholeList) {
  v1::RecommendRequest request;
  request.set_user_id("nobody-ever-saw-me");
  request.set_page_size(100);
  std::set<std::string> items;
  int pages = 0;
  while (pages < 20) {
    const v1::RecommendResponse response = Recommend(request);
    ++pages;
    for (const v1::RecommendedItem& item : response.items()) {
      EXPECT_TRUE(items.insert(item.item_id()).second) << "repeated " << item.item_id();
    }
    if (response.next_page_token().empty()) break;
    request.set_page_token(response.next_page_token());
  }
  EXPECT_EQ(pages, 5);  // paging.items_max is 500
  EXPECT_EQ(items.size(), 500u);
}

TEST_F(ApiTest, AnUnknownUserGetsPopularityAndIsTold) {
  v1::RecommendRequest request;
  request.set_user_id("nobody-ever-saw-me");
  const v1::RecommendResponse response = Recommend(request);
  EXPECT_EQ(response.fallback_reason(), v1::FALLBACK_REASON_UNKNOWN_USER);
  ASSERT_EQ(response.items_size(), 20);
  for (const v1::RecommendedItem& item : response.items()) {
    for (const int source : item.sources()) {
      EXPECT_TRUE(source == v1::CANDIDATE_SOURCE_POPULAR || source == v1::CANDIDATE_SOURCE_TRENDING)
          << v1::CandidateSource_Name(source);
    }
  }
}

TEST_F(ApiTest, AUserOfTheLogAloneGetsPersonalAnswersAfterOneInteraction) {
  const auto recorded = Record(NewInteraction("new-user-1", "new-user", kItem));
  v1::RecommendRequest request;
  request.set_user_id("new-user");
  request.set_consistency_token(recorded.consistency_token());
  const v1::RecommendResponse response = Recommend(request);
  EXPECT_EQ(response.fallback_reason(), v1::FALLBACK_REASON_UNSPECIFIED);
  EXPECT_EQ(response.ranker(), "macgnn");
  EXPECT_EQ(response.degradations_size(), 0);
  EXPECT_GE(response.freshness().applied_offset(), recorded.offset());
  EXPECT_EQ(response.items_size(), 20);
  for (const v1::RecommendedItem& item : response.items()) EXPECT_NE(item.item_id(), kItem);
}

TEST_F(ApiTest, ATokenOfTheFutureIsAnsweredStaleWithinTheDeadline) {
  v1::RecommendRequest request;
  request.set_user_id(kCustomer);
  request.set_consistency_token("offffffff");
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(4));
  v1::RecommendResponse response;
  const grpc::Status status = stubs_->recommend->Recommend(&context, request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  ASSERT_EQ(response.degradations_size(), 1);
  EXPECT_EQ(response.degradations(0), v1::DEGRADATION_STALE_STATE);
}

TEST_F(ApiTest, BatchAnswersEachEntryOnItsOwn) {
  v1::BatchRecommendRequest request;
  request.add_requests()->set_user_id(kCustomer);
  request.add_requests()->set_user_id("");
  request.add_requests()->set_user_id("nobody-ever-saw-me");
  v1::BatchRecommendResponse response;
  ASSERT_TRUE(stubs_->recommend->BatchRecommend(NewContext().get(), request, &response).ok());
  ASSERT_EQ(response.entries_size(), 3);
  EXPECT_EQ(response.entries(0).status().code(), 0);
  EXPECT_EQ(response.entries(0).response().items_size(), 20);
  EXPECT_EQ(response.entries(1).status().code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(FieldOf(response.entries(1).status()), "user_id");
  EXPECT_FALSE(response.entries(1).has_response());
  EXPECT_EQ(response.entries(2).status().code(), 0);
}

TEST_F(ApiTest, RankScoresExactlyTheListedItemsAlikeInEveryOrder) {
  v1::RecommendRequest recommend;
  recommend.set_user_id("13047");
  recommend.set_ranker("macgnn");
  const v1::RecommendResponse list = Recommend(recommend);
  v1::RankRequest request;
  request.set_user_id("13047");
  request.add_item_ids("no-such-item");
  for (int i = list.items_size() - 1; i >= 0; --i) request.add_item_ids(list.items(i).item_id());
  v1::RankResponse response;
  ASSERT_TRUE(stubs_->recommend->Rank(NewContext().get(), request, &response).ok());
  ASSERT_EQ(response.items_size(), list.items_size());
  ASSERT_EQ(response.unknown_item_ids_size(), 1);
  EXPECT_EQ(response.unknown_item_ids(0), "no-such-item");
  for (int i = 0; i < list.items_size(); ++i) {
    EXPECT_EQ(response.items(i).item_id(), list.items(i).item_id());
    EXPECT_EQ(response.items(i).score(), list.items(i).score());
    EXPECT_EQ(response.items(i).sources(0), v1::CANDIDATE_SOURCE_REQUEST);
  }
}

TEST_F(ApiTest, TheDotProductIsARankerOfTheSnapshot) {
  v1::RecommendRequest request;
  request.set_user_id(kCustomer);
  request.set_ranker("dot");
  const v1::RecommendResponse response = Recommend(request);
  EXPECT_EQ(response.ranker(), "dot");
  EXPECT_EQ(response.fallback_reason(), v1::FALLBACK_REASON_UNSPECIFIED);
  ASSERT_EQ(response.items_size(), 20);
  for (int i = 1; i < response.items_size(); ++i) {
    EXPECT_GE(response.items(i - 1).score(), response.items(i).score());
  }
}

TEST_F(ApiTest, TheDotProductRanksWhoCameAfterTheSnapshot) {
  v1::RecommendRequest request;
  request.set_user_id("came-after-the-snapshot");
  request.set_ranker("dot");
  request.set_consistency_token(
      Record(NewInteraction("dot-1", request.user_id(), kItem)).consistency_token());
  const v1::RecommendResponse response = Recommend(request);
  EXPECT_EQ(response.ranker(), "dot");
  EXPECT_EQ(response.fallback_reason(), v1::FALLBACK_REASON_UNSPECIFIED);
  ASSERT_EQ(response.items_size(), 20);
  for (int i = 1; i < response.items_size(); ++i) {
    EXPECT_GE(response.items(i - 1).score(), response.items(i).score());
  }
}

TEST_F(ApiTest, ARankerWithoutAScoreForTheUserFallsBackAndNeverInventsOne) {
  v1::UpsertItemRequest item;
  item.set_item_id("without-a-vector");
  item.set_title("A new item, of which nothing is known");
  v1::UpsertItemResponse upserted;
  ASSERT_TRUE(stubs_->admin->UpsertItem(NewContext().get(), item, &upserted).ok());
  v1::RecommendRequest request;
  request.set_user_id("took-nothing-with-a-vector");
  request.set_ranker("dot");
  request.set_consistency_token(upserted.consistency_token());
  Recommend(request);  // waits
  request.set_consistency_token(
      Record(NewInteraction("dot-2", request.user_id(), item.item_id())).consistency_token());
  const v1::RecommendResponse response = Recommend(request);
  EXPECT_EQ(response.fallback_reason(), v1::FALLBACK_REASON_USER_NOT_SCORED);
  EXPECT_TRUE(response.ranker().empty());
  EXPECT_EQ(response.degradations_size(), 0);
  ASSERT_EQ(response.items_size(), 20);

  v1::RankRequest rank;
  rank.add_item_ids(kItem);
  rank.set_ranker("dot");
  for (const std::string& user : {request.user_id(), std::string("nobody-ever-saw-me")}) {
    rank.set_user_id(user);
    v1::RankResponse ranked;
    const grpc::Status status = stubs_->recommend->Rank(NewContext().get(), rank, &ranked);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION) << status.error_message();
    EXPECT_EQ(ReasonOf(RichStatus(status)), "USER_NOT_SCORED");
  }
}

// What every explanation must be; returns the kinds of causes that were told.
std::set<v1::Explanation::CauseCase> CheckExplanations(const v1::RecommendedItem& item) {
  std::set<v1::Explanation::CauseCase> kinds;
  double previous = std::numeric_limits<double>::max();
  for (const v1::Explanation& explanation : item.explanations()) {
    kinds.insert(explanation.cause_case());
    EXPECT_NE(explanation.contribution(), 0);
    EXPECT_LE(std::abs(explanation.contribution()), previous);
    previous = std::abs(explanation.contribution());
    switch (explanation.cause_case()) {
      case v1::Explanation::kPastItem:
        EXPECT_FALSE(explanation.past_item().item_id().empty());
        EXPECT_FALSE(explanation.past_item().title().empty());
        break;
      case v1::Explanation::kItemNode:
        EXPECT_GE(explanation.item_node().categories_size(), 1);
        EXPECT_LE(explanation.item_node().categories_size(), 3);
        break;
      case v1::Explanation::kUserNode:
        EXPECT_EQ(explanation.user_node().categories_size(), 0);
        break;
      default:
        ADD_FAILURE() << "no cause";
    }
  }
  return kinds;
}

TEST_F(ApiTest, TheFirstItemsAreExplainedByCausesWithNames) {
  v1::RecommendRequest request;
  request.set_user_id(kCustomer);
  request.set_explain_items(3);
  const v1::RecommendResponse response = Recommend(request);
  ASSERT_EQ(response.items_size(), 20);
  EXPECT_EQ(response.degradations_size(), 0);
  EXPECT_GT(response.timings().explain().nanos(), 0);
  EXPECT_GT(response.explanation_causes().known(), 3);
  EXPECT_EQ(response.explanation_causes().tried(),
            std::min(response.explanation_causes().known(), 50));
  for (int i = 0; i < response.items_size(); ++i) {
    EXPECT_EQ(CheckExplanations(response.items(i)).size(), i < 3 ? 3u : 0u) << i;
    EXPECT_LE(response.items(i).explanations_size(), response.explanation_causes().tried());
  }
}

TEST_F(ApiTest, PagesHaveTheExplanationsOfTheirItems) {
  v1::RecommendRequest request;
  request.set_user_id(kCustomer);
  request.set_explain_items(3);
  request.set_page_size(2);
  v1::RecommendResponse response = Recommend(request);
  EXPECT_FALSE(CheckExplanations(response.items(1)).empty());
  request.set_page_token(response.next_page_token());
  response = Recommend(request);
  EXPECT_FALSE(CheckExplanations(response.items(0)).empty());
  EXPECT_TRUE(CheckExplanations(response.items(1)).empty());
  EXPECT_GT(response.explanation_causes().tried(), 0);
}

TEST_F(ApiTest, RankExplainsItsBestItems) {
  v1::RankRequest request;
  request.set_user_id(kCustomer);
  request.set_explain_items(1);
  request.add_item_ids(kItem);
  request.add_item_ids("22423");
  v1::RankResponse response;
  ASSERT_TRUE(stubs_->recommend->Rank(NewContext().get(), request, &response).ok());
  ASSERT_EQ(response.items_size(), 2);
  EXPECT_EQ(CheckExplanations(response.items(0)).size(), 3u);
  EXPECT_EQ(response.items(1).explanations_size(), 0);
  EXPECT_GT(response.explanation_causes().tried(), 0);
}

TEST_F(ApiTest, AUserOfTheLogAloneIsExplainedByTheirOnlyItem) {
  const std::string user = "explained-user";
  v1::RankRequest request;
  request.set_user_id(user);
  request.add_item_ids("22423");
  request.set_explain_items(1);
  request.set_consistency_token(
      Record(NewInteraction("explained-1", user, kItem)).consistency_token());
  v1::RankResponse response;
  ASSERT_TRUE(stubs_->recommend->Rank(NewContext().get(), request, &response).ok());
  const v1::RecommendedItem& item = response.items(0);
  ASSERT_FALSE(item.explanations().empty());
  const auto past =
      std::find_if(item.explanations().begin(), item.explanations().end(),
                   [](const v1::Explanation& explanation) { return explanation.has_past_item(); });
  ASSERT_NE(past, item.explanations().end());
  EXPECT_EQ(past->past_item().item_id(), kItem);
}

TEST_F(ApiTest, WhatCannotBeExplainedHasNoExplanations) {
  v1::RecommendRequest request;
  request.set_user_id(kCustomer);
  const v1::RecommendResponse unasked = Recommend(request);
  EXPECT_FALSE(unasked.has_explanation_causes());
  EXPECT_EQ(unasked.items(0).explanations_size(), 0);
  EXPECT_EQ(unasked.timings().explain().nanos(), 0);

  request.set_explain_items(10);
  request.set_ranker("dot");  // reads nothing that can be taken away
  const v1::RecommendResponse dot = Recommend(request);
  EXPECT_TRUE(dot.has_explanation_causes());
  EXPECT_EQ(dot.explanation_causes().known(), 0);
  EXPECT_EQ(dot.items(0).explanations_size(), 0);
  EXPECT_EQ(dot.degradations_size(), 0);

  request.clear_ranker();
  request.set_user_id("nobody-ever-saw-me");
  const v1::RecommendResponse nobody = Recommend(request);
  EXPECT_FALSE(nobody.has_explanation_causes());
  EXPECT_EQ(nobody.items(0).explanations_size(), 0);
  EXPECT_EQ(nobody.degradations_size(), 0);
}

TEST_F(ApiTest, SimilarItemsLeavesTheItemItselfOut) {
  v1::SimilarItemsRequest request;
  request.set_item_id(kItem);
  request.set_page_size(10);
  v1::SimilarItemsResponse response;
  ASSERT_TRUE(stubs_->recommend->SimilarItems(NewContext().get(), request, &response).ok());
  ASSERT_EQ(response.items_size(), 10);
  EXPECT_FALSE(response.next_page_token().empty());
  double previous = std::numeric_limits<double>::max();
  for (const v1::RecommendedItem& item : response.items()) {
    EXPECT_NE(item.item_id(), kItem);
    EXPECT_LE(item.score(), previous);
    previous = item.score();
  }
}

TEST_F(ApiTest, SimilarItemsByCosineAreThoseOfTheirDirection) {
  v1::SimilarItemsRequest request;
  request.set_item_id(kItem);
  request.set_page_size(5);
  request.set_similarity(v1::SIMILARITY_COSINE);
  v1::SimilarItemsResponse response;
  ASSERT_TRUE(stubs_->recommend->SimilarItems(NewContext().get(), request, &response).ok());
  ASSERT_EQ(response.items_size(), 5);
  for (const v1::RecommendedItem& item : response.items()) {
    EXPECT_NE(item.item_id(), kItem);
    EXPECT_LE(item.score(), 1);
    EXPECT_GT(item.score(), 0);
  }
  // A page is of the question that it was begun with.
  v1::SimilarItemsRequest next = request;
  next.set_page_token(response.next_page_token());
  EXPECT_TRUE(stubs_->recommend->SimilarItems(NewContext().get(), next, &response).ok());
  next.set_similarity(v1::SIMILARITY_INNER_PRODUCT);
  EXPECT_EQ(stubs_->recommend->SimilarItems(NewContext().get(), next, &response).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);

  // The zero vector has no direction.
  v1::UpsertItemRequest zero;
  zero.set_item_id("of-no-direction");
  v1::ServerStatus status;
  ASSERT_TRUE(stubs_->admin->GetServerStatus(NewContext().get(), {}, &status).ok());
  zero.mutable_embedding()->Resize(status.snapshot().embedding_dim(), 0);
  v1::UpsertItemResponse upserted;
  ASSERT_TRUE(stubs_->admin->UpsertItem(NewContext().get(), zero, &upserted).ok());
  request.set_item_id("of-no-direction");
  const grpc::Status none = stubs_->recommend->SimilarItems(NewContext().get(), request, &response);
  EXPECT_EQ(none.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(ReasonOf(RichStatus(none)), "EMBEDDING_ZERO");
  request.set_similarity(v1::SIMILARITY_INNER_PRODUCT);
  EXPECT_TRUE(stubs_->recommend->SimilarItems(NewContext().get(), request, &response).ok());
  v1::RemoveItemRequest remove;
  remove.set_request_id("11111111-2222-3333-4444-777777777777");
  remove.set_item_id("of-no-direction");
  v1::RemovalReceipt receipt;
  EXPECT_TRUE(stubs_->admin->RemoveItem(NewContext().get(), remove, &receipt).ok());
}

TEST_F(ApiTest, GetUserStateShowsTheMacroEdgesThatAnInteractionMoves) {
  v1::GetUserStateRequest request;
  request.set_user_id("macro-user");
  v1::GetUserStateResponse before;
  EXPECT_EQ(stubs_->recommend->GetUserState(NewContext().get(), request, &before).error_code(),
            grpc::StatusCode::NOT_FOUND);
  v1::Interaction interaction = NewInteraction("macro-1", "macro-user", kItem);
  interaction.set_weight(3);
  request.set_consistency_token(Record(interaction).consistency_token());
  v1::GetUserStateResponse state;
  ASSERT_TRUE(stubs_->recommend->GetUserState(NewContext().get(), request, &state).ok());
  EXPECT_FALSE(state.has_embedding());
  EXPECT_EQ(state.distinct_items(), 1);
  EXPECT_EQ(state.total_count(), 3);
  ASSERT_EQ(state.recent_items_size(), 1);
  EXPECT_EQ(state.recent_items(0).item_id(), kItem);
  EXPECT_EQ(state.recent_items(0).count(), 3);
  int64_t one_hop = 0;
  for (const int64_t count : state.one_hop()) one_hop += count;
  EXPECT_EQ(one_hop, 3);
  EXPECT_EQ(state.one_hop(state.recent_items(0).item_cluster()), 3);
  int64_t two_hop = 0;
  for (const int64_t count : state.two_hop()) two_hop += count;
  EXPECT_GE(two_hop, 9);  // at least the way to the item and back, 3 x 3
}

TEST_F(ApiTest, IngestAcknowledgesBatchesInOrderAndRecognisesDuplicates) {
  const auto context = NewContext();
  const auto stream = stubs_->interaction->Ingest(context.get());
  constexpr int kBatches = 20;
  for (int batch = 0; batch < kBatches; ++batch) {
    v1::IngestRequest request;
    for (int i = 0; i < 10; ++i) {
      *request.add_interactions() = NewInteraction(
          "stream-" + std::to_string(batch) + "-" + std::to_string(i), "stream-user", kItem);
    }
    *request.add_interactions() = NewInteraction("stream-0-0", "stream-user", kItem);
    *request.add_interactions() = NewInteraction("stream-bad", "stream-user", "no-such-item");
    ASSERT_TRUE(stream->Write(request));
  }
  stream->WritesDone();
  v1::IngestResponse response;
  int64_t last_offset = 0;
  for (int batch = 0; batch < kBatches; ++batch) {
    ASSERT_TRUE(stream->Read(&response));
    EXPECT_EQ(response.batch_index(), batch);
    EXPECT_EQ(response.accepted_count(), 10);
    EXPECT_EQ(response.duplicate_count(), 1);
    ASSERT_EQ(response.refusals_size(), 1);
    EXPECT_EQ(response.refusals(0).index(), 11);
    EXPECT_EQ(ReasonOf(response.refusals(0).status()), "ITEM_UNKNOWN");
    EXPECT_GT(response.last_offset(), last_offset);
    last_offset = response.last_offset();
  }
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_TRUE(stream->Finish().ok());

  v1::GetUserStateRequest request;
  request.set_user_id("stream-user");
  request.set_consistency_token(response.consistency_token());
  v1::GetUserStateResponse state;
  ASSERT_TRUE(stubs_->recommend->GetUserState(NewContext().get(), request, &state).ok());
  EXPECT_EQ(state.total_count(), kBatches * 10);
}

TEST_F(ApiTest, ARepeatedRequestIdCountsOnce) {
  v1::RecordInteractionRequest request;
  request.set_request_id("123e4567-e89b-42d3-a456-426614174000");
  *request.mutable_interaction() = NewInteraction("", "idempotent-user", kItem);
  v1::RecordInteractionResponse first;
  v1::RecordInteractionResponse second;
  ASSERT_TRUE(stubs_->interaction->RecordInteraction(NewContext().get(), request, &first).ok());
  ASSERT_TRUE(stubs_->interaction->RecordInteraction(NewContext().get(), request, &second).ok());
  EXPECT_FALSE(first.duplicate());
  EXPECT_TRUE(second.duplicate());
  EXPECT_EQ(first.offset(), second.offset());
}

TEST_F(ApiTest, StatusTellsWhatIsServed) {
  v1::ServerStatus status;
  ASSERT_TRUE(stubs_->admin->GetServerStatus(NewContext().get(), {}, &status).ok());
  EXPECT_EQ(status.namespace_(), "default");
  EXPECT_EQ(status.snapshot().rankers(0), "macgnn");
  EXPECT_EQ(status.snapshot().digest().size(), 64u);
  EXPECT_GT(status.snapshot().users(), 0);
  EXPECT_GE(status.graph().log_end_offset(), status.graph().applied_offset());
  EXPECT_NE(status.configuration().find("grpc_address"), std::string::npos);
}

TEST_F(ApiTest, MetricsAndHealthAreServedOverHttp) {
  v1::RecommendRequest request;
  request.set_user_id(kCustomer);
  Recommend(request);
  const std::string metrics = HttpGet(server_->http_port(), "/metrics");
  for (const char* name :
       {"groundswell_requests_total{code=\"OK\",method=\"Recommend\"}",
        "groundswell_request_duration_seconds_bucket", "groundswell_stage_duration_seconds_bucket",
        "groundswell_candidates_total{source=\"embedding\"}", "groundswell_applied_offset",
        "groundswell_apply_lag_records", "groundswell_rocksdb_", "process_resident_memory_bytes",
        "groundswell_snapshot_info", "groundswell_walk_steps_total"}) {
    EXPECT_NE(metrics.find(name), std::string::npos) << name << " is missing in\n" << metrics;
  }
  EXPECT_EQ(metrics.find("groundswell_walk_steps_total 0\n"), std::string::npos);
  EXPECT_NE(HttpGet(server_->http_port(), "/healthz").find("200"), std::string::npos);
  EXPECT_NE(HttpGet(server_->http_port(), "/readyz").find("200"), std::string::npos);
}

TEST_F(ApiTest, ACallWithoutTimeIsRefusedOrDegradesAndTheServerGoesOn) {
  v1::RecommendRequest request;
  request.set_user_id(kCustomer);
  for (const int micros : {0, 300, 600, 900, 1'500}) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::microseconds(micros));
    v1::RecommendResponse response;
    const grpc::Status status = stubs_->recommend->Recommend(&context, request, &response);
    if (!status.ok()) {
      EXPECT_EQ(status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
    } else {
      EXPECT_EQ(response.items_size(), 20);
    }
  }
  EXPECT_EQ(Recommend(request).degradations_size(), 0);
}

TEST_F(ApiTest, ATraceIsAnsweredWithItsIdAndASpanOfItsOwn) {
  const std::string trace = "4bf92f3577b34da6a3ce929d0e0e4736";
  const std::string parent = "00f067aa0ba902b7";
  const auto traced = [&](const std::string& header) {
    const auto context = NewContext();
    context->AddMetadata("traceparent", header);
    v1::RecommendRequest request;
    request.set_user_id(kCustomer);
    v1::RecommendResponse response;
    EXPECT_TRUE(stubs_->recommend->Recommend(context.get(), request, &response).ok());
    const auto& metadata = context->GetServerInitialMetadata();
    const auto found = metadata.find("traceresponse");
    return found == metadata.end() ? "" : std::string(found->second.data(), found->second.size());
  };
  const std::string answer = traced("00-" + trace + "-" + parent + "-01");
  ASSERT_EQ(answer.size(), 55u);
  EXPECT_EQ(answer.substr(0, 36), "00-" + trace + "-");
  EXPECT_NE(answer.substr(36, 16), parent);
  EXPECT_EQ(answer.substr(52), "-01");
  EXPECT_EQ(traced("00-" + trace + "-" + parent), "") << "what is no trace context is ignored";
}

}  // namespace
}  // namespace groundswell
