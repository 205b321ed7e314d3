#include "index/trending_items.h"

#include <gmock/gmock.h>

#include <atomic>
#include <cmath>
#include <map>
#include <random>
#include <thread>

#include "graph/macro_graph.h"

namespace groundswell {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr int64_t kSecond = 1'000'000;
constexpr int64_t kBegin = 1'700'000'000 * kSecond;
constexpr double kHalfLifeS = 10;

std::vector<uint32_t> ItemsOf(const std::vector<Candidate>& found) {
  std::vector<uint32_t> items;
  for (const Candidate& candidate : found) items.push_back(ToInt(candidate.item));
  return items;
}

class TrendingItemsTest : public ::testing::Test {
 protected:
  // A user of `node` takes `item` for the first time, so many seconds after the begin.
  void Take(uint32_t item, double seconds, MacroNode node = 0, uint32_t category = 0) {
    const Recency at = At(seconds);
    trending_.Change({.user_cluster = node, .item = ItemIndex{item}, .after = &at}, category);
  }
  void Untake(uint32_t item, double seconds, MacroNode node = 0, uint32_t category = 0) {
    const Recency at = At(seconds);
    trending_.Change({.user_cluster = node, .item = ItemIndex{item}, .before = &at}, category);
  }
  static Recency At(double seconds) {
    return {.time_us = kBegin + static_cast<int64_t>(seconds * kSecond), .offset = 1};
  }
  std::vector<Candidate> All(size_t count = 100) { return trending_.Retrieve({}, {}, count); }

  TrendingItems trending_{kHalfLifeS, 3};
};

TEST_F(TrendingItemsTest, KnowsNothingAtFirst) {
  EXPECT_THAT(All(), IsEmpty());
  EXPECT_THAT(trending_.RetrieveOfUserNode(2, {}, 10), IsEmpty());
}

TEST_F(TrendingItemsTest, AUserOfAHalfLifeAgoCountsHalf) {
  Take(1, 0);
  Take(1, 0);
  Take(1, 0);
  Take(2, 10);
  Take(2, 10);
  const auto found = All();
  ASSERT_THAT(ItemsOf(found), ElementsAre(2, 1));
  EXPECT_FLOAT_EQ(found[0].score, 2);
  EXPECT_FLOAT_EQ(found[1].score, 1.5);
}

TEST_F(TrendingItemsTest, TiesGoByItemAndTheCountIsKept) {
  for (const uint32_t item : {7, 3, 5}) Take(item, 1);
  EXPECT_THAT(ItemsOf(All()), ElementsAre(3, 5, 7));
  EXPECT_THAT(ItemsOf(All(2)), ElementsAre(3, 5));
  EXPECT_THAT(ItemsOf(All(0)), IsEmpty());
}

TEST_F(TrendingItemsTest, AComebackMovesItsUserAndAddsNone) {
  Take(1, 0);
  const Recency before = At(0);
  const Recency after = At(20);
  trending_.Change({.item = ItemIndex{1}, .before = &before, .after = &after}, 0);
  const auto found = All();
  ASSERT_EQ(found.size(), 1u);
  EXPECT_FLOAT_EQ(found[0].score, 1);
}

TEST_F(TrendingItemsTest, WhatIsTakenBackIsGoneFromEveryBoard) {
  Take(1, 0, /*node=*/2, /*category=*/4);
  Take(1, 3, /*node=*/1, /*category=*/4);
  Untake(1, 0, 2, 4);
  EXPECT_FLOAT_EQ(All()[0].score, 1);
  EXPECT_THAT(trending_.RetrieveOfUserNode(2, {}, 10), IsEmpty());
  Untake(1, 3, 1, 4);
  EXPECT_THAT(All(), IsEmpty());
  EXPECT_EQ(trending_.size(), 0u);
}

TEST_F(TrendingItemsTest, CategoriesAndMacroNodesHaveTheirOwnOrder) {
  Take(1, 0, 0, 0);
  Take(1, 0, 0, 0);
  Take(2, 0, 1, 1);
  Take(3, 5, 1, 2);
  const uint32_t two[] = {0, 2, 99};
  EXPECT_THAT(ItemsOf(trending_.Retrieve(two, {}, 10)), ElementsAre(1, 3));
  EXPECT_THAT(ItemsOf(trending_.Retrieve(two, {}, 1)), ElementsAre(1));
  EXPECT_THAT(ItemsOf(trending_.RetrieveOfUserNode(1, {}, 10)), ElementsAre(3, 2));
  EXPECT_EQ(All()[0].sources, uint32_t{kFromTrending});
  EXPECT_EQ(trending_.RetrieveOfUserNode(1, {}, 1)[0].sources, uint32_t{kFromMacroNode});
}

TEST_F(TrendingItemsTest, TheFilterIsAskedBeforeTheCount) {
  for (uint32_t item = 0; item < 4; ++item) Take(item, 1 + item);
  const ItemIndex excluded[] = {ItemIndex{2}, ItemIndex{3}};
  ItemFilter filter;
  filter.Exclude(excluded);
  EXPECT_THAT(ItemsOf(trending_.Retrieve({}, filter, 2)), ElementsAre(1, 0));
}

TEST_F(TrendingItemsTest, AnItemLeavesOnceItsUsersAreTwentyHalfLivesOld) {
  Take(1, 0);
  Take(2, kHalfLifeS * 19.9);
  EXPECT_EQ(All().size(), 2u);
  Take(2, kHalfLifeS * 20.1);
  EXPECT_THAT(ItemsOf(All()), ElementsAre(2));
  // Taking back what was dropped changes nothing, and so does what comes that late.
  Untake(1, 0);
  Take(3, 0);
  EXPECT_THAT(ItemsOf(All()), ElementsAre(2));
}

TEST_F(TrendingItemsTest, ScoresOutliveAnyLengthOfTime) {
  const double step = kHalfLifeS * 400;
  for (int i = 0; i < 20; ++i) Take(static_cast<uint32_t>(i), i * step);
  Take(5, 19 * step - kHalfLifeS);
  const auto found = All();
  ASSERT_THAT(ItemsOf(found), ElementsAre(19, 5));
  EXPECT_NEAR(found[0].score, 1, 1e-6);
  EXPECT_NEAR(found[1].score, .5, 1e-6);
}

// The definition, over all users' edges.
std::map<ItemIndex, double> ScoresOf(const std::vector<UserState>& users, int64_t now_us) {
  std::map<ItemIndex, double> scores;
  for (const UserState& user : users) {
    for (size_t begin = 0; begin < user.edges.size();) {
      const auto edges = user.EdgesTo(user.edges[begin].item);
      const double age_us = static_cast<double>(now_us - edges.back().last.time_us);
      scores[user.edges[begin].item] += std::exp2(-age_us / (kHalfLifeS * kSecond));
      begin += edges.size();
    }
  }
  return scores;
}

TEST_F(TrendingItemsTest, FollowsEveryChangeOfTheGraph) {
  constexpr uint32_t kItems = 30;
  for (const EdgeDetail detail : {EdgeDetail::kPerItem, EdgeDetail::kPerInteraction}) {
    TrendingItems trending(kHalfLifeS, 3);
    MacroGraph graph({.user_clusters = 3, .item_clusters = 2, .recent_len = 4},
                     std::vector<MacroNode>(kItems));
    graph.FinishLoading();
    graph.SetListener([&](const NewestInteractionChange& change) { trending.Change(change, 0); });
    std::mt19937 random(3);
    std::vector<UserState> users(20);
    for (uint32_t i = 0; i < users.size(); ++i)
      users[i] = {.index = UserIndex{i}, .cluster = i % 3};
    int64_t now_us = 0;
    for (int step = 0; step < 3000; ++step) {
      UserState& user = users[random() % users.size()];
      const ItemIndex item{static_cast<uint32_t>(random() % kItems)};
      const Recency when = {
          .time_us = kBegin + (step * 10 + static_cast<int>(random() % 300)) * 1000,
          .offset = step + 1};
      switch (random() % 8) {
        case 0:
          graph.RemoveEdgesTo(user, item);
          break;
        case 1:
          if (!user.edges.empty()) graph.RemoveEdge(user, random() % user.edges.size());
          break;
        case 2:
          if (random() % 20 == 0) {
            graph.RemoveUser(user);
            user.edges.clear();
          }
          break;
        case 3:
          graph.Apply(user, item, -1, when, detail);
          break;
        default:
          graph.Apply(user, item, 1, when, detail);
          now_us = std::max(now_us, when.time_us);
      }
    }
    const auto expected = ScoresOf(users, now_us);
    const auto found = trending.Retrieve({}, {}, kItems);
    EXPECT_EQ(found.size(), expected.size());
    for (const Candidate& candidate : found) {
      EXPECT_NEAR(candidate.score, expected.at(candidate.item), 1e-5 * candidate.score + 1e-6);
    }
    EXPECT_TRUE(std::is_sorted(found.begin(), found.end(),
                               [](const auto& a, const auto& b) { return a.score > b.score; }));
  }
}

TEST_F(TrendingItemsTest, IsReadWhileItChanges) {
  std::atomic<bool> done = false;
  std::thread reader([&] {
    while (!done) {
      const auto found = All();
      EXPECT_TRUE(std::is_sorted(found.begin(), found.end(),
                                 [](const auto& a, const auto& b) { return a.score > b.score; }));
    }
  });
  for (int i = 0; i < 2000; ++i) Take(static_cast<uint32_t>(i * 7 % 50), i * .1);
  done = true;
  reader.join();
  EXPECT_EQ(All().size(), 50u);
}

}  // namespace
}  // namespace groundswell
