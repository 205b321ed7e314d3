#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "index/walks/page_rank.h"
#include "index/walks/random_walk.h"
#include "tests/support/allocation_count.h"

namespace groundswell {
namespace {

TEST(RandomWalkAllocationTest, WalkingAllocatesNothingAfterTheFirstCall) {
  std::mt19937_64 random(2);
  InteractionAdjacency adjacency(4'096);
  for (uint32_t user = 0; user < 500; ++user) {
    for (uint32_t i = 0; i < 8; ++i) {
      const auto item = static_cast<uint32_t>(random() % 50 + 50 * i);
      const Edge edge{.item = ItemIndex{item}, .count = 1 + item % 3, .last = {.time_us = i}};
      adjacency.Change(
          {.user = UserIndex{user}, .item = edge.item, .before = {}, .after = {&edge, 1}});
    }
  }
  const RandomWalk walk(adjacency, {.steps = 5'000, .goal_items = 300});
  WalkScratch scratch;
  const auto run = [&](uint32_t first, uint64_t seed) {
    std::vector<WalkStart> starts;
    for (uint32_t i = 0; i < 20; ++i) starts.push_back({.item = ItemIndex{(first + i * 7) % 400}});
    const int64_t before = AllocationCount();
    walk.Run(starts, seed, std::chrono::steady_clock::time_point::max(), scratch);
    return AllocationCount() - before;
  };
  EXPECT_GT(run(0, 1), 0);
  for (uint32_t seed = 2; seed < 50; ++seed) EXPECT_EQ(run(seed * 31, seed), 0) << seed;
}

TEST(RandomWalkAllocationTest, PageRankAllocatesNothingAfterTheFirstCall) {
  std::mt19937_64 random(2);
  InteractionAdjacency adjacency(4'096);
  for (uint32_t user = 0; user < 500; ++user) {
    for (uint32_t i = 0; i < 8; ++i) {
      const auto item = static_cast<uint32_t>(random() % 400);
      const Edge edge{.item = ItemIndex{item}, .count = 1 + item % 3, .last = {.time_us = i}};
      adjacency.Change(
          {.user = UserIndex{user}, .item = edge.item, .before = {}, .after = {&edge, 1}});
    }
  }
  const PageRank page_rank(adjacency, {.epsilon = 1e-7, .edges_max = 200'000});
  PageRankScratch scratch;
  const auto run = [&](uint32_t first) {
    std::vector<WalkStart> starts;
    for (uint32_t i = 0; i < 20; ++i) starts.push_back({.item = ItemIndex{(first + i * 7) % 400}});
    const int64_t before = AllocationCount();
    page_rank.Run(starts, std::chrono::steady_clock::time_point::max(), scratch);
    return AllocationCount() - before;
  };
  EXPECT_GT(run(0), 0);
  run(200);  // one node more, or a longer queue
  for (uint32_t first = 2; first < 20; ++first) EXPECT_EQ(run(first * 31), 0) << first;
}

}  // namespace
}  // namespace groundswell
