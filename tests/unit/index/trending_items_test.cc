#include "index/popular/trending_items.h"

#include <gmock/gmock.h>

#include <atomic>
#include <cmath>
#include <map>
#include <random>
#include <set>
#include <thread>

#include "graph/state/user_state.h"
#include "tests/support/second.h"
#include "tests/unit/index/items_of.h"

namespace groundswell {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr int64_t kTrendBegin = 1'700'000'000 * kSecond;
constexpr double kTrendHalfLifeS = 10;

class TrendingItemsTest : public ::testing::Test {
 protected:
  // A user of `node` takes `item` for the first time, so many seconds after the begin.
  void Take(uint32_t item, double seconds, Cluster node = 0, uint32_t category = 0) {
    const Edge edge = At(seconds);
    Change(item, {}, {&edge, 1}, node, category);
  }
  void Untake(uint32_t item, double seconds, Cluster node = 0, uint32_t category = 0) {
    const Edge edge = At(seconds);
    Change(item, {&edge, 1}, {}, node, category);
  }
  void Change(uint32_t item, std::span<const Edge> before, std::span<const Edge> after,
              Cluster node = 0, uint32_t category = 0) {
    trending_.Change({.item = ItemIndex{item},
                      .cluster_before = node,
                      .cluster_after = node,
                      .before = before,
                      .after = after},
                     category);
  }
  static Edge At(double seconds) {
    return {
        .count = 1,
        .last = {.time_us = kTrendBegin + static_cast<int64_t>(seconds * kSecond), .offset = 1}};
  }
  std::vector<Candidate> All(size_t count = 100) { return trending_.Retrieve({}, {}, count); }

  TrendingItems trending_{kTrendHalfLifeS, 3};
};

TEST_F(TrendingItemsTest, KnowsNothingAtFirst) {
  EXPECT_THAT(All(), IsEmpty());
  EXPECT_THAT(trending_.RetrieveOfCluster(2, {}, 10), IsEmpty());
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
  const Edge before = At(0);
  const Edge after = At(20);
  Change(1, {&before, 1}, {&after, 1});
  const auto found = All();
  ASSERT_EQ(found.size(), 1u);
  EXPECT_FLOAT_EQ(found[0].score, 1);
}

TEST_F(TrendingItemsTest, WhatIsTakenBackIsGoneFromEveryBoard) {
  Take(1, 0, /*node=*/2, /*category=*/4);
  Take(1, 3, /*node=*/1, /*category=*/4);
  Untake(1, 0, 2, 4);
  EXPECT_FLOAT_EQ(All()[0].score, 1);
  EXPECT_THAT(trending_.RetrieveOfCluster(2, {}, 10), IsEmpty());
  Untake(1, 3, 1, 4);
  EXPECT_THAT(All(), IsEmpty());
  const uint32_t category = 4;
  EXPECT_THAT(trending_.Retrieve({&category, 1}, {}, 10), IsEmpty());
  EXPECT_THAT(trending_.RetrieveOfCluster(1, {}, 10), IsEmpty());
}

TEST_F(TrendingItemsTest, CategoriesAndClustersHaveTheirOwnOrder) {
  Take(1, 0, 0, 0);
  Take(1, 0, 0, 0);
  Take(2, 0, 1, 1);
  Take(3, 5, 1, 2);
  const uint32_t two[] = {0, 2, 99};
  EXPECT_THAT(ItemsOf(trending_.Retrieve(two, {}, 10)), ElementsAre(1, 3));
  EXPECT_THAT(ItemsOf(trending_.Retrieve(two, {}, 1)), ElementsAre(1));
  EXPECT_THAT(ItemsOf(trending_.RetrieveOfCluster(1, {}, 10)), ElementsAre(3, 2));
  EXPECT_EQ(All()[0].sources, uint32_t{kFromTrending});
  EXPECT_EQ(trending_.RetrieveOfCluster(1, {}, 1)[0].sources, uint32_t{kFromCluster});
}

TEST_F(TrendingItemsTest, TheFilterIsAskedBeforeTheCount) {
  for (uint32_t item = 0; item < 4; ++item) Take(item, 1 + item);
  const ItemIndex excluded[] = {ItemIndex{2}, ItemIndex{3}};
  ItemFilter filter;
  filter.Exclude(excluded);
  EXPECT_THAT(ItemsOf(trending_.Retrieve({}, filter, 2)), ElementsAre(1, 0));
}

TEST_F(TrendingItemsTest, AnItemLeavesOnceItsUsersAreSixteenHalfLivesOld) {
  Take(1, 0);
  Take(2, kTrendHalfLifeS * 15.9);
  EXPECT_EQ(All().size(), 2u);
  Take(2, kTrendHalfLifeS * 16.1);
  EXPECT_THAT(ItemsOf(All()), ElementsAre(2));
  // Taking back what was dropped changes nothing, and so does what comes that late.
  Untake(1, 0);
  Take(3, 0);
  EXPECT_THAT(ItemsOf(All()), ElementsAre(2));
}

TEST_F(TrendingItemsTest, ScoresOutliveAnyLengthOfTime) {
  const double step = kTrendHalfLifeS * 400;
  for (int i = 0; i < 20; ++i) Take(static_cast<uint32_t>(i), i * step);
  Take(5, 19 * step - kTrendHalfLifeS);
  const auto found = All();
  ASSERT_THAT(ItemsOf(found), ElementsAre(19, 5));
  EXPECT_NEAR(found[0].score, 1, 1e-6);
  EXPECT_NEAR(found[1].score, .5, 1e-6);
}

TEST_F(TrendingItemsTest, AUserWhoMovesTakesItsItemsAlong) {
  const Edge edge = At(0);
  Take(1, 0, 0);
  Take(1, 0, 1);
  trending_.Change({.item = ItemIndex{1},
                    .cluster_before = 0,
                    .cluster_after = 2,
                    .before = {&edge, 1},
                    .after = {&edge, 1}},
                   0);
  EXPECT_FLOAT_EQ(All()[0].score, 2);
  EXPECT_THAT(trending_.RetrieveOfCluster(0, {}, 10), IsEmpty());
  for (const Cluster node : {1, 2}) {
    EXPECT_FLOAT_EQ(trending_.RetrieveOfCluster(node, {}, 10).at(0).score, 1);
  }
}

using Scores = std::map<ItemIndex, double>;

// The definition, over the edges of the users of `nodes`.
Scores ScoresOf(const std::vector<UserState>& users, std::set<Cluster> nodes, int64_t now_us) {
  Scores scores;
  for (const UserState& user : users) {
    if (!nodes.contains(user.cluster)) continue;
    ForEachItem(user, [&](ItemIndex item, std::span<const Edge> edges) {
      const auto age_us = static_cast<double>(now_us - edges.back().last.time_us);
      scores[item] += std::exp2(-age_us / (kTrendHalfLifeS * kSecond));
    });
  }
  return scores;
}

void ExpectScores(const std::vector<Candidate>& found, const Scores& expected) {
  EXPECT_EQ(found.size(), expected.size());
  for (const Candidate& candidate : found) {
    EXPECT_NEAR(candidate.score, expected.at(candidate.item), 1e-4 * candidate.score + 1e-6);
  }
  EXPECT_TRUE(std::is_sorted(found.begin(), found.end(),
                             [](const auto& a, const auto& b) { return a.score > b.score; }));
}

TEST_F(TrendingItemsTest, RandomChangesGiveWhatTheDefinitionGives) {
  std::mt19937 random(3);
  std::vector<UserState> users(20);
  for (uint32_t i = 0; i < users.size(); ++i) users[i] = {.index = UserIndex{i}, .cluster = i % 3};
  int64_t now_us = 0;
  for (int step = 0; step < 3'000; ++step) {
    UserState& user = users[random() % users.size()];
    const Cluster node = user.cluster;
    if (random() % 50 == 0) user.cluster = random() % 3;
    const ItemIndex chosen{static_cast<uint32_t>(random() % 30)};
    const UserState before = user;
    std::erase_if(user.edges, [&](const Edge& edge) {
      return edge.item == chosen ? random() % 4 == 0 : node != user.cluster && random() % 8 == 0;
    });
    if (random() % 3 > 0) {
      const Edge edge{
          .item = chosen, .count = 1, .last = At(step * .01 + random() % 300 * 1e-3).last};
      user.edges.push_back(edge);
      now_us = std::max(now_us, edge.last.time_us);
    }
    std::sort(user.edges.begin(), user.edges.end(), [](const Edge& a, const Edge& b) {
      return a.item != b.item ? a.item < b.item : a.last < b.last;
    });
    for (uint32_t item = 0; item < 30; ++item) {
      trending_.Change({.item = ItemIndex{item},
                        .cluster_before = node,
                        .cluster_after = user.cluster,
                        .before = before.EdgesTo(ItemIndex{item}),
                        .after = user.EdgesTo(ItemIndex{item})},
                       0);
    }
  }
  ExpectScores(All(), ScoresOf(users, {0, 1, 2}, now_us));
  for (const Cluster node : {0, 1, 2}) {
    ExpectScores(trending_.RetrieveOfCluster(node, {}, 30), ScoresOf(users, {node}, now_us));
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
