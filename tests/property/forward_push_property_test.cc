// Forward push on random graphs: p and the PageRank of what is left are the PageRank of the seed,
// at the end and wherever it was stopped; p is within its bound; and a node's place among all does
// not matter to the bound.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "models/encoders/forward_push.h"
#include "tests/support/push_oracle.h"
#include "tests/support/sanitized.h"

namespace groundswell {
namespace {

class ForwardPushProperty : public testing::TestWithParam<int> {};

TEST_P(ForwardPushProperty, WhatIsPushedAndWhatIsLeftArePageRank) {
  std::mt19937_64 random(static_cast<uint64_t>(GetParam()));
  const size_t nodes = 1 + random() % 40;
  PushOracle graph(nodes);
  // Among them nodes without edges, with one to themselves, several to one neighbour, of 2^31.
  for (size_t i = random() % (3 * nodes); i > 0; --i) {
    const uint64_t drawn = random() % 8;
    const double weight = drawn == 0 ? 0x1p31 : static_cast<double>(1 + random() % 15);
    graph.AddEdge(static_cast<uint32_t>(random() % nodes), static_cast<uint32_t>(random() % nodes),
                  weight);
  }
  const PushArrays arrays = graph.Arrays();
  std::vector<double> seed(nodes);
  for (double& number : seed) number = random() % 3 == 0 ? static_cast<double>(random() % 10) : 0;
  seed[random() % nodes] += 1;
  const double sum = std::accumulate(seed.begin(), seed.end(), 0.0);
  for (double& number : seed) number /= sum;
  for (const double alpha : {0.1, 0.5, 1.0}) {
    for (const double epsilon : {1e-2, 1e-5}) {
      const std::vector<double> pi = graph.PageRank(seed, alpha);
      const PushResult whole =
          ForwardPush(arrays.Graph(), seed, {.alpha = alpha, .epsilon = epsilon});
      ASSERT_TRUE(whole.is_done);
      for (const size_t most : {whole.edges, whole.edges / 2, size_t{1}}) {
        if (most == 0) continue;
        const PushResult result = ForwardPush(
            arrays.Graph(), seed, {.alpha = alpha, .epsilon = epsilon, .edges_max = most});
        EXPECT_LE(result.edges, most);
        EXPECT_EQ(result.is_done, most == whole.edges || result.pushes == whole.pushes);
        const std::vector<double> rest = graph.PageRank(result.residual, alpha);
        for (size_t v = 0; v < nodes; ++v) {
          ASSERT_NEAR(result.p[v] + rest[v], pi[v], 1e-12) << "node " << v;
          ASSERT_GE(pi[v] - result.p[v], -1e-12) << "node " << v;
          if (!result.is_done) continue;
          EXPECT_LE(result.residual[v], epsilon * graph.Degree(v));
          EXPECT_LE(pi[v] - result.p[v], epsilon * graph.Degree(v) + 1e-12) << "node " << v;
        }
      }
      // All weights are at least 1.
      EXPECT_LE(static_cast<double>(whole.edges), 1 / (alpha * epsilon));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, ForwardPushProperty, testing::Range(0, Rounds(24)));

TEST(ForwardPushTest, ANodeWithoutEdgesKeepsItsShareAndDropsTheRest) {
  const PushArrays arrays = PushOracle(2).Arrays();
  const std::vector<double> seed{0, 1};
  const PushResult result = ForwardPush(arrays.Graph(), seed, {.alpha = 0.25, .epsilon = 0.1});
  EXPECT_EQ(result.p, (std::vector<double>{0, 0.25}));
  EXPECT_EQ(result.residual, (std::vector<double>{0, 0}));
  EXPECT_EQ(result.pushes, 1u);
  EXPECT_EQ(result.edges, 0u);
}

TEST(ForwardPushTest, WithoutASeedThereIsNothing) {
  PushOracle graph(2);
  graph.AddEdge(0, 1, 1);
  const PushArrays arrays = graph.Arrays();
  const PushResult result = ForwardPush(arrays.Graph(), std::vector<double>(2), {});
  EXPECT_TRUE(result.is_done);
  EXPECT_EQ(result.pushes, 0u);
}

}  // namespace
}  // namespace groundswell
