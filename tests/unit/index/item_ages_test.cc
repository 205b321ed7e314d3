#include "index/popular/item_ages.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/support/second.h"

namespace groundswell {
namespace {

constexpr int64_t kNow = 1'700'000'000 * kSecond;

Edge EdgeOf(int64_t seconds_ago, uint32_t count = 1) {
  Edge edge{.item = ItemIndex{1}, .count = count, .last = {}};
  edge.last.time_us = kNow - seconds_ago * kSecond;
  return edge;
}

class ItemAgesTest : public testing::Test {
 protected:
  void Change(std::vector<Edge> before, std::vector<Edge> after) {
    ages_.Change({.item = ItemIndex{1}, .before = before, .after = after});
  }
  float Age() const { return ages_.MeanAge(ItemIndex{1}, kNow); }

  ItemAges ages_{3};
};

TEST_F(ItemAgesTest, TheAgeIsTheMeanByWeight) {
  EXPECT_LT(Age(), 0) << "nobody took it";
  Change({}, {EdgeOf(100)});
  EXPECT_EQ(Age(), 100);
  Change({}, {EdgeOf(10, 3)});
  EXPECT_EQ(Age(), 32.5f);
  EXPECT_LT(ages_.MeanAge(ItemIndex{2}, kNow), 0);
}

TEST_F(ItemAgesTest, WhatLeavesIsTakenOut) {
  Change({}, {EdgeOf(500), EdgeOf(30)});
  Change({}, {EdgeOf(70, 2)});
  Change({EdgeOf(500), EdgeOf(30)}, {EdgeOf(500)});
  Change({EdgeOf(500)}, {});
  EXPECT_EQ(Age(), 70);
  Change({EdgeOf(70, 2)}, {});
  EXPECT_LT(Age(), 0);
}

TEST_F(ItemAgesTest, NoTimeOverflowsAndTheFutureIsNow) {
  Edge odd = EdgeOf(0, 4'000'000'000);
  odd.last.time_us = INT64_MAX;
  Change({}, {odd});
  EXPECT_EQ(Age(), 0);
  Change({odd}, {});
  odd.last.time_us = INT64_MIN;
  Change({}, {odd});
  EXPECT_EQ(Age(), 1.7e9f) << "since 1970";
}

}  // namespace
}  // namespace groundswell
