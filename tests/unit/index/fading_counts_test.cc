#include "index/popular/fading_counts.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <random>
#include <thread>

namespace groundswell {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::FloatEq;

constexpr int64_t kSecond = 1'000'000;
constexpr int64_t kBegin = 1'700'000'000 * kSecond;
constexpr double kHalfLifeS = 10;
constexpr size_t kItems = 30;

Edge EdgeAt(uint32_t item, double seconds, uint32_t count = 1) {
  Edge edge{.item = ItemIndex{item}, .count = count, .last = {}};
  edge.last.time_us = kBegin + static_cast<int64_t>(seconds * kSecond);
  return edge;
}

class FadingCountsTest : public ::testing::Test {
 protected:
  void Change(uint32_t item, std::vector<Edge> before, std::vector<Edge> after) {
    counts_.Change({.item = ItemIndex{item}, .before = before, .after = after});
  }
  std::vector<float> Read(size_t count = 3) {
    std::vector<float> values(count, -1);
    counts_.Read(values);
    return values;
  }

  FadingCounts counts_{kHalfLifeS, kItems};
};

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
    EXPECT_NEAR(Read()[1], half_lives == 810. ? 2 + 2 * std::exp2(-10) : 2, 1e-6) << half_lives;
  }
  EXPECT_EQ(Read()[0], 0);
}

TEST_F(FadingCountsTest, RandomChangesGiveWhatTheDefinitionGives) {
  std::mt19937 random(5);
  std::vector<std::vector<Edge>> edges_of_item(kItems);
  int64_t now_us = 0;
  for (int step = 0; step < 3'000; ++step) {
    const auto item = static_cast<uint32_t>(random() % kItems);
    std::vector<Edge>& edges = edges_of_item[item];
    const std::vector<Edge> before = edges;
    if (random() % 4 == 0) {
      std::erase_if(edges, [&](const Edge&) { return random() % 2 == 0; });
    } else {
      edges.push_back(EdgeAt(item, step * 3 + random() % 300 * 1e-1, 1 + random() % 3));
      now_us = std::max(now_us, edges.back().last.time_us);
      std::ranges::sort(edges, {}, [](const Edge& edge) { return edge.last.time_us; });
    }
    Change(item, before, edges);
  }
  const std::vector<float> found = Read(kItems);
  for (uint32_t item = 0; item < kItems; ++item) {
    double expected = 0;
    for (const Edge& edge : edges_of_item[item]) {
      const auto age_us = static_cast<double>(now_us - edge.last.time_us);
      expected += edge.count * std::exp2(-age_us / (kHalfLifeS * kSecond));
    }
    EXPECT_NEAR(found[item], expected < FadingCounts::kFloor ? 0 : expected, 1e-6) << item;
  }
}

TEST_F(FadingCountsTest, IsReadWhileItChanges) {
  std::atomic<bool> done = false;
  std::thread reader([&] {
    while (!done) {
      for (const float value : Read(kItems)) EXPECT_GE(value, 0);
    }
  });
  for (int i = 0; i < 3'000; ++i) {
    const auto item = static_cast<uint32_t>(i) % kItems;
    Change(item, {}, {EdgeAt(item, i * 5.)});
  }
  done = true;
  reader.join();
  EXPECT_GT(Read(kItems)[kItems - 1], 0);
}

}  // namespace
}  // namespace groundswell
