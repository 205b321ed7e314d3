#include "index/walks/random_walk_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "tests/unit/index/items_of.h"

namespace groundswell {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr int64_t kDay = int64_t{86'400} * 1'000'000;

// Twenty users around each of three items, who take it twice, and one to four others once.
class RandomWalkSourceTest : public testing::Test {
 protected:
  RandomWalkSourceTest() : adjacency_(4'096) {
    for (uint32_t user = 0; user < 60; ++user) {
      Take(user, user % 3);
      for (uint32_t i = 0; i <= user % 4; ++i) Take(user, 10 * (1 + user % 3) + i);
    }
  }

  void Take(uint32_t user, uint32_t item) {
    const uint32_t weight = item < 10 ? 2 : 1;
    const Edge edge{.item = ItemIndex{item}, .count = weight, .last = {.time_us = kDay}};
    adjacency_.Change(
        {.user = UserIndex{user}, .item = edge.item, .before = {}, .after = {&edge, 1}});
  }
  std::vector<Candidate> Retrieve(const std::vector<RecentItem>& recent, size_t count,
                                  const ItemFilter& filter = ItemFilter()) {
    const RandomWalkSource source(adjacency_, {.walk = {.steps = 4'000, .recency_bias = 1},
                                               .starts_max = 2,
                                               .half_life = std::chrono::hours(24),
                                               .on_walk = [this](const WalkSummary& summary) {
                                                 summaries_.push_back(summary);
                                               }});
    RandomWalkSource::Scratch scratch;
    return source.Retrieve(
        {.vector = {}, .filter = filter, .count = count, .recent = recent, .seed = 3}, scratch);
  }

  InteractionAdjacency adjacency_;
  std::vector<WalkSummary> summaries_;
};

TEST_F(RandomWalkSourceTest, GivesWhatTheUsersOfTheItemTookToo) {
  const auto found = Retrieve({{.item = ItemIndex{1}, .time_us = kDay, .weight = 1}}, 100);
  // Users 1, 4, 7, ...: the first of the four is taken by all, the last by a quarter.
  EXPECT_THAT(ItemsOf(found), ElementsAre(1, 20, 21, 22, 23));
  EXPECT_TRUE(std::ranges::is_sorted(found, std::greater(), &Candidate::score));
  for (const Candidate& candidate : found) EXPECT_EQ(candidate.sources, kFromWalk);
  ASSERT_EQ(summaries_.size(), 1u);
  EXPECT_EQ(summaries_[0].steps, 4'000u);
}

TEST_F(RandomWalkSourceTest, GivesNoMoreThanAskedForTheBestOnes) {
  EXPECT_THAT(ItemsOf(Retrieve({{.item = ItemIndex{1}, .time_us = kDay, .weight = 1}}, 2)),
              ElementsAre(1, 20));
  EXPECT_THAT(Retrieve({{.item = ItemIndex{1}, .time_us = kDay, .weight = 1}}, 0), IsEmpty());
}

TEST_F(RandomWalkSourceTest, GivesOnlyAdmittedItemsAndFillsUpWithTheNext) {
  const std::vector<ItemIndex> excluded = {ItemIndex{1}, ItemIndex{21}};
  ItemFilter filter;
  filter.Exclude(excluded);
  EXPECT_THAT(ItemsOf(Retrieve({{.item = ItemIndex{1}, .time_us = kDay, .weight = 1}}, 2, filter)),
              ElementsAre(20, 22));
}

TEST_F(RandomWalkSourceTest, GivesNothingWithoutRecentItems) {
  EXPECT_THAT(Retrieve({}, 10), IsEmpty());
}

TEST_F(RandomWalkSourceTest, StartsFromTheNewestItemsOnly) {
  const auto found = Retrieve({{.item = ItemIndex{1}, .time_us = 3 * kDay, .weight = 1},
                               {.item = ItemIndex{2}, .time_us = 2 * kDay, .weight = 1},
                               {.item = ItemIndex{0}, .time_us = 1 * kDay, .weight = 1}},
                              100);
  const std::vector<uint32_t> items = ItemsOf(found);
  EXPECT_TRUE(std::ranges::find(items, 30u) != items.end());
  EXPECT_TRUE(std::ranges::find(items, 10u) == items.end());
}

// The same degrees: as many steps as the weights say.
TEST_F(RandomWalkSourceTest, StartsHaveStepsByTheirWeightAndHalfLife) {
  const auto share_of_second = [&](int64_t days, Count weight) {
    double first = 0;
    double second = 0;
    for (const Candidate& candidate :
         Retrieve({{.item = ItemIndex{1}, .time_us = 100 * kDay, .weight = 1},
                   {.item = ItemIndex{2}, .time_us = (100 - days) * kDay, .weight = weight}},
                  100)) {
      const uint32_t item = ToInt(candidate.item);
      (item == 1 || item / 10 == 2 ? first : second) += candidate.score;
    }
    return second / (first + second);
  };
  EXPECT_NEAR(share_of_second(0, 1), 1.0 / 2, .01);
  EXPECT_NEAR(share_of_second(1, 1), 1.0 / 3, .01);
  EXPECT_NEAR(share_of_second(3, 1), 1.0 / 9, .01);
  EXPECT_NEAR(share_of_second(0, 3), 3.0 / 4, .01);
  EXPECT_NEAR(share_of_second(0, 1'000), 15.0 / 16, .01);
}

}  // namespace
}  // namespace groundswell
