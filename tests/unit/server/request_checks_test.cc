#include <gtest/gtest.h>

#include <limits>

#include "server/recommend/recommend_checks.h"
#include "server/rpc/event_checks.h"
#include "server/rpc/field_checks.h"

namespace groundswell {
namespace {

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

constexpr int64_t kNowUs = 1'700'000'000'000'000;

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
                                   {{"view", 1}, {"return", -1}}, catalogue_, kNowUs);
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
  EXPECT_EQ((*events)[0].event_time_us, kNowUs);
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
  ExpectRefused({"hypothetical_events[1].event_time is \"1800000000.", "one day after"});
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

}  // namespace
}  // namespace groundswell
