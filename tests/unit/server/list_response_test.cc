#include "server/recommend/list_response.h"

#include <gmock/gmock.h>

#include <memory>
#include <set>
#include <string>

namespace groundswell {
namespace {

using std::chrono::nanoseconds;
using testing::ElementsAre;

// Three items, of which a page shows those from the second one on.
class ListResponseTest : public testing::Test {
 protected:
  ListResponseTest() {
    auto catalogue = std::make_shared<Catalogue>(10);
    catalogue->Add("i0", "Item 0", "mugs");
    catalogue->Add("i1", "Item 1", "bags");
    catalogue->Add("i2", "Item 2", "mugs");
    catalogue->FinishLoading();
    catalogue_ = catalogue;
    list_.catalogue = std::move(catalogue);
    list_.items = {{ItemIndex{2}, 0.75f, kFromTrending | kFromPopular},
                   {ItemIndex{0}, 0.5f, kFromEmbedding},
                   {ItemIndex{1}, 0.25f, kFromRequest}};
    list_.snapshot_version = "tiny@1";
    list_.ranker = "inner";
    list_.applied_offset = 7;
    list_.newest_event_time_us = 1'500'000;
    list_.degradations = {DegradedStep::kStaleState, DegradedStep::kDiversitySkipped};
  }

  void Explain() {
    list_.item_cluster_categories =
        std::make_shared<const ItemClusterCategories>(ItemClusterCategories{{}, {"bags", "mugs"}});
    list_.explanations =
        Explanations{.of_item = {{},
                                 {{.cause = {Cause::Kind::kPastItem, 1}, .contribution = 2},
                                  {.cause = {Cause::Kind::kItemCluster, 1}, .contribution = -1},
                                  {.cause = {Cause::Kind::kUserCluster, 4}, .contribution = 0.5f}}},
                     .causes = 9,
                     .causes_tried = 3};
  }

  Page SecondPage() const {
    return {.recommendation_id = "list",
            .list = std::make_shared<const RankedList>(list_),
            .begin = 1,
            .end = 3,
            .next_page_token = "more"};
  }

  Present Now() const { return {.catalogue = *catalogue_, .now_us = 1'000}; }

  std::shared_ptr<Catalogue> catalogue_;
  RankedList list_;
};

TEST_F(ListResponseTest, APageHasItsItemsAndWhatItsListSaysOfItself) {
  list_.fallback = Fallback::kUserNotScored;
  v1::RecommendResponse response;
  WritePage(SecondPage(), Now(), response);
  EXPECT_EQ(response.recommendation_id(), "list");
  EXPECT_EQ(response.next_page_token(), "more");
  ASSERT_EQ(response.items_size(), 2);
  EXPECT_EQ(response.items(0).item_id(), "i0");
  EXPECT_EQ(response.items(0).title(), "Item 0");
  EXPECT_EQ(response.items(0).category(), "mugs");
  EXPECT_EQ(response.items(0).score(), 0.5f);
  EXPECT_THAT(response.items(0).sources(), ElementsAre(v1::CANDIDATE_SOURCE_EMBEDDING));
  EXPECT_EQ(response.items(1).item_id(), "i1");
  EXPECT_EQ(response.snapshot_version(), "tiny@1");
  EXPECT_EQ(response.ranker(), "inner");
  EXPECT_EQ(response.freshness().applied_offset(), 7);
  EXPECT_EQ(response.freshness().newest_event_time().seconds(), 1);
  EXPECT_EQ(response.freshness().newest_event_time().nanos(), 500'000'000);
  EXPECT_THAT(response.degradations(),
              ElementsAre(v1::DEGRADATION_STALE_STATE, v1::DEGRADATION_DIVERSITY_SKIPPED));
  EXPECT_EQ(response.fallback_reason(), v1::FALLBACK_REASON_USER_NOT_SCORED);
  EXPECT_FALSE(response.has_explanation_causes());
}

TEST_F(ListResponseTest, ExplanationsStayWithTheirItemsOnEveryPage) {
  Explain();
  v1::RecommendResponse response;
  WritePage(SecondPage(), Now(), response);
  ASSERT_EQ(response.items(0).explanations_size(), 3);
  const v1::Explanation& past = response.items(0).explanations(0);
  EXPECT_EQ(past.contribution(), 2);
  EXPECT_EQ(past.past_item().item_id(), "i1");
  EXPECT_EQ(past.past_item().title(), "Item 1");
  EXPECT_EQ(response.items(0).explanations(1).item_node().number(), 1);
  EXPECT_THAT(response.items(0).explanations(1).item_node().categories(),
              ElementsAre("bags", "mugs"));
  EXPECT_EQ(response.items(0).explanations(2).user_node().number(), 4);
  EXPECT_EQ(response.items(1).explanations_size(), 0) << "only the first items are explained";
  EXPECT_EQ(response.explanation_causes().known(), 9);
  EXPECT_EQ(response.explanation_causes().tried(), 3);
}

TEST_F(ListResponseTest, WhatWasRemovedSinceIsNeitherAnsweredNorACause) {
  Explain();
  catalogue_->Remove(ItemIndex{1});
  v1::RecommendResponse response;
  WritePage(SecondPage(), Now(), response);
  ASSERT_EQ(response.items_size(), 1);
  EXPECT_EQ(response.items(0).item_id(), "i0");
  EXPECT_EQ(response.items(0).explanations_size(), 2);
  EXPECT_FALSE(response.items(0).explanations(0).has_past_item());
  EXPECT_EQ(response.next_page_token(), "more") << "the pages behind it are where they were";
}

TEST_F(ListResponseTest, AnItemWhoseTimeIsOverIsLeftOut) {
  catalogue_->SetAvailability(ItemIndex{0}, {.from_us = 0, .until_us = 1'000});
  v1::SimilarItemsResponse response;
  WritePage(SecondPage(), Now(), response);
  ASSERT_EQ(response.items_size(), 1);
  EXPECT_EQ(response.items(0).item_id(), "i1");
}

TEST_F(ListResponseTest, AListOfAnotherSnapshotShowsWhatTheServedOneSaysOfItsItems) {
  Catalogue served(10);
  served.Add("i1", "Item 1, renamed", "boxes");
  served.FinishLoading();
  v1::RecommendResponse response;
  WritePage(SecondPage(), {.catalogue = served, .now_us = 1'000}, response);
  ASSERT_EQ(response.items_size(), 1) << "i0 is not in it";
  EXPECT_EQ(response.items(0).item_id(), "i1");
  EXPECT_EQ(response.items(0).title(), "Item 1, renamed");
  EXPECT_EQ(response.items(0).category(), "boxes");
  EXPECT_EQ(response.items(0).score(), 0.25f);
}

TEST_F(ListResponseTest, ARankingIsTheWholeList) {
  v1::RankResponse response;
  WriteRanking(list_, response);
  ASSERT_EQ(response.items_size(), 3);
  EXPECT_EQ(response.items(0).item_id(), "i2");
  EXPECT_THAT(response.items(0).sources(),
              ElementsAre(v1::CANDIDATE_SOURCE_POPULAR, v1::CANDIDATE_SOURCE_TRENDING));
  EXPECT_EQ(response.ranker(), "inner");
  EXPECT_EQ(response.freshness().applied_offset(), 7);
  EXPECT_EQ(response.degradations_size(), 2);
}

TEST_F(ListResponseTest, SimilarItemsSayWhichSnapshotTheyAreOf) {
  v1::SimilarItemsResponse response;
  WritePage(SecondPage(), Now(), response);
  ASSERT_EQ(response.items_size(), 2);
  EXPECT_EQ(response.items(1).item_id(), "i1");
  EXPECT_EQ(response.next_page_token(), "more");
  EXPECT_EQ(response.snapshot_version(), "tiny@1");
}

TEST(ToApiTest, EveryStepAndReasonHasItsOwnNameInTheApi) {
  std::set<v1::Degradation> steps;
  for (int step = 0; step < static_cast<int>(DegradedStep::kCount); ++step) {
    steps.insert(ToApi(static_cast<DegradedStep>(step)));
  }
  EXPECT_EQ(steps.size(), static_cast<size_t>(DegradedStep::kCount));
  EXPECT_FALSE(steps.contains(v1::DEGRADATION_UNSPECIFIED));
  std::set<v1::FallbackReason> reasons;
  for (int reason = 0; reason < static_cast<int>(Fallback::kCount); ++reason) {
    reasons.insert(ToApi(static_cast<Fallback>(reason)));
  }
  EXPECT_EQ(reasons.size(), static_cast<size_t>(Fallback::kCount));
  EXPECT_FALSE(reasons.contains(v1::FALLBACK_REASON_UNSPECIFIED));
  EXPECT_EQ(ToApi(std::nullopt), v1::FALLBACK_REASON_UNSPECIFIED);
}

TEST(WriteTimingsTest, StagesAreInTheirOwnFields) {
  v1::StageTimings timings;
  WriteTimings(nanoseconds(1),
               {.user_state = nanoseconds(2),
                .retrieval = nanoseconds(3),
                .rank = nanoseconds(4),
                .explain = nanoseconds(5),
                .arrange = nanoseconds(6)},
               std::chrono::seconds(7), timings);
  EXPECT_EQ(timings.queue().nanos(), 1);
  EXPECT_EQ(timings.user_state().nanos(), 2);
  EXPECT_EQ(timings.retrieval().nanos(), 3);
  EXPECT_EQ(timings.rank().nanos(), 4);
  EXPECT_EQ(timings.explain().nanos(), 5);
  EXPECT_EQ(timings.arrange().nanos(), 6);
  EXPECT_EQ(timings.total().seconds(), 7);
}

}  // namespace
}  // namespace groundswell
