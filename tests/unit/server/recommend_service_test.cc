// The service of the read side on the tiny snapshot, without a server: what it adds to the checks,
// the pipeline and the kept lists, which have tests of their own.
#include "server/recommend/recommend_service.h"

#include <gmock/gmock.h>

#include <chrono>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "server/recommend/item_listing.h"
#include "server/rpc/field_checks.h"
#include "tests/support/graph_fixture.h"
#include "tests/unit/server/live_tiny.h"
#include "tests/unit/server/unary_test_call.h"

namespace groundswell {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class RecommendServiceTest : public ::testing::Test {
 protected:
  RecommendServiceTest() {
    auto state = std::exchange(tiny_.live().state, nullptr);
    state->pipeline = std::make_unique<Pipeline>(*state, metrics_.pipeline(), Pipeline::Options{},
                                                 /*compute_threads=*/1);
    serving_.Exchange(std::move(state));
  }
  ~RecommendServiceTest() override {
    admission_.Drain();
    tiny_.live().log->Close();
    serving_.Exchange(nullptr);  // ends the applier, which may still wake a compute thread
  }

  static v1::RecommendRequest RequestOf(const std::string& user, int32_t page_size = 0) {
    v1::RecommendRequest request;
    request.set_user_id(user);
    request.set_page_size(page_size);
    return request;
  }
  v1::RecommendResponse Recommend(const v1::RecommendRequest& request) {
    v1::RecommendResponse response;
    UnaryTestCall call;
    service_.Recommend(call.context(), &request, &response);
    EXPECT_EQ(call.Wait(), grpc::StatusCode::OK);
    return response;
  }
  // The reason of its refusal.
  std::string Refused(const v1::RecommendRequest& request, grpc::StatusCode code) {
    v1::RecommendResponse response;
    UnaryTestCall call;
    service_.Recommend(call.context(), &request, &response);
    EXPECT_EQ(call.Wait(), code);
    return call.reason();
  }
  void Apply(LogEntry entry) {
    std::promise<Offset> appended;
    AppendRequest request;
    request.entries.push_back(std::move(entry));
    ASSERT_TRUE(tiny_.live()
                    .log
                    ->Append(std::move(request),
                             [&](const absl::StatusOr<AppendResult>& result) {
                               appended.set_value(result->entries.back().offset);
                             })
                    .ok());
    std::promise<bool> applied;
    serving_.Get()->applier->WhenApplied(
        appended.get_future().get(), std::chrono::steady_clock::now() + std::chrono::seconds(30),
        [&](bool reached) { applied.set_value(reached); });
    ASSERT_TRUE(applied.get_future().get());
  }

  LiveTiny tiny_;
  Metrics metrics_{std::vector<std::string>{}};
  ServingCell serving_;
  Admission admission_{{.threads = 1, .queue_max = 10}};
  std::unique_ptr<AccessControl> access_ = *AccessControl::Create({}, metrics_.requests());
  std::unique_ptr<ListRulesCell> rules_ =
      *ListRulesCell::Open(*tiny_.live().store, metrics_.pipeline(), [] { return int64_t{1}; });
  RankedLists lists_{{}};
  ShadowRanking shadow_{{}, admission_, metrics_.pipeline()};
  UnaryRunner runner_{*access_,
                      admission_,
                      serving_,
                      metrics_,
                      {.default_deadline = std::chrono::seconds(30),
                       .consistency_wait = std::chrono::milliseconds(1)}};
  RecommendService service_{*tiny_.live().store,
                            lists_,
                            *rules_,
                            shadow_,
                            runner_,
                            {.name_space = "default", .now_us = [] { return int64_t{1'000'000}; }}};
};

TEST_F(RecommendServiceTest, PagesAreOneListThatTheGraphDoesNotMove) {
  v1::RecommendRequest request = RequestOf("eve", 1);
  std::set<std::string> answered;
  std::string list;
  for (int page = 0; page < 4; ++page) {
    const v1::RecommendResponse response = Recommend(request);
    ASSERT_EQ(response.items_size(), 1);
    EXPECT_TRUE(answered.insert(response.items(0).item_id()).second) << "answered twice";
    if (page == 0) list = response.recommendation_id();
    EXPECT_EQ(response.recommendation_id(), list);
    request.set_page_token(response.next_page_token());
    Apply(MakeInteraction("eve", response.items(0).item_id()));
  }
  EXPECT_TRUE(request.page_token().empty()) << "the tiny catalogue has four items";
}

TEST_F(RecommendServiceTest, ATokenIsOfItsOwnRequest) {
  v1::RecommendRequest request = RequestOf("eve", 1);
  request.set_page_token(Recommend(request).next_page_token());
  request.set_request_id("00000000-0000-4000-8000-000000000001");
  EXPECT_EQ(Recommend(request).items_size(), 1);
  request.set_user_id("bob");
  Refused(request, grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(RecommendServiceTest, TheListOfAForgottenUserIsGone) {
  v1::RecommendRequest request = RequestOf("ann", 1);
  request.set_page_token(Recommend(request).next_page_token());
  ASSERT_FALSE(request.page_token().empty());
  Apply(ForgetUser{
      .event_id = "forget", .user_id = "ann", .user_hash = HashId("ann"), .time_us = 2'000'000});
  EXPECT_EQ(Refused(request, grpc::StatusCode::FAILED_PRECONDITION), "PAGE_TOKEN_EXPIRED");
  EXPECT_EQ(lists_.size(), 0u);
}

TEST_F(RecommendServiceTest, EntriesOfABatchHaveTheirOwnErrorsAndTheirOwnStaleness) {
  v1::BatchRecommendRequest request;
  *request.add_requests() = RequestOf("eve");
  *request.add_requests() = RequestOf("eve");
  request.mutable_requests(1)->set_consistency_token("no token");
  *request.add_requests() = RequestOf("eve");
  request.mutable_requests(2)->set_consistency_token(MakeConsistencyToken(1'000));
  *request.add_requests() = RequestOf("eve", -1);
  v1::BatchRecommendResponse response;
  UnaryTestCall call;
  service_.BatchRecommend(call.context(), &request, &response);
  ASSERT_EQ(call.Wait(), grpc::StatusCode::OK);
  ASSERT_EQ(response.entries_size(), 4);
  EXPECT_EQ(response.entries(0).status().code(), 0);
  EXPECT_GT(response.entries(0).response().items_size(), 0);
  EXPECT_EQ(response.entries(0).response().degradations_size(), 0);
  EXPECT_EQ(response.entries(1).status().code(), 3);
  EXPECT_THAT(response.entries(1).status().message(), HasSubstr("consistency_token"));
  EXPECT_FALSE(response.entries(1).has_response());
  EXPECT_THAT(response.entries(2).response().degradations(),
              ElementsAre(v1::DEGRADATION_STALE_STATE));
  EXPECT_EQ(response.entries(3).status().code(), 3);
}

TEST_F(RecommendServiceTest, WhoIsNotKnownToAStaleStateMayBeThereSoon) {
  v1::GetUserStateRequest request;
  request.set_user_id("nobody");
  v1::GetUserStateResponse response;
  UnaryTestCall without_token;
  service_.GetUserState(without_token.context(), &request, &response);
  EXPECT_EQ(without_token.Wait(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(without_token.reason(), "USER_UNKNOWN");
  request.set_consistency_token(MakeConsistencyToken(1'000));
  UnaryTestCall stale;
  service_.GetUserState(stale.context(), &request, &response);
  EXPECT_EQ(stale.Wait(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(stale.reason(), "STALE_STATE");
  // What no entry of the log can bring is no question of staleness.
  request.set_user_id("");
  UnaryTestCall wrong;
  service_.GetUserState(wrong.context(), &request, &response);
  EXPECT_EQ(wrong.Wait(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(RecommendServiceTest, RankOrdersWhatItIsGivenAndNamesWhatItDoesNotKnow) {
  v1::RankRequest request;
  request.set_user_id("ann");  // (1, 0)
  for (const char* item : {"i2", "nothing", "i0", "i1"}) request.add_item_ids(item);
  v1::RankResponse response;
  UnaryTestCall call;
  service_.Rank(call.context(), &request, &response);
  ASSERT_EQ(call.Wait(), grpc::StatusCode::OK);
  ASSERT_EQ(response.items_size(), 3);
  EXPECT_EQ(response.items(0).item_id(), "i0");  // (1, 0)
  EXPECT_EQ(response.items(1).item_id(), "i1");  // (0, 1)
  EXPECT_EQ(response.items(2).item_id(), "i2");  // (-1, 0)
  EXPECT_EQ(response.ranker(), "inner");
  EXPECT_THAT(response.unknown_item_ids(), ElementsAre("nothing"));
}

TEST_F(RecommendServiceTest, ATraceTellsWhatIsListedUnknownAndRemoved) {
  Apply(RemoveItem{
      .event_id = "remove-i3", .item_id = "i3", .item_hash = HashId("i3"), .time_us = 2'000'000});
  v1::TraceRecommendRequest request;
  *request.mutable_recommend() = RequestOf("eve");
  for (const char* item : {"i3", "i1", "nothing", "i0"}) request.add_item_ids(item);
  v1::TraceRecommendResponse response;
  UnaryTestCall call;
  service_.TraceRecommend(call.context(), &request, &response);
  ASSERT_EQ(call.Wait(), grpc::StatusCode::OK);
  ASSERT_EQ(response.items_size(), 4);
  EXPECT_EQ(response.items(0).outcome(), v1::LIST_OUTCOME_REMOVED_ITEM);
  EXPECT_EQ(response.items(2).outcome(), v1::LIST_OUTCOME_UNKNOWN_ITEM);
  const v1::RecommendResponse list = Recommend(RequestOf("eve"));
  EXPECT_EQ(response.listed_count(), list.items_size());
  EXPECT_EQ(response.ranker(), list.ranker());
  for (const int at : {1, 3}) {
    const v1::ItemTrace& item = response.items(at);
    EXPECT_EQ(item.outcome(), v1::LIST_OUTCOME_LISTED);
    ASSERT_GE(item.place(), 1);
    EXPECT_EQ(list.items(item.place() - 1).item_id(), item.item_id());
    EXPECT_EQ(list.items(item.place() - 1).score(), item.ranker().score());
  }
  EXPECT_EQ(lists_.size(), 0u) << "nothing is kept";
}

TEST_F(RecommendServiceTest, SimilarItemsAreOthersAndHavePages) {
  v1::SimilarItemsRequest request;
  request.set_item_id("i0");
  request.set_page_size(2);
  std::set<std::string> answered;
  do {
    v1::SimilarItemsResponse response;
    UnaryTestCall call;
    service_.SimilarItems(call.context(), &request, &response);
    ASSERT_EQ(call.Wait(), grpc::StatusCode::OK);
    for (const v1::RecommendedItem& item : response.items()) {
      EXPECT_TRUE(answered.insert(item.item_id()).second) << item.item_id() << " again";
    }
    request.set_page_token(response.next_page_token());
  } while (!request.page_token().empty());
  EXPECT_EQ(answered, (std::set<std::string>{"i1", "i2", "i3"}));

  request.set_item_id("nothing");
  v1::SimilarItemsResponse response;
  UnaryTestCall call;
  service_.SimilarItems(call.context(), &request, &response);
  EXPECT_EQ(call.Wait(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(call.reason(), "ITEM_UNKNOWN");
}

TEST_F(RecommendServiceTest, AUserIsKnownByTheSnapshotOrByAnInteraction) {
  const auto state_of = [&](const std::string& user, v1::GetUserStateResponse& response) {
    v1::GetUserStateRequest request;
    request.set_user_id(user);
    UnaryTestCall call;
    service_.GetUserState(call.context(), &request, &response);
    return call.Wait() == grpc::StatusCode::OK ? "known" : call.reason();
  };
  v1::GetUserStateResponse of_snapshot;
  EXPECT_EQ(state_of("eve", of_snapshot), "known");
  EXPECT_TRUE(of_snapshot.has_embedding());
  EXPECT_EQ(of_snapshot.total_count(), 0);
  v1::GetUserStateResponse unknown;
  EXPECT_EQ(state_of("dan", unknown), "USER_UNKNOWN");
  Apply(MakeInteraction("dan", "i3", 2));
  v1::GetUserStateResponse known;
  EXPECT_EQ(state_of("dan", known), "known");
  EXPECT_FALSE(known.has_embedding());
  EXPECT_EQ(known.total_count(), 2);
  ASSERT_EQ(known.recent_items_size(), 1);
  EXPECT_EQ(known.recent_items(0).item_id(), "i3");
}

TEST_F(RecommendServiceTest, AnItemIsToldWithWhoTookItAndWhichRulesConcernIt) {
  const auto item_of = [&](const std::string& item, v1::GetItemResponse& response) {
    v1::GetItemRequest request;
    request.set_item_id(item);
    UnaryTestCall call;
    service_.GetItem(call.context(), &request, &response);
    return call.Wait() == grpc::StatusCode::OK ? "known" : call.reason();
  };
  v1::GetItemResponse before;
  ASSERT_EQ(item_of("i3", before), "known");
  Apply(MakeInteraction("dan", "i3", 2, 5'000'000));
  Apply(MakeInteraction("eve", "i3", 1, 4'000'000));
  v1::ListRules rules;
  const auto add = [&](const std::string& name) -> v1::ListRule& {
    v1::ListRule& rule = *rules.add_rules();
    rule.set_name(name);
    return rule;
  };
  add("pins it").mutable_pin()->set_item_id("i3");
  rules.mutable_rules(0)->mutable_pin()->set_position(1);
  add("pins another").mutable_pin()->set_item_id("i1");
  rules.mutable_rules(1)->mutable_pin()->set_position(1);
  v1::BoostItems& boost = *add("boosts its category").mutable_boost();
  boost.set_category(before.item().category());
  boost.set_factor(2);
  rules_->Set(rules.SerializeAsString());
  v1::GetItemResponse after;
  ASSERT_EQ(item_of("i3", after), "known");
  EXPECT_EQ(after.item().item_id(), "i3");
  EXPECT_EQ(after.item().state(), v1::ITEM_STATE_ACTIVE);
  EXPECT_FALSE(after.item().created());
  EXPECT_EQ(after.user_count(), before.user_count() + 2);
  EXPECT_LE(after.newest_user_count(), after.user_count());
  EXPECT_EQ(after.total_count(), before.total_count() + 3);
  EXPECT_EQ(after.last_interaction_time().seconds(), 5);
  EXPECT_EQ(after.vector(), v1::ITEM_VECTOR_TRAINED);
  EXPECT_THAT(after.rule_names(), ElementsAre("pins it", "boosts its category"));

  Apply(RemoveItem{
      .event_id = "remove-i3", .item_id = "i3", .item_hash = HashId("i3"), .time_us = 6'000'000});
  v1::GetItemResponse removed;
  ASSERT_EQ(item_of("i3", removed), "known");
  EXPECT_EQ(removed.item().state(), v1::ITEM_STATE_REMOVED);
  EXPECT_EQ(removed.user_count(), 0);
  v1::GetItemResponse unknown;
  EXPECT_EQ(item_of("nothing", unknown), "ITEM_UNKNOWN");
}

TEST_F(RecommendServiceTest, TheCatalogueHasPages) {
  v1::ListItemsRequest request;
  request.set_page_size(3);
  std::vector<std::string> ids;
  do {
    v1::ListItemsResponse response;
    UnaryTestCall call;
    service_.ListItems(call.context(), &request, &response);
    ASSERT_EQ(call.Wait(), grpc::StatusCode::OK);
    for (const v1::CatalogueItem& item : response.items()) ids.push_back(item.item_id());
    request.set_page_token(response.next_page_token());
  } while (!request.page_token().empty());
  EXPECT_THAT(ids, ElementsAre("i0", "i1", "i2", "i3"));
  v1::ListItemsResponse response;
  request.set_page_token(MakePlaceToken(1, 0));
  UnaryTestCall expired;
  service_.ListItems(expired.context(), &request, &response);
  EXPECT_EQ(expired.Wait(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(expired.reason(), "PAGE_TOKEN_EXPIRED");

  v1::ListCategoriesRequest of_categories;
  of_categories.set_page_size(1);
  int64_t items = 0;
  std::string of_others;
  do {
    v1::ListCategoriesResponse page;
    UnaryTestCall call;
    service_.ListCategories(call.context(), &of_categories, &page);
    ASSERT_EQ(call.Wait(), grpc::StatusCode::OK);
    ASSERT_EQ(page.categories_size(), 1);
    items += page.categories(0).item_count();
    if (!page.next_page_token().empty()) of_others = page.next_page_token();
    of_categories.set_page_token(page.next_page_token());
  } while (!of_categories.page_token().empty());
  EXPECT_EQ(items, 4);
  request.clear_page_size();
  request.set_page_token(of_others);
  UnaryTestCall other;
  service_.ListItems(other.context(), &request, &response);
  EXPECT_EQ(other.Wait(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(other.reason(), "PAGE_TOKEN_EXPIRED");
}

TEST_F(RecommendServiceTest, EveryMethodRefusesAnotherNamespace) {
  const auto refuses = [&](auto method, auto request, auto response) {
    request.set_namespace_("another");
    UnaryTestCall call;
    (service_.*method)(call.context(), &request, &response);
    return call.Wait() == grpc::StatusCode::NOT_FOUND && call.reason() == "NAMESPACE_UNKNOWN";
  };
  EXPECT_TRUE(refuses(&RecommendService::Recommend, RequestOf("eve"), v1::RecommendResponse()));
  v1::RankRequest rank;
  rank.set_user_id("eve");
  rank.add_item_ids("i0");
  EXPECT_TRUE(refuses(&RecommendService::Rank, rank, v1::RankResponse()));
  v1::SimilarItemsRequest similar;
  similar.set_item_id("i0");
  EXPECT_TRUE(refuses(&RecommendService::SimilarItems, similar, v1::SimilarItemsResponse()));
  v1::GetUserStateRequest user;
  user.set_user_id("eve");
  EXPECT_TRUE(refuses(&RecommendService::GetUserState, user, v1::GetUserStateResponse()));
  v1::GetItemRequest item;
  item.set_item_id("i0");
  EXPECT_TRUE(refuses(&RecommendService::GetItem, item, v1::GetItemResponse()));
  EXPECT_TRUE(
      refuses(&RecommendService::ListItems, v1::ListItemsRequest(), v1::ListItemsResponse()));
  EXPECT_TRUE(refuses(&RecommendService::ListCategories, v1::ListCategoriesRequest(),
                      v1::ListCategoriesResponse()));
}

}  // namespace
}  // namespace groundswell
