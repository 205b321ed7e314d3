#include "index/walks/history.h"

#include <gmock/gmock.h>

namespace groundswell {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Edge Took(uint32_t item, uint32_t count, int64_t time_us) {
  return {.item = ItemIndex{item}, .count = count, .last = {.time_us = time_us}};
}

std::vector<uint32_t> HistoryItems(const UserState& user, size_t count,
                                   const ItemFilter& filter = {}) {
  HistoryScratch scratch;
  std::vector<uint32_t> items;
  for (const Candidate& candidate : RetrieveHistory(user, filter, count, scratch)) {
    EXPECT_EQ(candidate.sources, kFromHistory);
    items.push_back(ToInt(candidate.item));
  }
  return items;
}

TEST(HistoryTest, EqualCountsAreNewestFirst) {
  EXPECT_THAT(HistoryItems({.edges = {Took(1, 1, 20), Took(2, 1, 30), Took(3, 1, 10)}}, 10),
              ElementsAre(2, 1, 3));
}

TEST(HistoryTest, WhatWasTakenTwiceAsOftenPassesSixtyPlaces) {
  UserState user;
  for (uint32_t item = 0; item < 70; ++item) user.edges.push_back(Took(item, 1, 1'000 - item));
  user.edges[60].count = 2;  // 2 / (60 + 61) > 1 / (60 + 1)
  user.edges[69].count = 2;  // 2 / (60 + 70) = 1 / (60 + 5)
  EXPECT_THAT(HistoryItems(user, 8), ElementsAre(60, 0, 1, 2, 3, 4, 69, 5));
}

TEST(HistoryTest, AnItemOfManyEdgesCountsWithAllOfThem) {
  EXPECT_THAT(
      HistoryItems({.edges = {Took(1, 1, 10), Took(1, 2, 20), Took(2, 2, 30), Took(3, 1, 40)}}, 10),
      ElementsAre(1, 2, 3));
}

TEST(HistoryTest, TheFilterAndTheCountLimitIt) {
  const UserState user{.edges = {Took(1, 1, 20), Took(2, 1, 30), Took(3, 1, 10)}};
  ItemFilter filter;
  const ItemIndex excluded[] = {ItemIndex{2}};
  filter.Exclude(excluded);
  EXPECT_THAT(HistoryItems(user, 1, filter), ElementsAre(1));
  EXPECT_THAT(HistoryItems({}, 10), IsEmpty());
}

}  // namespace
}  // namespace groundswell
