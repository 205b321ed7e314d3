#include "index/walks/next_items.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <map>
#include <random>

#include "tests/support/second.h"
#include "tests/unit/index/items_of.h"

namespace groundswell {
namespace {

using testing::ElementsAre;
using testing::FloatEq;
using testing::IsEmpty;

class NextItemsTest : public testing::Test {
 protected:
  // A user takes items one after the other, all now.
  void Take(uint32_t user, std::initializer_list<uint32_t> items) {
    for (const uint32_t item : items) TakeOne(user, item);
  }
  void TakeOne(uint32_t user, uint32_t item) {
    UserState& state = users_[user];
    state.index = UserIndex{user};
    const std::span<const Edge> present = state.EdgesTo(ItemIndex{item});
    const std::vector<Edge> before(present.begin(), present.end());
    AddToEdges(state, ItemIndex{item}, 1, {.time_us = now_s_ * kSecond, .offset = ++offset_},
               EdgeDetail::kPerInteraction);
    adjacency_.Change({.user = state.index,
                       .item = ItemIndex{item},
                       .before = before,
                       .after = state.EdgesTo(ItemIndex{item}),
                       .of_user = state.edges});
  }
  std::vector<Candidate> Retrieve(std::initializer_list<uint32_t> newest, size_t count = 100,
                                  const ItemFilter& filter = {}) {
    std::vector<RecentItem> recent;
    for (const uint32_t item : newest) recent.push_back({.item = ItemIndex{item}});
    return NextItems(adjacency_, options_)
        .Retrieve({.vector = {}, .filter = filter, .count = count, .recent = recent}, scratch_);
  }

  InteractionAdjacency adjacency_{1'000};
  NextItems::Options options_;
  NextItems::Scratch scratch_;
  std::map<uint32_t, UserState> users_;
  int64_t now_s_ = 1'000'000;
  Offset offset_ = 0;
};

TEST_F(NextItemsTest, OfOneInstantWhatCameNextCountsMostAndWhatCameBeforeNothing) {
  Take(1, {25, 21, 20, 10});
  const auto found = Retrieve({21});
  ASSERT_THAT(ItemsOf(found), ElementsAre(20, 10));
  EXPECT_THAT(found[0].score, FloatEq(1));
  EXPECT_THAT(found[1].score, FloatEq(.6f));
  EXPECT_EQ(found[0].sources, uint32_t{kFromNextItems});
}

TEST_F(NextItemsTest, RepeatsCountAndAnItemMayFollowItself) {
  Take(1, {1, 10, 1, 10, 1, 1});
  Take(2, {1, 20});
  const auto found = Retrieve({1});
  ASSERT_THAT(ItemsOf(found), ElementsAre(1, 10, 20));
  // From its places, the newest first, to those behind each: none, 1, 2 and 3 of them its own.
  EXPECT_THAT(found[0].score, FloatEq(1 + (.6f + .36f) + (.6f + .216f + .1296f)));
  EXPECT_THAT(found[1].score, FloatEq(1 + (1 + .36f)));
}

TEST_F(NextItemsTest, ManyUsersCountForMore) {
  for (uint32_t user = 0; user < 3; ++user) Take(user, {1, 10, 30});
  for (uint32_t user = 3; user < 8; ++user) Take(user, {1, 20});
  EXPECT_THAT(ItemsOf(Retrieve({1})), ElementsAre(20, 10, 30));
}

TEST_F(NextItemsTest, AgeCountsByItsRoot) {
  Take(1, {1, 10});
  now_s_ += 600;
  Take(2, {1, 20});
  now_s_ += 1'200;
  Take(3, {1, 30});
  const auto found = Retrieve({1});
  ASSERT_THAT(ItemsOf(found), ElementsAre(30, 20, 10));
  EXPECT_THAT(found[0].score, FloatEq(1));
  EXPECT_THAT(found[1].score, FloatEq(1 / std::sqrt(3.f)));
  EXPECT_THAT(found[2].score, FloatEq(.5f));
}

TEST_F(NextItemsTest, APauseEndsTheVisit) {
  options_.visit_gap_s = 100;
  Take(1, {1});
  now_s_ += 100;
  Take(1, {10});
  now_s_ += 101;
  Take(1, {20});
  EXPECT_THAT(ItemsOf(Retrieve({1})), ElementsAre(10));
  EXPECT_THAT(ItemsOf(Retrieve({10})), IsEmpty());
  options_.visit_gap_s = 0;
  Take(2, {20, 30});
  EXPECT_THAT(ItemsOf(Retrieve({20})), ElementsAre(30)) << "one instant is never apart";
}

TEST_F(NextItemsTest, TheNewestItemCountsFiveTimesTheOneBefore) {
  Take(1, {1, 10});
  Take(2, {2, 20});
  const auto found = Retrieve({2, 1});
  ASSERT_THAT(ItemsOf(found), ElementsAre(20, 10));
  EXPECT_THAT(found[0].score, FloatEq(5 * found[1].score));
}

TEST_F(NextItemsTest, TellsAfterWhichOfTheNewestEachCame) {
  Take(1, {1, 10});
  Take(2, {2, 20, 10});
  const ItemIndex excluded[] = {ItemIndex{20}};
  ItemFilter filter;
  filter.Exclude(excluded);
  Retrieve({2, 7, 1}, 1, filter);
  const NextItems::Strengths* both = scratch_.strengths.Find(ItemIndex{10});
  ASSERT_NE(both, nullptr);
  EXPECT_THAT(*both, ElementsAre(FloatEq(.6f), 0, FloatEq(1)));
  const NextItems::Strengths* left_out = scratch_.strengths.Find(ItemIndex{20});
  ASSERT_NE(left_out, nullptr) << "whatever the filter says";
  EXPECT_THAT(*left_out, ElementsAre(FloatEq(1), 0, 0));
  EXPECT_EQ(scratch_.strengths.Find(ItemIndex{30}), nullptr);
  Retrieve({7});
  EXPECT_EQ(scratch_.strengths.Find(ItemIndex{10}), nullptr) << "of the last call alone";
}

TEST_F(NextItemsTest, ReadsNoMoreThanItsLimits) {
  options_ = {.items_max = 1, .users_max = 2, .places_max = 1};
  Take(1, {1, 10});  // not among the two newest users
  now_s_ += 1;
  Take(2, {30, 1, 20});
  Take(3, {1, 40, 1, 50, 51, 52, 53, 54, 55, 56, 57, 58});  // 40 and 58 are too far
  EXPECT_THAT(ItemsOf(Retrieve({1, 10})),
              testing::UnorderedElementsAre(20, 50, 51, 52, 53, 54, 55, 56, 57));
}

TEST_F(NextItemsTest, WhoIsForgottenIsNotCounted) {
  Take(1, {1, 10});
  Take(2, {1, 20});
  for (const uint32_t item : {1, 10}) {
    adjacency_.Change({.user = UserIndex{1},
                       .item = ItemIndex{item},
                       .before = users_[1].EdgesTo(ItemIndex{item}),
                       .after = {},
                       .of_user = {}});
  }
  EXPECT_THAT(ItemsOf(Retrieve({1})), ElementsAre(20));
}

TEST_F(NextItemsTest, TheFilterIsAskedBeforeTheCount) {
  Take(1, {1, 10, 20, 30});
  const ItemIndex excluded[] = {ItemIndex{10}};
  ItemFilter filter;
  filter.Exclude(excluded);
  EXPECT_THAT(ItemsOf(Retrieve({1}, 1, filter)), ElementsAre(20));
}

TEST_F(NextItemsTest, NobodyTookItOrNothingElse) {
  EXPECT_THAT(Retrieve({}), IsEmpty());
  EXPECT_THAT(Retrieve({7}), IsEmpty());
  Take(1, {7});
  EXPECT_THAT(Retrieve({7}), IsEmpty());
}

TEST_F(NextItemsTest, EqualsCountingEverything) {
  options_.places_max = 1'000;
  std::mt19937 random(5);
  std::map<uint32_t, std::vector<std::pair<uint32_t, int64_t>>> taken;  // item and time, by user
  for (int i = 0; i < 1'500; ++i) {
    const auto user = static_cast<uint32_t>(random() % 40);
    const auto item = static_cast<uint32_t>(random() % 20);
    now_s_ += static_cast<int64_t>(random() % 3) * 20'000;
    taken[user].emplace_back(item, now_s_);
    TakeOne(user, item);
  }
  for (uint32_t start = 0; start < 20; ++start) {
    std::vector<std::tuple<uint32_t, int64_t, double>> next;
    int64_t newest_s = 0;
    for (const auto& [user, steps] : taken) {
      for (size_t q = 0; q < steps.size(); ++q) {
        for (size_t p = q + 1; p < std::min(steps.size(), q + 9); ++p) {
          if (steps[q].first != start || steps[p].second - steps[p - 1].second > 604'800) break;
          next.emplace_back(steps[p].first, steps[p].second,
                            std::pow(.6, static_cast<double>(p - q - 1)));
          newest_s = std::max(newest_s, steps[p].second);
        }
      }
    }
    std::map<uint32_t, double> expected;
    for (const auto& [item, time_s, weight] : next) {
      expected[item] += weight / std::sqrt(1 + static_cast<double>(newest_s - time_s) / 600);
    }
    const auto found = Retrieve({start}, 1'000);
    EXPECT_EQ(found.size(), expected.size());
    for (const Candidate& one : found) EXPECT_NEAR(one.score, expected[ToInt(one.item)], 1e-3);
    EXPECT_TRUE(std::ranges::is_sorted(found, std::greater(), &Candidate::score));
  }
}

}  // namespace
}  // namespace groundswell
