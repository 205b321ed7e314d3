#include "index/popular/fading_counts.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <functional>
#include <random>
#include <thread>

#include "tests/support/second.h"

namespace groundswell {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::FloatEq;

constexpr int64_t kBegin = 1'700'000'000 * kSecond;
constexpr double kHalfLifeS = 10;
constexpr double kLongS = 1'000;
constexpr size_t kFadingItems = 30;

Edge EdgeAt(uint32_t item, double seconds, uint32_t count = 1) {
  Edge edge{.item = ItemIndex{item}, .count = count, .last = {}};
  edge.last.time_us = kBegin + static_cast<int64_t>(seconds * kSecond);
  return edge;
}

float ShareOf(const FadingCounts& counts, size_t scale, uint32_t item) {
  const Candidate one{.item = ItemIndex{item}};
  float share = 0;
  counts.Shares(scale, {&one, 1}, {&share, 1});
  return share;
}

class FadingCountsTest : public ::testing::Test {
 protected:
  void Change(uint32_t item, std::vector<Edge> before, std::vector<Edge> after) {
    counts_.Change({.item = ItemIndex{item}, .before = before, .after = after});
  }
  std::vector<float> Read(size_t count = 3, size_t scale = 0) const {
    std::vector<float> values(count, -1);
    counts_.Read(scale, values);
    return values;
  }

  static constexpr std::array kHalfLives = {kHalfLifeS, kLongS};
  FadingCounts counts_{kHalfLives, kFadingItems};
};

// A random walk of the edges of all items; what each has is told to `change`, and returned.
std::vector<std::vector<Edge>> ChangeAtRandom(
    const std::function<void(const EdgeChange&)>& change) {
  std::mt19937 random(5);
  std::vector<std::vector<Edge>> edges_of_item(kFadingItems);
  for (int step = 0; step < 3'000; ++step) {
    const auto item = static_cast<uint32_t>(random() % kFadingItems);
    std::vector<Edge>& edges = edges_of_item[item];
    const std::vector<Edge> before = edges;
    if (random() % 4 == 0) {
      std::erase_if(edges, [&](const Edge&) { return random() % 2 == 0; });
    } else {
      edges.push_back(EdgeAt(item, step * 3 + random() % 300 * 1e-1, 1 + random() % 3));
      std::ranges::sort(edges, {}, [](const Edge& edge) { return edge.last.time_us; });
    }
    change({.item = ItemIndex{item}, .before = before, .after = edges});
  }
  return edges_of_item;
}

// Of all edges that there ever were.
int64_t NewestOf(const std::vector<std::vector<Edge>>& edges_of_item) {
  int64_t newest_us = 0;
  for (const std::vector<Edge>& edges : edges_of_item) {
    for (const Edge& edge : edges) newest_us = std::max(newest_us, edge.last.time_us);
  }
  return newest_us;
}

TEST_F(FadingCountsTest, NothingWasTakenAtFirst) { EXPECT_THAT(Read(), Each(0.0f)); }

TEST_F(FadingCountsTest, WhatWasTakenAHalfLifeAgoCountsHalf) {
  Change(1, {}, {EdgeAt(1, 0, 3)});
  EXPECT_THAT(Read(), ElementsAre(0, 3, 0));
  Change(2, {}, {EdgeAt(2, kHalfLifeS)});
  EXPECT_THAT(Read(), ElementsAre(0, FloatEq(1.5f), FloatEq(1)));
}

TEST_F(FadingCountsTest, AnEdgeFadesFromItsNewestInteraction) {
  Change(0, {}, {EdgeAt(0, 0)});
  Change(0, {EdgeAt(0, 0)}, {EdgeAt(0, kHalfLifeS, 2)});
  EXPECT_THAT(Read(1), ElementsAre(FloatEq(2)));
}

TEST_F(FadingCountsTest, WhatIsTakenBackLeavesNothing) {
  Change(0, {}, {EdgeAt(0, 0)});
  Change(1, {}, {EdgeAt(1, .1, 7)});
  Change(1, {EdgeAt(1, .1, 7)}, {EdgeAt(1, .1, 7), EdgeAt(1, 3.3)});
  Change(1, {EdgeAt(1, .1, 7), EdgeAt(1, 3.3)}, {});
  EXPECT_EQ(Read()[1], 0);
  EXPECT_GT(Read()[0], 0);
}

TEST_F(FadingCountsTest, CountsOutliveAnyLengthOfTime) {
  for (const double half_lives : {0., 400., 800., 810., 5'000.}) {
    const Edge edge = EdgeAt(1, half_lives * kHalfLifeS, 2);
    Change(1, {}, {edge});
    EXPECT_NEAR(Read()[1], half_lives == 810. ? 2 + 2 * std::exp2(-10) : 2, 1e-3) << half_lives;
  }
  EXPECT_EQ(Read()[0], 0);
}

TEST_F(FadingCountsTest, EveryScaleFadesByItsOwn) {
  Change(1, {}, {EdgeAt(1, 0, 4)});
  Change(2, {}, {EdgeAt(2, 10 * kHalfLifeS)});
  EXPECT_NEAR(Read(3, 0)[1], 4 * std::exp2(-10), 1e-5);
  EXPECT_NEAR(Read(3, 1)[1], 4 * std::exp2(-.1), 1e-3);
  EXPECT_NEAR(ShareOf(counts_, 1, 1), 4 * std::exp2(-.1) / (1 + 4 * std::exp2(-.1)), 1e-4);
  EXPECT_NEAR(ShareOf(counts_, 0, 1) + ShareOf(counts_, 0, 2), 1, 1e-6);
  EXPECT_EQ(ShareOf(counts_, 0, 0), 0);
}

TEST_F(FadingCountsTest, SharesOfSeveralItemsAreTheirShares) {
  Change(1, {}, {EdgeAt(1, 5, 3)});
  Change(2, {}, {EdgeAt(2, 300)});
  const Candidate items[] = {
      {.item = ItemIndex{2}}, {.item = ItemIndex{0}}, {.item = ItemIndex{1}}};
  for (size_t scale = 0; scale < counts_.scales(); ++scale) {
    std::array<float, 3> shares;
    counts_.Shares(scale, items, shares);
    for (size_t i = 0; i < 3; ++i) {
      EXPECT_EQ(shares[i], ShareOf(counts_, scale, ToInt(items[i].item)));
    }
  }
}

TEST_F(FadingCountsTest, WithoutAnythingTakenNoShareIsAnything) {
  EXPECT_EQ(ShareOf(counts_, 0, 0), 0);
  Change(0, {}, {EdgeAt(0, 0)});
  counts_.Advance(kBegin + 1'000 * kSecond);
  EXPECT_EQ(ShareOf(counts_, 0, 0), 0);
  EXPECT_EQ(ShareOf(counts_, 1, 0), 1);
}

TEST_F(FadingCountsTest, AnEdgeCountsForSixteenHalfLivesAtLeast) {
  for (int begin = 0; begin < 20; ++begin) {
    FadingCounts counts(kHalfLives, kFadingItems);
    const std::vector<Edge> edges = {EdgeAt(1, begin * kHalfLifeS, 8)};
    counts.Change({.item = ItemIndex{1}, .before = {}, .after = edges});
    counts.Advance(edges[0].last.time_us + static_cast<int64_t>(15.9 * kHalfLifeS * kSecond));
    std::vector<float> values(2);
    counts.Read(0, values);
    EXPECT_NEAR(values[1], 8 * std::exp2(-15.9), 1e-7) << begin;
  }
}

TEST_F(FadingCountsTest, RandomChangesGiveWhatTheDefinitionGives) {
  int64_t now_us = 0;
  const auto edges_of_item = ChangeAtRandom([&](const EdgeChange& change) {
    counts_.Change(change);
    for (const Edge& edge : change.after) now_us = std::max(now_us, edge.last.time_us);
  });
  for (size_t scale = 0; scale < kHalfLives.size(); ++scale) {
    const std::vector<float> found = Read(kFadingItems, scale);
    for (uint32_t item = 0; item < kFadingItems; ++item) {
      double expected = 0;
      for (const Edge& edge : edges_of_item[item]) {
        const auto age_us = static_cast<double>(now_us - edge.last.time_us);
        expected += edge.count * std::exp2(-age_us / (kHalfLives[scale] * kSecond));
      }
      EXPECT_NEAR(found[item], expected, 1e-4 * expected + 2e-4) << item << " at " << scale;
    }
  }
}

// Exactly, which is what a model that learns from it needs.
TEST_F(FadingCountsTest, IsTheSameAfterARestartInWhateverOrder) {
  const auto edges_of_item =
      ChangeAtRandom([&](const EdgeChange& change) { counts_.Change(change); });
  FadingCounts again(kHalfLives, kFadingItems);
  for (uint32_t item = kFadingItems; item-- > 0;) {
    for (const Edge& edge : edges_of_item[item]) {
      again.Change({.item = ItemIndex{item}, .before = {}, .after = {&edge, 1}});
    }
  }
  const int64_t now_us = NewestOf(edges_of_item) + 100 * kSecond;
  counts_.Advance(now_us);
  again.Advance(now_us);
  for (size_t scale = 0; scale < kHalfLives.size(); ++scale) {
    for (uint32_t item = 0; item < kFadingItems; ++item) {
      EXPECT_EQ(ShareOf(counts_, scale, item), ShareOf(again, scale, item)) << item;
    }
  }
}

TEST_F(FadingCountsTest, TheLargestWeightsDoNotOverflow) {
  constexpr uint32_t kMost = 3'037'000'499;
  Change(1, {}, {EdgeAt(1, 0, kMost)});
  for (int step = 0; step < 40; ++step) {
    Change(1, {EdgeAt(1, step * kHalfLifeS, kMost)}, {EdgeAt(1, (step + 1) * kHalfLifeS, kMost)});
    EXPECT_NEAR(Read()[1] / kMost, 1, 1e-3) << step;
  }
}

TEST_F(FadingCountsTest, IsReadWhileItChanges) {
  std::atomic<bool> done = false;
  std::thread reader([&] {
    while (!done) {
      for (const float value : Read(kFadingItems)) EXPECT_GE(value, 0);
    }
  });
  for (int i = 0; i < 3'000; ++i) {
    const auto item = static_cast<uint32_t>(i) % kFadingItems;
    Change(item, {}, {EdgeAt(item, i * 5.)});
  }
  done = true;
  reader.join();
  EXPECT_GT(Read(kFadingItems)[kFadingItems - 1], 0);
}

}  // namespace
}  // namespace groundswell
