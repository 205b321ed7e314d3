#include "index/walks/page_rank.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <random>
#include <vector>

#include "models/encoders/forward_push.h"
#include "tests/unit/index/items_of.h"

namespace groundswell {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::IsSupersetOf;

constexpr auto kNoEnd = std::chrono::steady_clock::time_point::max();

// Items are the nodes 0 to items - 1 of the arrays below, users those behind them.
struct RandomGraph {
  RandomGraph(uint32_t seed, uint32_t user_count, uint32_t item_count, uint32_t edges,
              uint32_t weight_max)
      : users(user_count), items(item_count), adjacency(4'096) {
    std::mt19937 random(seed);
    std::vector<bool> taken(size_t{users} * items);
    for (uint32_t e = 0; e < edges; ++e) {
      // The square prefers some, so that there are hubs.
      const auto user = static_cast<uint32_t>(random() % users);
      const uint32_t low = static_cast<uint32_t>(random() % items);
      const uint32_t item = low * low / items;
      if (taken[size_t{user} * items + item]) continue;
      taken[size_t{user} * items + item] = true;
      Take(user, item, 1 + static_cast<uint32_t>(random() % weight_max),
           (e + 1) * kMicrosPerSecond);
    }
  }

  void Take(uint32_t user, uint32_t item, uint32_t weight, int64_t time_us) {
    const Edge edge{.item = ItemIndex{item}, .count = weight, .last = {.time_us = time_us}};
    adjacency.Change(
        {.user = UserIndex{user}, .item = edge.item, .before = {}, .after = {&edge, 1}});
  }

  // Oldest first, as node numbers.
  std::vector<Neighbor> NeighborsOf(uint32_t node) const {
    std::vector<Neighbor> neighbors;
    if (node < items) {
      adjacency.users_of_items().CopyTo(node, neighbors);
      for (Neighbor& neighbor : neighbors) neighbor.node += items;
    } else {
      adjacency.items_of_users().CopyTo(node - items, neighbors);
    }
    return neighbors;
  }

  uint32_t users;
  uint32_t items;
  InteractionAdjacency adjacency;
};

std::vector<double> RanksOf(const PageRankScratch& scratch, uint32_t items) {
  std::vector<double> ranks(items);
  for (const RankedItem& one : scratch.ranked) ranks[ToInt(one.item)] = one.score;
  return ranks;
}

// By the definition: what still walks goes on, step by step, until nothing is left.
std::vector<double> PageRankByDefinition(const RandomGraph& graph, std::vector<double> walking,
                                         double alpha, int recency_bias) {
  std::vector<double> rank(walking.size());
  for (double left = 1; left > 1e-15; left *= 1 - alpha) {
    std::vector<double> next(walking.size());
    for (uint32_t v = 0; v < walking.size(); ++v) {
      rank[v] += alpha * walking[v];
      const std::vector<Neighbor> neighbors = graph.NeighborsOf(v);
      const auto n = static_cast<double>(neighbors.size());
      std::vector<double> chances;
      for (size_t at = 0; at < neighbors.size(); ++at) {
        const auto k = static_cast<double>(neighbors.size() - 1 - at);
        chances.push_back(neighbors[at].weight * (std::pow((k + 1) / n, 1.0 / recency_bias) -
                                                  std::pow(k / n, 1.0 / recency_bias)));
      }
      const double sum = std::accumulate(chances.begin(), chances.end(), 0.0);
      for (size_t at = 0; at < neighbors.size(); ++at) {
        next[neighbors[at].node] += (1 - alpha) * walking[v] * chances[at] / sum;
      }
    }
    walking = next;
  }
  return rank;
}

TEST(PageRankTest, IsThatOfTheDefinitionUpToWhatIsLeft) {
  for (uint32_t seed = 0; seed < 6; ++seed) {
    const RandomGraph graph(seed, 30, 20, 150, 20);
    const std::vector<WalkStart> starts = {{.item = ItemIndex{seed}, .weight = 3},
                                           {.item = ItemIndex{seed + 7}, .weight = 1}};
    const double alpha = .1 + .15 * seed;
    const int bias = 1 + static_cast<int>(seed) % 4;
    const PageRank page_rank(
        graph.adjacency,
        {.restart = alpha, .epsilon = 1e-12, .recency_bias = bias, .edges_max = 100'000'000});
    PageRankScratch scratch;
    EXPECT_EQ(page_rank.Run(starts, kNoEnd, scratch).end, PageRankEnd::kEpsilon);
    std::vector<double> walking(graph.items + graph.users);
    walking[seed] = .75;
    walking[seed + 7] = .25;
    const auto expected = PageRankByDefinition(graph, walking, alpha, bias);
    const auto ranks = RanksOf(scratch, graph.items);
    for (uint32_t item = 0; item < graph.items; ++item) {
      EXPECT_NEAR(ranks[item], expected[item], 1e-7) << "seed " << seed << ", item " << item;
    }
  }
}

// As pushing on arrays does, node by node in the same order: also where much is left.
TEST(PageRankTest, PushesAsOnArrays) {
  for (uint32_t seed = 0; seed < 8; ++seed) {
    const RandomGraph graph(seed, 300, 200, 2'500, 1);
    std::vector<uint64_t> begin{0};
    std::vector<uint32_t> neighbor;
    for (uint32_t v = 0; v < graph.items + graph.users; ++v) {
      for (const Neighbor& one : graph.NeighborsOf(v)) neighbor.push_back(one.node);
      begin.push_back(neighbor.size());
    }
    const std::vector<double> ones(neighbor.size(), 1);
    std::vector<double> start(graph.items + graph.users);
    start[seed] = start[seed + 20] = .5;
    for (const double epsilon : {1.37e-2, 1.37e-4, 1.37e-6}) {
      const size_t edges_max = seed % 2 == 0 ? 1'000'000 : 700;
      const PushResult expected =
          ForwardPush({.begin = begin, .neighbor = neighbor, .weight = ones}, start,
                      {.alpha = .2, .epsilon = epsilon, .edges_max = edges_max});
      const PageRank page_rank(
          graph.adjacency,
          {.restart = .2, .epsilon = epsilon, .recency_bias = 1, .edges_max = edges_max});
      PageRankScratch scratch;
      const PageRankSummary summary = page_rank.Run(
          std::vector<WalkStart>{{.item = ItemIndex{seed}}, {.item = ItemIndex{seed + 20}}}, kNoEnd,
          scratch);
      EXPECT_EQ(summary.pushes, expected.pushes);
      EXPECT_EQ(summary.edges, expected.edges);
      EXPECT_EQ(summary.end == PageRankEnd::kEpsilon, expected.is_done);
      const auto ranks = RanksOf(scratch, graph.items);
      for (uint32_t item = 0; item < graph.items; ++item) {
        const double rank = expected.p[item] + .2 * expected.residual[item];
        EXPECT_NEAR(ranks[item], rank, 1e-6 * rank);
      }
    }
  }
}

TEST(PageRankTest, TouchesNoMoreEdgesThanItMay) {
  const RandomGraph graph(1, 500, 300, 10'000, 3);
  for (const size_t edges_max : {1u, 100u, 5'000u}) {
    const PageRank page_rank(graph.adjacency, {.epsilon = 1e-9, .edges_max = edges_max});
    PageRankScratch scratch;
    const auto summary =
        page_rank.Run(std::vector<WalkStart>{{.item = ItemIndex{200}}}, kNoEnd, scratch);
    EXPECT_EQ(summary.end, PageRankEnd::kEdgesMax);
    EXPECT_LE(summary.edges, edges_max);
    EXPECT_LE(scratch.nodes.size(), edges_max + 1);
  }
}

TEST(PageRankTest, ADeadlineCutsItOffWithWhatItHas) {
  const RandomGraph graph(1, 500, 300, 10'000, 3);
  const PageRank page_rank(graph.adjacency, {.epsilon = 1e-9, .edges_max = 10'000'000});
  PageRankScratch scratch;
  const auto summary = page_rank.Run(std::vector<WalkStart>{{.item = ItemIndex{200}}},
                                     std::chrono::steady_clock::now(), scratch);
  EXPECT_EQ(summary.end, PageRankEnd::kDeadline);
  EXPECT_THAT(scratch.ranked, testing::Not(IsEmpty()));
}

// Which has too little for each of its neighbours to be pushed, as others of such users have.
TEST(PageRankTest, AHubIsRankedToo) {
  RandomGraph graph(1, 600, 300, 0, 1);
  for (uint32_t user = 0; user < 500; ++user) graph.Take(user, 7, 1, (user + 1) * kMicrosPerSecond);
  for (uint32_t user = 0; user < 3; ++user) graph.Take(user, 8, 1, (user + 1) * kMicrosPerSecond);
  const PageRank page_rank(graph.adjacency, {.epsilon = 2e-3});
  PageRankScratch scratch;
  for (const uint32_t start : {7u, 8u}) {
    page_rank.Run(std::vector<WalkStart>{{.item = ItemIndex{start}}}, kNoEnd, scratch);
    EXPECT_GT(RanksOf(scratch, graph.items)[7], 0) << "from " << start;
  }
}

// The start keeps its share of the restart, and the rest is nowhere.
TEST(PageRankTest, ANodeWithoutNeighboursPassesNothingOn) {
  const RandomGraph graph(1, 5, 5, 0, 1);
  const PageRank page_rank(graph.adjacency, {.restart = .25});
  PageRankScratch scratch;
  page_rank.Run(std::vector<WalkStart>{{.item = ItemIndex{3}, .weight = 8}}, kNoEnd, scratch);
  ASSERT_EQ(scratch.ranked.size(), 1u);
  EXPECT_EQ(scratch.ranked[0].item, ItemIndex{3});
  EXPECT_FLOAT_EQ(scratch.ranked[0].score, .25f);
}

TEST(PageRankTest, StartsWithoutWeightAreNoStarts) {
  const RandomGraph graph(1, 50, 30, 200, 1);
  const PageRank page_rank(graph.adjacency, {});
  PageRankScratch scratch;
  page_rank.Run(std::vector<WalkStart>{{.item = ItemIndex{3}, .weight = 0}}, kNoEnd, scratch);
  EXPECT_THAT(scratch.ranked, IsEmpty());
  page_rank.Run({}, kNoEnd, scratch);
  EXPECT_THAT(scratch.ranked, IsEmpty());
}

class PageRankSourceTest : public testing::Test {
 protected:
  std::vector<Candidate> Retrieve(const std::vector<RecentItem>& recent, size_t count,
                                  const ItemFilter& filter = ItemFilter()) {
    const PageRankSource source(graph_.adjacency,
                                {.page_rank = {.epsilon = 1e-6},
                                 .starts_max = 2,
                                 .half_life = std::chrono::hours(24),
                                 .on_end = [this](const PageRankSummary&) { ++ended_; }});
    PageRankSource::Scratch scratch;
    return source.Retrieve({.vector = {}, .filter = filter, .count = count, .recent = recent},
                           scratch);
  }

  RandomGraph graph_{3, 300, 200, 2'500, 3};
  int ended_ = 0;
};

TEST_F(PageRankSourceTest, GivesTheBestAdmittedItemsInOrder) {
  const std::vector<RecentItem> recent = {
      {.item = ItemIndex{149}, .time_us = kMicrosPerDay, .weight = 1}};
  const auto all = Retrieve(recent, 1'000);
  ASSERT_GT(all.size(), 20u);
  EXPECT_TRUE(std::ranges::is_sorted(all, std::greater(), &Candidate::score));
  EXPECT_EQ(ToInt(all[0].item), 149u);  // the start itself, which a filter leaves out
  for (const Candidate& candidate : all) EXPECT_EQ(candidate.sources, kFromPageRank);
  const std::vector<ItemIndex> excluded = [&] {
    std::vector<ItemIndex> items = {all[0].item, all[2].item};
    std::ranges::sort(items);
    return items;
  }();
  ItemFilter filter;
  filter.Exclude(excluded);
  EXPECT_THAT(ItemsOf(Retrieve(recent, 2, filter)),
              ElementsAre(ToInt(all[1].item), ToInt(all[3].item)));
  EXPECT_EQ(ended_, 2);
}

TEST_F(PageRankSourceTest, GivesNothingWithoutRecentItems) {
  EXPECT_THAT(Retrieve({}, 10), IsEmpty());
}

// Both are at the top of their own list; a start that is a day older counts half.
TEST_F(PageRankSourceTest, StartsCountByTheirWeightAndHalfLife) {
  const auto score_of = [](const std::vector<Candidate>& found, uint32_t item) {
    return std::ranges::find(found, ItemIndex{item}, &Candidate::item)->score;
  };
  const auto both = Retrieve({{.item = ItemIndex{149}, .time_us = 9 * kMicrosPerDay, .weight = 1},
                              {.item = ItemIndex{151}, .time_us = 8 * kMicrosPerDay, .weight = 1},
                              {.item = ItemIndex{153}, .time_us = 8 * kMicrosPerDay, .weight = 1}},
                             1'000);
  EXPECT_THAT(ItemsOf(both), IsSupersetOf({149u, 151u}));
  const auto first =
      Retrieve({{.item = ItemIndex{149}, .time_us = kMicrosPerDay, .weight = 1}}, 1'000);
  const auto second =
      Retrieve({{.item = ItemIndex{151}, .time_us = kMicrosPerDay, .weight = 1}}, 1'000);
  for (const uint32_t item : {149u, 151u}) {
    EXPECT_NEAR(score_of(both, item), score_of(first, item) * 2 / 3 + score_of(second, item) / 3,
                2e-4);
  }
}

}  // namespace
}  // namespace groundswell
