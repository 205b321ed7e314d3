#include "index/walks/co_occurrence.h"

#include <gmock/gmock.h>

#include <cmath>
#include <initializer_list>
#include <map>
#include <random>

namespace groundswell {
namespace {

using testing::ElementsAre;
using testing::FloatEq;
using testing::IsEmpty;

constexpr int64_t kSecond = 1'000'000;

class CoOccurrenceTest : public testing::Test {
 protected:
  // A user takes items one after the other.
  void Take(uint32_t user, std::initializer_list<uint32_t> items) {
    for (const uint32_t item : items) {
      const Edge edge{.item = ItemIndex{item},
                      .count = 1,
                      .last = {.time_us = ++now_ * kSecond, .offset = now_}};
      adjacency_.Change(
          {.user = UserIndex{user}, .item = edge.item, .before = {}, .after = {&edge, 1}});
    }
  }
  std::vector<Candidate> Retrieve(std::initializer_list<uint32_t> newest, size_t count = 100,
                                  const ItemFilter& filter = {}) {
    std::vector<RecentItem> recent;
    for (const uint32_t item : newest) recent.push_back({.item = ItemIndex{item}});
    return CoOccurrence(adjacency_, options_)
        .Retrieve({.vector = {}, .filter = filter, .count = count, .recent = recent}, scratch_);
  }

  InteractionAdjacency adjacency_{1'000};
  CoOccurrence::Options options_{.half_life_s = 1e12};
  CoOccurrence::Scratch scratch_;
  int64_t now_ = 0;
};

std::vector<uint32_t> ItemsOf(const std::vector<Candidate>& found) {
  std::vector<uint32_t> items;
  for (const Candidate& candidate : found) items.push_back(ToInt(candidate.item));
  return items;
}

TEST_F(CoOccurrenceTest, WhatWasTakenNextCountsMoreThanWhatCameLater) {
  Take(1, {5, 1, 10, 20});  // and not at all what came before
  const auto found = Retrieve({1});
  ASSERT_THAT(ItemsOf(found), ElementsAre(10, 20));
  EXPECT_THAT(found[0].score, FloatEq(1));
  EXPECT_THAT(found[1].score, FloatEq(1 / std::log2(3.f)));
  EXPECT_EQ(found[0].sources, uint32_t{kFromCoOccurrence});
}

TEST_F(CoOccurrenceTest, ManyUsersCountForMore) {
  for (uint32_t user = 0; user < 3; ++user) Take(user, {1, 10, 30});
  for (uint32_t user = 3; user < 8; ++user) Take(user, {1, 20});
  EXPECT_THAT(ItemsOf(Retrieve({1})), ElementsAre(20, 10, 30));
}

TEST_F(CoOccurrenceTest, WhatWasTakenAHalfLifeEarlierCountsHalf) {
  options_.half_life_s = 100;
  Take(1, {1, 10});
  now_ += 200;
  Take(2, {1});
  now_ += 99;
  Take(2, {20});
  now_ += 99;
  Take(2, {30});
  const auto found = Retrieve({1});
  ASSERT_THAT(ItemsOf(found), ElementsAre(30, 20, 10));
  EXPECT_THAT(found[0].score, FloatEq(1 / std::log2(3.f)));
  EXPECT_THAT(found[1].score, FloatEq(.5f));
  EXPECT_NEAR(found[2].score, std::exp2(-4.01f), .001f);
}

TEST_F(CoOccurrenceTest, TheNewestItemCountsTwiceTheOneBefore) {
  Take(1, {1, 10});
  Take(2, {2, 20});
  const auto found = Retrieve({2, 1});
  ASSERT_THAT(ItemsOf(found), ElementsAre(20, 10));
  EXPECT_THAT(found[0].score, FloatEq(2 * found[1].score));
}

TEST_F(CoOccurrenceTest, ReadsNoMoreThanItsLimits) {
  options_ = {.items_max = 1, .users_max = 2, .user_items_max = 2, .half_life_s = 1e12};
  Take(1, {1, 10});      // not among the two newest users
  Take(2, {30, 1, 20});  // 30 is not among his two newest items
  Take(3, {1, 40, 50});  // neither is 1
  EXPECT_THAT(ItemsOf(Retrieve({1, 10})), ElementsAre(20));
}

TEST_F(CoOccurrenceTest, TheFilterIsAskedBeforeTheCount) {
  Take(1, {1, 10, 20, 30});
  const ItemIndex excluded[] = {ItemIndex{10}};
  ItemFilter filter;
  filter.Exclude(excluded);
  EXPECT_THAT(ItemsOf(Retrieve({1}, 1, filter)), ElementsAre(20));
}

TEST_F(CoOccurrenceTest, NobodyTookItOrNothingElse) {
  EXPECT_THAT(Retrieve({}), IsEmpty());
  EXPECT_THAT(Retrieve({7}), IsEmpty());
  Take(1, {7});
  EXPECT_THAT(Retrieve({7}), IsEmpty());
}

TEST_F(CoOccurrenceTest, EqualsCountingEverything) {
  std::mt19937 random(5);
  std::map<uint32_t, std::vector<uint32_t>> items_of_user;
  for (int i = 0; i < 600; ++i) {
    const auto user = static_cast<uint32_t>(random() % 40);
    const auto item = static_cast<uint32_t>(random() % 60);
    auto& items = items_of_user[user];
    if (std::count(items.begin(), items.end(), item) > 0) continue;
    items.push_back(item);
    Take(user, {item});
  }
  for (uint32_t start = 0; start < 60; ++start) {
    std::map<uint32_t, double> expected;
    for (const auto& [user, items] : items_of_user) {
      for (size_t q = 0; q < items.size(); ++q) {
        for (size_t p = q + 1; p < items.size() && items[q] == start; ++p) {
          expected[items[p]] += 1 / std::log2(1 + static_cast<double>(p - q));
        }
      }
    }
    const auto found = Retrieve({start}, 1'000);
    EXPECT_EQ(found.size(), expected.size());
    for (const Candidate& one : found) EXPECT_NEAR(one.score, expected[ToInt(one.item)], 1e-4);
    EXPECT_TRUE(std::ranges::is_sorted(found, std::greater(), &Candidate::score));
  }
}

}  // namespace
}  // namespace groundswell
