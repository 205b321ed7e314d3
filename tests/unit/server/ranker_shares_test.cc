#include "server/config/ranker_shares.h"

#include <gmock/gmock.h>

#include <map>
#include <string>

#include "server/recommend/shadow_ranking.h"

namespace groundswell {
namespace {

using testing::HasSubstr;

TEST(RankerSharesTest, UsersAreDividedAsAskedForAndStay) {
  const RankerShares shares = *RankerShares::Parse("a=70,b=25,c=5", "autumn");
  std::map<std::string, int> counts;
  for (int i = 0; i < 100'000; ++i) {
    const std::string user = "user-" + std::to_string(i);
    const std::string ranker(shares.Of(user));
    ++counts[ranker];
    ASSERT_EQ(RankerShares::Parse("a=70,b=25,c=5", "autumn")->Of(user), ranker);
    if (i > 1'000) continue;
    // Who has the first ranker keeps it when its share grows.
    if (ranker == "a") {
      ASSERT_EQ(RankerShares::Parse("a=90,c=10", "autumn")->Of(user), "a");
    }
  }
  EXPECT_NEAR(counts["a"], 70'000, 600);
  EXPECT_NEAR(counts["b"], 25'000, 600);
  EXPECT_NEAR(counts["c"], 5'000, 400);
}

TEST(RankerSharesTest, AnotherExperimentDividesAnew) {
  const RankerShares one = *RankerShares::Parse("a=50,b=50", "one");
  const RankerShares two = *RankerShares::Parse("a=50,b=50", "two");
  int same = 0;
  for (int i = 0; i < 10'000; ++i) {
    const std::string user = std::to_string(i);
    same += one.Of(user) == two.Of(user);
  }
  EXPECT_NEAR(same, 5'000, 300);
}

TEST(RankerSharesTest, WithoutSharesEverybodyGetsTheDefault) {
  EXPECT_EQ(RankerShares::Parse("", "x")->Of("anybody"), "");
}

TEST(RankerSharesTest, WhatIsNoShareIsRefused) {
  for (const auto& [text, message] :
       std::map<std::string, std::string>{{"a", "\"a\" is no share"},
                                          {"=100", "\"=100\" is no share"},
                                          {"a=50,", "\"\" is no share"},
                                          {"a=0,b=100", "\"0\" is no percent"},
                                          {"a=-1", "\"-1\" is no percent"},
                                          {"a=101", "\"101\" is no percent"},
                                          {"a=99999999999999999999", "is no percent"},
                                          {"a=50.5,b=49.5", "is no percent"},
                                          {"a=50,a=50", "a stands twice"},
                                          {"a=50,b=49", "sum up to 99"},
                                          {"a=90,b=90", "sum up to 180"}}) {
    const auto shares = RankerShares::Parse(text, "");
    EXPECT_EQ(shares.status().code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(shares.status().message()), HasSubstr(message)) << text;
  }
}

TEST(ShadowRankingTest, TheOverlapIsOfTheFirstItems) {
  std::vector<Candidate> items;
  for (uint32_t i = 0; i < 6; ++i) {
    items.push_back({.item = ItemIndex{i}, .score = static_cast<float>(i)});
  }
  const std::vector<float> same = {0, 1, 2, 3, 4, 5};
  const std::vector<float> reversed = {5, 4, 3, 2, 1, 0};
  const std::vector<float> half = {9, 0, 0, 0, 4, 5};
  EXPECT_EQ(OverlapOfFirst(2, items, same), 1.0);
  EXPECT_EQ(OverlapOfFirst(2, items, reversed), 0.0);
  EXPECT_EQ(OverlapOfFirst(2, items, half), 0.5);
  EXPECT_EQ(OverlapOfFirst(10, items, reversed), 1.0) << "fewer items than are compared";
  EXPECT_EQ(OverlapOfFirst(2, {}, {}), 1.0);
}

}  // namespace
}  // namespace groundswell
