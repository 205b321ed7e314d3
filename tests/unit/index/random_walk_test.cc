#include "index/walks/random_walk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <map>
#include <random>
#include <thread>
#include <tuple>
#include <vector>

namespace groundswell {
namespace {

using std::chrono::steady_clock;
using testing::ElementsAre;

constexpr auto kNoDeadline = steady_clock::time_point::max();
constexpr size_t kMany = 4'096;
constexpr int kBias = WalkOptions{}.recency_bias;

struct Interaction {
  uint32_t user, item;
  int64_t time_s;
  uint32_t weight = 1;
};

// Users' edges as the store holds them: one per item, ascending.
void Take(InteractionAdjacency& adjacency, const Interaction& one) {
  const Edge edge{.item = ItemIndex{one.item},
                  .count = one.weight,
                  .last = {.time_us = one.time_s * 1'000'000, .offset = 1}};
  adjacency.Change(
      {.user = UserIndex{one.user}, .item = edge.item, .before = {}, .after = {&edge, 1}});
}

InteractionAdjacency& Fill(InteractionAdjacency& adjacency, const std::vector<Interaction>& all) {
  for (const Interaction& one : all) Take(adjacency, one);
  return adjacency;
}

// The probability of each neighbour, from the definition in random_walk.h: proposed by rank of
// recency, taken by weight, the last proposal in any case.
std::map<uint32_t, double> Choice(const NeighborLists& lists, uint32_t node, int bias) {
  std::vector<Neighbor> neighbors;
  lists.CopyTo(node, neighbors);
  const auto n = static_cast<double>(neighbors.size());
  const double w_max = lists.Find(node).weight_max();
  const auto proposed = [&](size_t newest) {
    return std::pow(static_cast<double>(newest + 1) / n, 1.0 / bias) -
           std::pow(static_cast<double>(newest) / n, 1.0 / bias);
  };
  double taken = 0;
  for (size_t k = 0; k < neighbors.size(); ++k) {
    taken += proposed(k) * neighbors[neighbors.size() - 1 - k].weight / w_max;
  }
  const double none_of_the_first = std::pow(1 - taken, kProposalsMax - 1);
  std::map<uint32_t, double> choice;
  for (size_t k = 0; k < neighbors.size(); ++k) {
    const Neighbor& neighbor = neighbors[neighbors.size() - 1 - k];
    choice[neighbor.node] =
        proposed(k) * neighbor.weight / w_max * (1 - none_of_the_first) / taken +
        none_of_the_first * proposed(k);
  }
  return choice;
}

// Where one step from an item ends.
std::map<uint32_t, double> OneStep(const InteractionAdjacency& adjacency, uint32_t item, int bias) {
  std::map<uint32_t, double> ends;
  for (const auto& [user, there] : Choice(adjacency.users_of_items(), item, bias)) {
    for (const auto& [end, back] : Choice(adjacency.items_of_users(), user, bias)) {
      ends[end] += there * back;
    }
  }
  return ends;
}

// V of one call.
std::map<uint32_t, double> Walk(const InteractionAdjacency& adjacency, const WalkOptions& options,
                                const std::vector<WalkStart>& starts, uint64_t seed = 1,
                                WalkSummary* summary = nullptr) {
  WalkScratch scratch;
  const WalkSummary result = RandomWalk(adjacency, options).Run(starts, seed, kNoDeadline, scratch);
  if (summary != nullptr) *summary = result;
  std::map<uint32_t, double> visits;
  for (const VisitedItem& visited : scratch.visited) visits[ToInt(visited.item)] = visited.score;
  return visits;
}

double ChiSquare(const std::map<uint32_t, double>& visits,
                 const std::map<uint32_t, double>& expected, double steps) {
  double sum = 0;
  for (const auto& [item, share] : expected) {
    const auto at = visits.find(item);
    const double difference = (at == visits.end() ? 0 : at->second) - share * steps;
    sum += difference * difference / (share * steps);
  }
  for (const auto& [item, count] : visits) EXPECT_TRUE(expected.contains(item)) << item;
  return sum;
}

// What a chi-square of that many degrees of freedom exceeds once in 10,000 times (Wilson-Hilferty).
double Quantile9999(double degrees) {
  const double a = 2 / (9 * degrees);
  return degrees * std::pow(1 - a + 3.719 * std::sqrt(a), 3);
}

// Twelve items and eight users with times and weights of many kinds.
std::vector<Interaction> RandomInteractions(uint32_t weight_max) {
  std::mt19937_64 random(11);
  std::vector<Interaction> all;
  for (uint32_t user = 0; user < 8; ++user) {
    for (uint32_t item = 0; item < 12; ++item) {
      if (random() % 2 == 0) continue;
      all.push_back({user, item, static_cast<int64_t>(random() % 1'000),
                     1 + static_cast<uint32_t>(random() % weight_max)});
    }
  }
  return all;
}

class StepTest : public testing::TestWithParam<std::tuple<int, uint32_t>> {};

// alpha = 1: every step begins at the start, so that the steps are independent.
TEST_P(StepTest, EndsWithTheProbabilitiesOfTheDefinition) {
  const auto [bias, weight_max] = GetParam();
  InteractionAdjacency adjacency(kMany);
  Fill(adjacency, RandomInteractions(weight_max));
  constexpr size_t kSteps = 200'000;
  const WalkOptions options{.steps = kSteps, .restart = 1, .goal_items = 0, .recency_bias = bias};
  for (uint32_t start = 0; start < 12; ++start) {
    const auto expected = OneStep(adjacency, start, bias);
    if (expected.empty()) continue;
    const auto visits = Walk(adjacency, options, {{.item = ItemIndex{start}}}, start);
    const auto degrees = static_cast<double>(expected.size() - 1);
    EXPECT_LT(ChiSquare(visits, expected, kSteps), Quantile9999(degrees)) << start;
    // A choice without the bias would be seen.
    const auto other = OneStep(adjacency, start, bias == 1 ? 2 : 1);
    EXPECT_GT(ChiSquare(visits, other, kSteps), 2 * Quantile9999(degrees)) << start;
  }
}

INSTANTIATE_TEST_SUITE_P(BiasesAndWeights, StepTest,
                         testing::Combine(testing::Values(1, 2, 4), testing::Values(1, 2, 15)));

TEST(RandomWalkTest, AWeightThatIsRareButHighIsProposedOftenEnough) {
  // One of 40 has weight 15: so few proposals find it less often than its share would be.
  InteractionAdjacency adjacency(kMany);
  for (uint32_t user = 0; user < 40; ++user) {
    Take(adjacency, {user, 0, user, user == 5 ? 15u : 1u});
    Take(adjacency, {user, 100 + user, 0});
  }
  constexpr size_t kSteps = 400'000;
  const auto visits =
      Walk(adjacency, {.steps = kSteps, .restart = 1, .goal_items = 0}, {{.item = ItemIndex{0}}});
  const auto expected = OneStep(adjacency, 0, kBias);
  EXPECT_LT(ChiSquare(visits, expected, kSteps),
            Quantile9999(static_cast<double>(expected.size() - 1)));
}

// v = (alpha e_q + (1 - alpha) v) P, where P is one step.
TEST(RandomWalkTest, LongWalksVisitInTheShareOfTheWalkWithRestarts) {
  InteractionAdjacency adjacency(kMany);
  Fill(adjacency, RandomInteractions(3));
  constexpr uint32_t kStart = 4;
  for (const double alpha : {.2, .5, .8}) {
    std::map<uint32_t, double> share{{kStart, 1.0}};
    for (int round = 0; round < 300; ++round) {
      std::map<uint32_t, double> next;
      for (auto& [item, part] : share) part *= 1 - alpha;
      share[kStart] += alpha;
      for (const auto& [item, part] : share) {
        for (const auto& [end, probability] : OneStep(adjacency, item, kBias)) {
          next[end] += part * probability;
        }
      }
      share = next;
    }
    constexpr double kSteps = 400'000;
    const auto visits =
        Walk(adjacency, {.steps = static_cast<size_t>(kSteps), .restart = alpha, .goal_items = 0},
             {{.item = ItemIndex{kStart}}});
    // The visits of one walk depend on each other: five deviations of a sample a tenth as large.
    for (const auto& [item, part] : share) {
      EXPECT_NEAR(visits.at(item) / kSteps, part, 5 * std::sqrt(part * (1 - part) / (kSteps / 10)))
          << item << " " << alpha;
    }
  }
}

TEST(AllocateStepsTest, FollowsDegreesAndWeights) {
  std::vector<size_t> steps;
  const std::vector<size_t> degrees = {1, 10, 100};
  AllocateSteps(degrees, std::vector<double>{1, 1, 1}, 100, 10'000, steps);
  // 1 * 100, 10 * (100 - 2.302585), 100 * (100 - 4.605170); their sum is 10616.457
  EXPECT_THAT(steps, ElementsAre(94, 920, 8986));
  AllocateSteps(degrees, std::vector<double>{1, 2, 0}, 100, 10'000, steps);
  EXPECT_THAT(steps, ElementsAre(487, 9513, 0));
}

TEST(AllocateStepsTest, AStartWithoutUsersHasNone) {
  std::vector<size_t> steps;
  AllocateSteps(std::vector<size_t>{0, 5}, std::vector<double>{1, 1}, 5, 100, steps);
  EXPECT_THAT(steps, ElementsAre(0, 100));
  AllocateSteps(std::vector<size_t>{0, 0}, std::vector<double>{1, 1}, 5, 100, steps);
  EXPECT_THAT(steps, ElementsAre(0, 0));
  AllocateSteps({}, {}, 5, 100, steps);
  EXPECT_TRUE(steps.empty());
}

TEST(RandomWalkTest, ItemsMetFromSeveralStartsAreBoosted) {
  InteractionAdjacency adjacency(kMany);
  Fill(adjacency, RandomInteractions(1));
  const WalkOptions options{.steps = 1'000, .goal_items = 0};
  std::vector<size_t> steps;
  const NeighborLists& users = adjacency.users_of_items();
  AllocateSteps(std::vector<size_t>{users.Degree(2), users.Degree(5)}, std::vector<double>{1, 3},
                users.degree_max(), options.steps, steps);
  ASSERT_GT(steps[0], 0u);
  std::map<uint32_t, double> boosted;
  for (const auto& [item, visits] :
       Walk(adjacency, {.steps = steps[0], .goal_items = 0}, {{.item = ItemIndex{2}}})) {
    boosted[item] += std::sqrt(visits);
  }
  for (const auto& [item, visits] :
       Walk(adjacency, {.steps = steps[1], .goal_items = 0}, {{.item = ItemIndex{5}}})) {
    boosted[item] += std::sqrt(visits);
  }
  const auto together =
      Walk(adjacency, options,
           {{.item = ItemIndex{2}, .weight = 1}, {.item = ItemIndex{5}, .weight = 3}});
  ASSERT_EQ(together.size(), boosted.size());
  for (const auto& [item, root] : boosted) {
    EXPECT_NEAR(together.at(item), root * root, 1e-3 * root * root) << item;
  }
}

TEST(RandomWalkTest, EndsEarlyOnceEnoughItemsHaveEnoughVisits) {
  InteractionAdjacency adjacency(kMany);
  for (uint32_t user = 0; user < 100; ++user) {
    Take(adjacency, {user, 0, 1});
    for (uint32_t i = 0; i < 10; ++i) Take(adjacency, {user, 1 + (user * 7 + i * 13) % 300, 2});
  }
  const WalkOptions options{.steps = 100'000, .goal_items = 50, .goal_visits = 4};
  WalkSummary summary;
  const auto visits = Walk(adjacency, options, {{.item = ItemIndex{0}}}, 1, &summary);
  const auto reached = std::count_if(visits.begin(), visits.end(),
                                     [](const auto& visited) { return visited.second > 3.9; });
  EXPECT_GT(reached, 50);
  EXPECT_LT(reached, 70);  // not more than what one round adds
  EXPECT_EQ(summary.ended_early, 1u);
  EXPECT_LT(summary.steps, 10'000u);

  WalkOptions never = options;
  never.goal_items = 0;
  Walk(adjacency, never, {{.item = ItemIndex{0}}}, 1, &summary);
  EXPECT_EQ(summary.ended_early, 0u);
  EXPECT_EQ(summary.steps, 100'000u);
}

TEST(RandomWalkTest, TheSeedDecides) {
  InteractionAdjacency adjacency(kMany);
  Fill(adjacency, RandomInteractions(15));
  const std::vector<WalkStart> starts = {{.item = ItemIndex{3}}, {.item = ItemIndex{7}}};
  const auto first = Walk(adjacency, {.steps = 777}, starts, 5);
  EXPECT_EQ(Walk(adjacency, {.steps = 777}, starts, 5), first);
  EXPECT_NE(Walk(adjacency, {.steps = 777}, starts, 6), first);
  // The same graph, put together another way.
  InteractionAdjacency again(kMany);
  std::vector<Interaction> all = RandomInteractions(15);
  std::reverse(all.begin(), all.end());
  EXPECT_EQ(Walk(Fill(again, all), {.steps = 777}, starts, 5), first);
}

TEST(RandomWalkTest, StartsThatLeadNowhereGiveNothing) {
  InteractionAdjacency adjacency(kMany);
  Fill(adjacency, RandomInteractions(1));
  WalkSummary summary;
  EXPECT_TRUE(Walk(adjacency, {}, {}, 1, &summary).empty());
  EXPECT_TRUE(Walk(adjacency, {}, {{.item = ItemIndex{4'000'000}}}, 1, &summary).empty());
  EXPECT_EQ(summary.steps, 0u);
}

TEST(RandomWalkTest, TheDeadlineCutsItOff) {
  InteractionAdjacency adjacency(kMany);
  Fill(adjacency, RandomInteractions(1));
  WalkScratch scratch;
  const std::vector<WalkStart> starts = {{.item = ItemIndex{4}}, {.item = ItemIndex{5}}};
  const WalkSummary summary =
      RandomWalk(adjacency, {.steps = 1'000'000, .goal_items = 0})
          .Run(starts, 1, steady_clock::now() - std::chrono::seconds(1), scratch);
  EXPECT_TRUE(summary.cut_off);
  EXPECT_LT(summary.steps, 2'000u);
  EXPECT_FALSE(scratch.visited.empty());
}

TEST(RandomWalkTest, TheDeadlineCutsManyShortStartsOffToo) {
  InteractionAdjacency adjacency(kMany);
  Fill(adjacency, RandomInteractions(1));
  WalkScratch scratch;
  std::vector<WalkStart> starts;
  for (uint32_t item = 0; item < 12; ++item) starts.push_back({.item = ItemIndex{item}});
  const WalkSummary summary =
      RandomWalk(adjacency, {.steps = 1'200, .goal_items = 0})
          .Run(starts, 1, steady_clock::now() - std::chrono::seconds(1), scratch);
  EXPECT_TRUE(summary.cut_off);
  EXPECT_LT(summary.steps, 400u);
}

// Even users take even items only, but one user who takes all and is forgotten again and again:
// walks that begin after that and come from even items meet no odd one.
TEST(RandomWalkTest, WalksWhileTheGraphChangesMeetOnlyWhatIsThere) {
  InteractionAdjacency adjacency(64);
  std::mt19937_64 random(8);
  for (int i = 0; i < 500; ++i) {
    const auto user = static_cast<uint32_t>(random() % 40);
    const uint32_t item = static_cast<uint32_t>(random() % 30) * 2 + user % 2;
    if (adjacency.items_of_users().Degree(user) > 20) continue;
    const Edge edge{.item = ItemIndex{item}, .count = 1, .last = {.time_us = i * 1'000'000}};
    std::vector<Neighbor> items;
    adjacency.items_of_users().CopyTo(user, items);
    const bool has = std::any_of(items.begin(), items.end(),
                                 [&](const Neighbor& one) { return one.node == item; });
    if (!has)
      adjacency.Change(
          {.user = UserIndex{user}, .item = edge.item, .before = {}, .after = {&edge, 1}});
  }
  UserState bridge{.index = UserIndex{50}, .edges = {}};
  for (uint32_t item = 0; item < 60; ++item) {
    bridge.edges.push_back(
        {.item = ItemIndex{item}, .count = 3, .last = {.time_us = 9'000'000'000}});
  }
  std::atomic<int> closed{0};  // odd while there may be a bridge
  std::atomic<bool> stopping{false};
  std::atomic<size_t> wrong{0}, walks{0}, crossings{0};
  std::vector<std::thread> walkers;
  for (uint64_t number = 0; number < 3; ++number) {
    walkers.emplace_back([&, number] {
      WalkScratch scratch;
      const RandomWalk walk(adjacency, {.steps = 200, .goal_items = 0});
      for (uint64_t seed = number; !stopping; seed += 3) {
        const int before = closed.load(std::memory_order_acquire);
        const WalkStart start{.item = ItemIndex{static_cast<uint32_t>(seed % 30) * 2}};
        walk.Run({&start, 1}, seed, kNoDeadline, scratch);
        const bool crossed =
            std::any_of(scratch.visited.begin(), scratch.visited.end(),
                        [](const VisitedItem& visited) { return ToInt(visited.item) % 2 == 1; });
        const bool had_none = before % 2 == 0 && closed.load(std::memory_order_acquire) == before;
        wrong += crossed && had_none;
        crossings += crossed;
        ++walks;
      }
    });
  }
  for (int round = 0; round < 200 || walks < 300 || crossings == 0; ++round) {
    closed.fetch_add(1);
    for (const Edge& edge : bridge.edges) {
      adjacency.Change(
          {.user = bridge.index, .item = edge.item, .before = {}, .after = {&edge, 1}});
    }
    if (round % 8 == 0) std::this_thread::yield();
    for (const Edge& edge : bridge.edges) {
      adjacency.Change(
          {.user = bridge.index, .item = edge.item, .before = {&edge, 1}, .after = {}});
    }
    closed.fetch_add(1);
    if (round % 8 == 4) std::this_thread::yield();
  }
  stopping = true;
  for (std::thread& walker : walkers) walker.join();
  EXPECT_EQ(wrong, 0u);
}

}  // namespace
}  // namespace groundswell
