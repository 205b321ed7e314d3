#include <gmock/gmock.h>

#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "server/recommend/recommend_checks.h"
#include "server/rpc/event_checks.h"
#include "server/rpc/field_checks.h"
#include "server/rpc/status_details.h"
#include "tests/unit/server/live_tiny.h"

namespace groundswell {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(RequestChecksTest, ExplainedItemsAreNoneByDefaultAndTenAtMost) {
  EXPECT_EQ(*CheckExplainItems(0), 0u);
  EXPECT_EQ(*CheckExplainItems(1), 1u);
  EXPECT_EQ(*CheckExplainItems(10), 10u);
  EXPECT_EQ(*CheckExplainItems(11), 10u);
  EXPECT_EQ(*CheckExplainItems(std::numeric_limits<int32_t>::max()), 10u);
}

TEST(RequestChecksTest, ANegativeNumberOfExplainedItemsIsRefusedByName) {
  for (const int32_t value : {-1, std::numeric_limits<int32_t>::min()}) {
    const absl::Status status = CheckExplainItems(value).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    for (const std::string& part : {std::string("explain_items"), std::to_string(value),
                                    std::string("must be 1 to 10, or 0 for none")}) {
      EXPECT_NE(std::string(status.message()).find(part), std::string::npos) << status;
    }
  }
}

TEST(RequestChecksTest, SourcesAreThoseThatProposeEachOnce) {
  v1::RecommendRequest request;
  EXPECT_EQ(*CheckOnlySources(request.only_sources()), 0u);
  request.add_only_sources(v1::CANDIDATE_SOURCE_TRENDING);
  request.add_only_sources(v1::CANDIDATE_SOURCE_RANDOM_WALK);
  request.add_only_sources(v1::CANDIDATE_SOURCE_HISTORY);
  EXPECT_EQ(*CheckOnlySources(request.only_sources()),
            uint32_t{kFromTrending | kFromWalk | kFromHistory});
  for (const int bad :
       {int{v1::CANDIDATE_SOURCE_TRENDING}, int{v1::CANDIDATE_SOURCE_REQUEST},
        int{v1::CANDIDATE_SOURCE_PINNED}, int{v1::CANDIDATE_SOURCE_UNSPECIFIED}, 99}) {
    v1::RecommendRequest refused = request;
    refused.mutable_only_sources()->Add(bad);
    const auto checked = CheckOnlySources(refused.only_sources());
    EXPECT_EQ(checked.status().code(), absl::StatusCode::kInvalidArgument) << bad;
  }
}

TEST(RequestChecksTest, DiversityIsAShareAndANumberOfItems) {
  v1::ListDiversity diversity;
  EXPECT_EQ(CheckDiversity(diversity)->strength, 0);
  diversity.set_strength(1);
  diversity.set_category_max(3);
  EXPECT_EQ(CheckDiversity(diversity)->strength, 1);
  EXPECT_EQ(CheckDiversity(diversity)->category_max, 3u);
  for (const double bad : {-0.1, 1.1, std::numeric_limits<double>::quiet_NaN()}) {
    v1::ListDiversity refused = diversity;
    refused.set_strength(bad);
    const absl::Status status = CheckDiversity(refused).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << bad;
    EXPECT_NE(std::string(status.message()).find("diversity.strength"), std::string::npos);
  }
  diversity.set_category_max(-1);
  EXPECT_EQ(CheckDiversity(diversity).status().code(), absl::StatusCode::kInvalidArgument);
}

constexpr int64_t kRequestNowUs = 1'700'000'000'000'000;

class HypotheticalEventsTest : public testing::Test {
 protected:
  HypotheticalEventsTest() {
    catalogue_.Add("i1", "Item 1", "mugs");
    catalogue_.FinishLoading();
  }

  v1::HypotheticalEvent& Add(const std::string& item) {
    v1::HypotheticalEvent& event = *request_.add_hypothetical_events();
    event.set_item_id(item);
    event.set_event_type("view");
    return event;
  }
  absl::StatusOr<std::vector<Interaction>> Check() const {
    return CheckHypotheticalEvents(request_.hypothetical_events(), "u1",
                                   {.types = {{"view", 1}, {"return", -1}}}, catalogue_,
                                   kRequestNowUs);
  }
  void ExpectRefused(const std::vector<std::string>& parts) const {
    const absl::Status status = Check().status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    for (const std::string& part : parts) {
      EXPECT_NE(std::string(status.message()).find(part), std::string::npos) << status;
    }
  }

  Catalogue catalogue_{10};
  v1::RecommendRequest request_;
};

TEST_F(HypotheticalEventsTest, HaveTheWeightOfTheirTypeAndHappenNowUnlessTheySayOtherwise) {
  Add("i1");
  Add("i1").set_event_type("return");
  v1::HypotheticalEvent& told = Add("i1");
  told.set_weight(-7);
  told.mutable_event_time()->set_seconds(1'600'000'000);
  const auto events = Check();
  ASSERT_TRUE(events.ok()) << events.status();
  ASSERT_EQ(events->size(), 3u);
  EXPECT_EQ((*events)[0].weight, 1);
  EXPECT_EQ((*events)[0].event_time_us, kRequestNowUs);
  EXPECT_EQ((*events)[0].user_id, "u1");
  EXPECT_EQ((*events)[1].weight, -1);
  EXPECT_EQ((*events)[2].weight, -7);
  EXPECT_EQ((*events)[2].event_time_us, 1'600'000'000'000'000);
}

TEST_F(HypotheticalEventsTest, AreRefusedByNameValueAndRemedy) {
  Add("i1");
  v1::HypotheticalEvent& event = Add("i2");
  ExpectRefused({"hypothetical_events[1].item_id is \"i2\"", "must be in the catalogue"});
  event.set_item_id("");
  ExpectRefused({"hypothetical_events[1].item_id", "must be 1 to 256 bytes"});
  event.set_item_id("i1");
  event.set_event_type("stare");
  ExpectRefused({"hypothetical_events[1].event_type is \"stare\"", "return, view"});
  event.set_event_type("view");
  for (const int32_t weight : {0, 1'000'001, -1'000'001}) {
    event.set_weight(weight);
    ExpectRefused({"hypothetical_events[1].weight is \"" + std::to_string(weight), "and not 0"});
  }
  event.set_weight(1);
  event.mutable_event_time()->set_seconds(1'800'000'000);
  ExpectRefused(
      {"hypothetical_events[1].event_time is \"1800000000.", "600 s after the server's clock"});
}

TEST_F(HypotheticalEventsTest, AreAHundredAtMost) {
  for (int i = 0; i < 100; ++i) Add("i1");
  EXPECT_TRUE(Check().ok());
  Add("i1");
  ExpectRefused({"hypothetical_events is \"101\"", "at most 100"});
}

TEST(RequestChecksTest, OnlyASessionWithEventsMayBeAnonymous) {
  EXPECT_TRUE(CheckUser("u1", false).ok());
  EXPECT_TRUE(CheckUser("", true).ok());
  EXPECT_EQ(CheckUser("", false).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(CheckUser(std::string(257, 'u'), true).code(), absl::StatusCode::kInvalidArgument);
}

// Whole requests, on the tiny snapshot.
class WholeRequestTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { tiny_ = new LiveTiny; }
  static void TearDownTestSuite() { delete tiny_; }

  static v1::RecommendRequest RecommendRequest() {
    v1::RecommendRequest request;
    request.set_user_id("ann");
    return request;
  }
  static v1::RankRequest RankRequest(const std::vector<std::string>& item_ids) {
    v1::RankRequest request;
    request.set_user_id("ann");
    for (const std::string& id : item_ids) request.add_item_ids(id);
    return request;
  }
  static v1::SimilarItemsRequest SimilarItemsRequest(const std::string& item_id) {
    v1::SimilarItemsRequest request;
    request.set_item_id(item_id);
    return request;
  }
  static v1::GetUserStateRequest GetUserStateRequest() {
    v1::GetUserStateRequest request;
    request.set_user_id("ann");
    return request;
  }

  static auto Check(const v1::RecommendRequest& request) {
    return CheckRecommend(request, tiny_->state(), terms_);
  }
  static auto Check(const v1::RankRequest& request) {
    return CheckRank(request, tiny_->state(), terms_);
  }
  static auto Check(const v1::SimilarItemsRequest& request) {
    return CheckSimilarItems(request, tiny_->state(), terms_);
  }
  static auto Check(const v1::GetUserStateRequest& request) {
    return CheckGetUserState(request, terms_);
  }

  template <typename Request>
  static void ExpectRefused(Request request, const std::string& what,
                            const std::function<void(Request&)>& spoil) {
    ASSERT_TRUE(Check(request).ok()) << Check(request).status();
    spoil(request);
    EXPECT_THAT(std::string(Check(request).status().message()), HasSubstr(what));
  }
  // What all have.
  template <typename Request>
  static void ExpectCommonFieldsChecked(const Request& request) {
    ExpectRefused<Request>(request, "namespace \"other\" is not known",
                           [](auto& spoiled) { spoiled.set_namespace_("other"); });
    ExpectRefused<Request>(request, "request_id is \"7\"",
                           [](auto& spoiled) { spoiled.set_request_id("7"); });
  }

  static inline LiveTiny* tiny_ = nullptr;
  static inline const RequestTerms terms_{.name_space = "default",
                                          .events = {.types = {{"view", 1}}},
                                          .now_us = [] { return kRequestNowUs; },
                                          .shares = *RankerShares::Parse("", "")};
};

TEST_F(WholeRequestTest, ARecommendationBecomesWhatItAsks) {
  v1::RecommendRequest request = RecommendRequest();
  request.add_hypothetical_events()->set_item_id("i2");
  request.mutable_hypothetical_events(0)->set_event_type("view");
  request.mutable_filter()->add_categories("c1");
  request.mutable_filter()->add_excluded_item_ids("i3");
  request.mutable_filter()->add_excluded_item_ids("i1");
  request.mutable_filter()->add_excluded_item_ids("gone");
  request.mutable_filter()->set_include_seen(true);
  request.set_page_size(1'000);
  request.set_explain_items(3);
  request.add_only_sources(v1::CANDIDATE_SOURCE_POPULAR);
  request.mutable_diversity()->set_category_max(2);
  request.set_skip_ranking(true);
  const auto query = Check(request);
  ASSERT_TRUE(query.ok()) << query.status();
  EXPECT_EQ(query->user_id, "ann");
  ASSERT_EQ(query->hypothetical_events.size(), 1u);
  EXPECT_EQ(query->hypothetical_events[0].event_time_us, kRequestNowUs);
  EXPECT_EQ(query->rules.categories.size(), 1u);
  EXPECT_THAT(query->rules.excluded, ElementsAre(ItemIndex{1}, ItemIndex{3}));
  EXPECT_TRUE(query->rules.include_seen);
  EXPECT_EQ(query->rules.now_us, kRequestNowUs);
  EXPECT_EQ(query->page_size, 100u);
  EXPECT_EQ(query->explain_items, 3u);
  EXPECT_EQ(query->only_sources, uint32_t{kFromPopular});
  EXPECT_EQ(query->diversity.category_max, 2u);
  EXPECT_TRUE(query->skip_ranking);
  EXPECT_EQ(query->ranker, tiny_->state().snapshot->FindRanker("inner"));
}

TEST_F(WholeRequestTest, ARecommendationIsRefusedForAnyOfItsFields) {
  using Request = v1::RecommendRequest;
  const std::vector<std::pair<std::string, std::function<void(Request&)>>> spoilt = {
      {"user_id is", [](Request& r) { r.clear_user_id(); }},
      {"hypothetical_events[0].item_id", [](Request& r) { r.add_hypothetical_events(); }},
      {"page_size is \"-1\"", [](Request& r) { r.set_page_size(-1); }},
      {"filter.categories", [](Request& r) { r.mutable_filter()->add_categories("none"); }},
      {"filter.excluded_item_ids",
       [](Request& r) { r.mutable_filter()->add_excluded_item_ids(""); }},
      {"ranker \"other\" is not known", [](Request& r) { r.set_ranker("other"); }},
      {"explain_items", [](Request& r) { r.set_explain_items(-1); }},
      {"only_sources", [](Request& r) { r.mutable_only_sources()->Add(99); }},
      {"diversity.strength", [](Request& r) { r.mutable_diversity()->set_strength(2); }}};
  for (const auto& [what, spoil] : spoilt) {
    ExpectRefused<Request>(RecommendRequest(), what, spoil);
    Request next_page = RecommendRequest();
    next_page.set_page_token("of a page");
    ExpectRefused<Request>(next_page, what, spoil);
  }
}

TEST_F(WholeRequestTest, EveryRequestNamesAServedNamespaceAndAUuid) {
  ExpectCommonFieldsChecked(RecommendRequest());
  ExpectCommonFieldsChecked(RankRequest({"i0"}));
  ExpectCommonFieldsChecked(SimilarItemsRequest("i0"));
  ExpectCommonFieldsChecked(GetUserStateRequest());
}

TEST_F(WholeRequestTest, ATraceIsOfARecommendationAndOfItemsThatNeedNotBeThere) {
  v1::TraceRecommendRequest request;
  *request.mutable_recommend() = RecommendRequest();
  request.add_item_ids("i2");
  request.add_item_ids("nothing");
  const auto check = [](const v1::TraceRecommendRequest& trace) {
    return CheckTraceRecommend(trace, tiny_->state(), terms_);
  };
  const auto trace = check(request);
  ASSERT_TRUE(trace.ok()) << trace.status();
  EXPECT_EQ(trace->query.user_id, "ann");
  ASSERT_EQ(trace->items.size(), 2u);
  EXPECT_EQ(trace->items[0].item, ItemIndex{2});
  EXPECT_EQ(trace->items[1].id, "nothing");
  EXPECT_FALSE(trace->items[1].item.has_value());
  const std::vector<std::pair<std::string, std::function<void(v1::TraceRecommendRequest&)>>>
      spoilt = {
          {"item_ids is \"0\": must hold 1 to 100 items", [](auto& r) { r.clear_item_ids(); }},
          {"item_ids is \"i2\"", [](auto& r) { r.add_item_ids("i2"); }},
          {"recommend.page_token", [](auto& r) { r.mutable_recommend()->set_page_token("x"); }},
          {"recommend.user_id is", [](auto& r) { r.clear_recommend(); }},
          {"recommend.page_size is", [](auto& r) { r.mutable_recommend()->set_page_size(-1); }},
          {"namespace \"other\"", [](auto& r) { r.mutable_recommend()->set_namespace_("other"); }}};
  for (const auto& [what, spoil] : spoilt) {
    v1::TraceRecommendRequest wrong = request;
    spoil(wrong);
    EXPECT_THAT(std::string(check(wrong).status().message()), HasSubstr(what));
  }
}

TEST_F(WholeRequestTest, AListingIsOfACategoryAndASearchThatIsNotTooLong) {
  v1::ListItemsRequest request;
  request.set_query(std::string(256, 'x'));
  request.set_category("c1");
  const auto check = [](const v1::ListItemsRequest& listing) {
    return CheckListItems(listing, tiny_->state(), terms_);
  };
  const auto listing = check(request);
  ASSERT_TRUE(listing.ok()) << listing.status();
  EXPECT_EQ(listing->category, tiny_->state().catalogue->FindCategory("c1"));
  EXPECT_EQ(listing->page_size, 20u);
  const std::vector<std::pair<std::string, std::function<void(v1::ListItemsRequest&)>>> spoilt = {
      {"query is \"257 bytes\"", [](auto& r) { r.set_query(std::string(257, 'x')); }},
      {"category is \"none\"", [](auto& r) { r.set_category("none"); }},
      {"page_size is \"-1\"", [](auto& r) { r.set_page_size(-1); }},
      {"request_id is \"7\"", [](auto& r) { r.set_request_id("7"); }}};
  for (const auto& [what, spoil] : spoilt) {
    v1::ListItemsRequest wrong = request;
    spoil(wrong);
    EXPECT_THAT(std::string(check(wrong).status().message()), HasSubstr(what));
  }
}

TEST_F(WholeRequestTest, SimilarityIsOneOfThoseThatThereAre) {
  v1::SimilarItemsRequest request = SimilarItemsRequest("i0");
  EXPECT_EQ(Check(request)->similarity, Similarity::kInnerProduct);
  request.set_similarity(v1::SIMILARITY_COSINE);
  EXPECT_EQ(Check(request)->similarity, Similarity::kCosine);
  ExpectRefused<v1::SimilarItemsRequest>(request, "similarity is \"9\"", [](auto& wrong) {
    wrong.set_similarity(static_cast<v1::Similarity>(9));
  });
}

TEST_F(WholeRequestTest, WhoNamesNoRankerGetsTheOneOfTheirShare) {
  RequestTerms terms = terms_;
  terms.shares = *RankerShares::Parse("elsewhere=100", "autumn");
  const auto check = [&](const v1::RecommendRequest& request) {
    return CheckRecommend(request, tiny_->state(), terms);
  };
  EXPECT_THAT(std::string(check(RecommendRequest()).status().message()),
              HasSubstr("ranker \"elsewhere\" is not known: the snapshot has \"inner\""));
  v1::RecommendRequest named = RecommendRequest();
  named.set_ranker("inner");
  EXPECT_TRUE(check(named).ok());
}

TEST_F(WholeRequestTest, ItemsToRankAreNamedOnceAndThoseUnknownSetAside) {
  const auto rank = Check(RankRequest({"i2", "gone", "i0", "away"}));
  ASSERT_TRUE(rank.ok()) << rank.status();
  EXPECT_THAT(rank->items, ElementsAre(ItemIndex{2}, ItemIndex{0}));
  EXPECT_THAT(rank->unknown_item_ids, ElementsAre("gone", "away"));
  EXPECT_EQ(rank->query.user_id, "ann");
  EXPECT_EQ(rank->query.ranker->name(), "inner");
  using Request = v1::RankRequest;
  const std::vector<std::pair<std::string, std::function<void(Request&)>>> spoilt = {
      {"user_id is", [](Request& r) { r.clear_user_id(); }},
      {"item_ids is \"0\"", [](Request& r) { r.clear_item_ids(); }},
      {"item_ids is \"1001\"",
       [](Request& r) {
         for (int i = 0; i < 1'000; ++i) r.add_item_ids("x" + std::to_string(i));
       }},
      {"item_ids is \"i0\": must not be repeated", [](Request& r) { r.add_item_ids("i0"); }},
      {"item_ids is \"\"", [](Request& r) { r.add_item_ids(""); }},
      {"ranker \"other\" is not known", [](Request& r) { r.set_ranker("other"); }},
      {"explain_items", [](Request& r) { r.set_explain_items(-1); }}};
  for (const auto& [what, spoil] : spoilt) ExpectRefused<Request>(RankRequest({"i0"}), what, spoil);
}

TEST_F(WholeRequestTest, WithoutModelsOnlyRankingIsRefused) {
  LiveTiny without_models(/*ranker=*/"");
  const auto query = CheckRecommend(RecommendRequest(), without_models.state(), terms_);
  ASSERT_TRUE(query.ok()) << query.status();
  EXPECT_EQ(query->ranker, nullptr);
  const absl::Status refused =
      CheckRank(RankRequest({"i0"}), without_models.state(), terms_).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReasonOf(refused), "RANKER_MISSING");
}

TEST_F(WholeRequestTest, ABatchHoldsOneToAHundred) {
  v1::BatchRecommendRequest batch;
  EXPECT_THAT(std::string(CheckBatchRecommend(batch).message()), HasSubstr("requests is \"0\""));
  for (int i = 0; i < 100; ++i) batch.add_requests();
  EXPECT_TRUE(CheckBatchRecommend(batch).ok());
  batch.add_requests();
  EXPECT_THAT(std::string(CheckBatchRecommend(batch).message()), HasSubstr("must hold 1 to 100"));
}

TEST_F(WholeRequestTest, SimilarItemsAreThoseOfAKnownItem) {
  v1::SimilarItemsRequest request = SimilarItemsRequest("i3");
  request.mutable_filter()->add_excluded_item_ids("i2");
  const auto query = Check(request);
  ASSERT_TRUE(query.ok()) << query.status();
  EXPECT_EQ(query->item, ItemIndex{3});
  EXPECT_THAT(query->rules.excluded, ElementsAre(ItemIndex{2}));
  EXPECT_EQ(query->page_size, 20u);
  EXPECT_EQ(ReasonOf(Check(SimilarItemsRequest("gone")).status()), "ITEM_UNKNOWN");
  EXPECT_EQ(ReasonOf(Check(SimilarItemsRequest("")).status()), "INVALID_FIELD");
}

TEST_F(WholeRequestTest, AUsersStateShowsTwentyItemsUnlessTold) {
  v1::GetUserStateRequest request = GetUserStateRequest();
  EXPECT_EQ(Check(request)->recent_items, 20u);
  EXPECT_EQ(Check(request)->user_id, "ann");
  request.set_recent_limit(1'000);
  EXPECT_EQ(Check(request)->recent_items, 1'000u);
  for (const int32_t limit : {-1, 1'001}) {
    ExpectRefused<v1::GetUserStateRequest>(GetUserStateRequest(),
                                           "recent_limit is \"" + std::to_string(limit) + "\"",
                                           [&](auto& spoiled) { spoiled.set_recent_limit(limit); });
  }
  ExpectRefused<v1::GetUserStateRequest>(GetUserStateRequest(), "user_id is",
                                         [](auto& spoiled) { spoiled.clear_user_id(); });
}

}  // namespace
}  // namespace groundswell
