// Hypothetical events, anonymous sessions and cold starts against a real server.
#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

#include "tests/integration/sample_server.h"

namespace groundswell {
namespace {

class WhatIfTest : public SampleServerTest {
 protected:
  static v1::RecommendRequest Request(const std::string& user) {
    v1::RecommendRequest request;
    request.set_user_id(user);
    return request;
  }
  template <typename RequestMessage>
  static v1::HypotheticalEvent& Suppose(RequestMessage& request, const std::string& item) {
    v1::HypotheticalEvent& event = *request.add_hypothetical_events();
    event.set_item_id(item);
    event.set_event_type("purchase");
    return event;
  }
  static google::rpc::Status Refusal(const v1::RecommendRequest& request) {
    v1::RecommendResponse response;
    const grpc::Status status =
        stubs_->recommend->Recommend(NewContext().get(), request, &response);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << status.error_message();
    return RichStatus(status);
  }
  // All but what is another one each time.
  static std::string Bytes(v1::RecommendResponse response) {
    response.clear_recommendation_id();
    response.clear_next_page_token();
    response.clear_timings();
    return response.SerializeAsString();
  }
  static std::string GraphDigest() {
    v1::ServerStatus status;
    EXPECT_TRUE(stubs_->admin->GetServerStatus(NewContext().get(), {}, &status).ok());
    return status.graph().digest() + " " + std::to_string(status.graph().log_end_offset());
  }
  static grpc::StatusCode UserStateCode(const std::string& user, const std::string& token) {
    v1::GetUserStateRequest request;
    request.set_user_id(user);
    request.set_consistency_token(token);
    v1::GetUserStateResponse response;
    return stubs_->recommend->GetUserState(NewContext().get(), request, &response).error_code();
  }
  static bool Has(const v1::RecommendResponse& response, const std::string& item) {
    return std::any_of(response.items().begin(), response.items().end(),
                       [&](const v1::RecommendedItem& one) { return one.item_id() == item; });
  }
};

TEST_F(WhatIfTest, SupposedEventsChangeOneAnswerAndLeaveNoTrace) {
  const std::string digest = GraphDigest();
  const v1::RecommendResponse before = Recommend(Request(kCustomer));
  v1::RecommendRequest supposed = Request(kCustomer);
  Suppose(supposed, before.items(0).item_id());
  const v1::RecommendResponse with = Recommend(supposed);
  EXPECT_FALSE(Has(with, before.items(0).item_id())) << "it was taken";
  supposed.mutable_filter()->set_include_seen(true);
  EXPECT_NE(Bytes(Recommend(supposed)), Bytes(with));
  EXPECT_EQ(Bytes(Recommend(Request(kCustomer))), Bytes(before));
  EXPECT_EQ(GraphDigest(), digest);

  v1::RecommendRequest refused = Request(kCustomer);
  Suppose(refused, kItem).set_weight(-1'000'000);
  EXPECT_EQ(FieldOf(Refusal(refused)), "hypothetical_events[0].weight");
  EXPECT_EQ(Bytes(Recommend(Request(kCustomer))), Bytes(before));
  EXPECT_EQ(GraphDigest(), digest);
}

TEST_F(WhatIfTest, AnAnonymousSessionIsAnsweredAsANewUserWithThatHistory) {
  v1::RecommendRequest anonymous;
  Suppose(anonymous, kItem);
  const v1::RecommendResponse response = Recommend(anonymous);
  EXPECT_EQ(response.ranker(), "macgnn");
  EXPECT_EQ(response.fallback_reason(), v1::FALLBACK_REASON_UNSPECIFIED);
  EXPECT_EQ(response.degradations_size(), 0);
  EXPECT_EQ(response.items_size(), 20);
  EXPECT_FALSE(Has(response, kItem));

  EXPECT_EQ(FieldOf(Refusal(Request(""))), "user_id") << "nobody, and no history";
  v1::RankRequest rank;
  rank.add_item_ids("22423");
  v1::RankResponse ranked;
  EXPECT_EQ(stubs_->recommend->Rank(NewContext().get(), rank, &ranked).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  Suppose(rank, kItem);
  EXPECT_TRUE(stubs_->recommend->Rank(NewContext().get(), rank, &ranked).ok());
  EXPECT_EQ(ranked.items_size(), 1);
}

TEST_F(WhatIfTest, PagesBelongToTheEventsOfTheFirst) {
  v1::RecommendRequest request;
  Suppose(request, kItem);
  request.set_page_size(5);
  const v1::RecommendResponse first = Recommend(request);
  request.set_page_token(first.next_page_token());
  const v1::RecommendResponse second = Recommend(request);
  EXPECT_EQ(second.recommendation_id(), first.recommendation_id());
  for (const v1::RecommendedItem& item : second.items()) EXPECT_FALSE(Has(first, item.item_id()));
  Suppose(request, "22423");
  EXPECT_EQ(FieldOf(Refusal(request)), "page_token");
}

TEST_F(WhatIfTest, WhatIsWrongWithAnEventIsSaidByName) {
  for (const auto& [field, spoil] :
       std::vector<std::pair<std::string, std::function<void(v1::HypotheticalEvent&)>>>{
           {"item_id", [](auto& event) { event.set_item_id("no-such-item"); }},
           {"event_type", [](auto& event) { event.set_event_type("stare"); }},
           {"weight", [](auto& event) { event.set_weight(0); }},
           {"weight", [](auto& event) { event.set_weight(-3); }},
           {"event_time", [](auto& event) { event.mutable_event_time()->set_seconds(-1); }}}) {
    v1::RecommendRequest request = Request("nobody-ever-saw-me");
    Suppose(request, kItem);
    spoil(Suppose(request, "22423"));
    EXPECT_EQ(FieldOf(Refusal(request)), "hypothetical_events[1]." + field);
    v1::BatchRecommendRequest batch;
    *batch.add_requests() = request;
    v1::BatchRecommendResponse entries;
    ASSERT_TRUE(stubs_->recommend->BatchRecommend(NewContext().get(), batch, &entries).ok());
    EXPECT_EQ(FieldOf(entries.entries(0).status()), "hypothetical_events[1]." + field);
  }
  v1::RecommendRequest many;
  for (int i = 0; i < 101; ++i) Suppose(many, kItem);
  EXPECT_EQ(FieldOf(Refusal(many)), "hypothetical_events");
}

TEST_F(WhatIfTest, AUserComesAndGoesWithTheEvents) {
  EXPECT_EQ(Recommend(Request("comes-and-goes")).fallback_reason(),
            v1::FALLBACK_REASON_UNKNOWN_USER);
  const auto came = Record(NewInteraction("comes", "comes-and-goes", kItem));
  v1::RecommendRequest request = Request("comes-and-goes");
  request.set_consistency_token(came.consistency_token());
  EXPECT_EQ(Recommend(request).ranker(), "macgnn");
  EXPECT_EQ(UserStateCode("comes-and-goes", came.consistency_token()), grpc::StatusCode::OK);
  request.set_ranker("dot");
  const v1::RecommendResponse by_vector = Recommend(request);
  EXPECT_EQ(by_vector.ranker(), "dot");
  EXPECT_EQ(by_vector.items_size(), 20);

  v1::Interaction back = NewInteraction("goes", "comes-and-goes", kItem);
  back.set_weight(-1);
  const auto went = Record(back);
  request.set_consistency_token(went.consistency_token());
  request.clear_ranker();
  const v1::RecommendResponse gone = Recommend(request);
  EXPECT_EQ(gone.fallback_reason(), v1::FALLBACK_REASON_UNKNOWN_USER);
  EXPECT_EQ(gone.items_size(), 20);
  EXPECT_EQ(UserStateCode("comes-and-goes", went.consistency_token()), grpc::StatusCode::NOT_FOUND);
}

TEST_F(WhatIfTest, AnItemThatNobodyTookIsFoundByAVectorOrByItsFirstUser) {
  v1::UpsertItemRequest create;
  create.set_item_id("with-vector");
  create.set_category("novelties");
  for (int i = 0; i < 64; ++i) create.add_embedding(0.1f);
  v1::UpsertItemResponse created;
  ASSERT_TRUE(stubs_->admin->UpsertItem(NewContext().get(), create, &created).ok());
  create.set_item_id("without-vector");
  create.clear_embedding();
  ASSERT_TRUE(stubs_->admin->UpsertItem(NewContext().get(), create, &created).ok());

  v1::RecommendRequest request = Request(kCustomer);
  request.set_consistency_token(created.consistency_token());
  request.add_only_sources(v1::CANDIDATE_SOURCE_EMBEDDING);
  request.mutable_filter()->add_categories("novelties");
  // A category exists once its first item is applied.
  v1::RecommendResponse response;
  EXPECT_TRUE(Becomes([&] {
    stubs_->recommend->Recommend(NewContext().get(), request, &response);
    return response.items_size() > 0;
  }));
  ASSERT_EQ(response.items_size(), 1);
  EXPECT_EQ(response.items(0).item_id(), "with-vector");
  EXPECT_EQ(response.ranker(), "macgnn");

  request.clear_only_sources();
  const auto first = Record(NewInteraction("first-user", "first-user", "without-vector"));
  request.set_consistency_token(first.consistency_token());
  EXPECT_TRUE(Has(Recommend(request), "without-vector"));
}

}  // namespace
}  // namespace groundswell
