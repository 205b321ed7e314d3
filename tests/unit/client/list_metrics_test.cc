#include "client/evaluate/list_metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace groundswell {
namespace {

TEST(ListMetricsTest, NothingAskedIsZeroAndOfUnknownWidth) {
  const ListMetrics::Summary summary = ListMetrics().Summarise();
  EXPECT_EQ(summary.events, 0u);
  EXPECT_EQ(summary.users, 0u);
  EXPECT_EQ(summary.hit_rate[0].mean, 0);
  EXPECT_TRUE(std::isnan(summary.hit_rate[0].half_width));
  EXPECT_EQ(summary.mrr.mean, 0);
}

TEST(ListMetricsTest, APlaceCountsUpToTheCutoffAndNotBehindIt) {
  ListMetrics metrics;
  uint32_t user = 0;
  for (const size_t rank : {0, 1, 10, 11, 20, 21, 100, 101}) metrics.Add(user++, rank);
  EXPECT_EQ(metrics.hits(0), 2u);
  EXPECT_EQ(metrics.hits(1), 4u);
  EXPECT_EQ(metrics.hits(2), 6u);
  const ListMetrics::Summary summary = metrics.Summarise();
  EXPECT_DOUBLE_EQ(summary.hit_rate[0].mean, 2.0 / 8);
  EXPECT_DOUBLE_EQ(summary.hit_rate[1].mean, 4.0 / 8);
  EXPECT_DOUBLE_EQ(summary.hit_rate[2].mean, 6.0 / 8);
}

// The values of tests/trainer/test_metrics.py and by hand: one relevant item at place 2 has NDCG
// 1 / log2(3).
TEST(ListMetricsTest, GainsAreThoseOfTheTrainersMetrics) {
  ListMetrics second;
  second.Add(0, 2);
  EXPECT_DOUBLE_EQ(second.Summarise().ndcg[1].mean, 1 / std::log2(3));
  EXPECT_DOUBLE_EQ(second.Summarise().mrr.mean, 0.5);
  ListMetrics metrics;
  metrics.Add(0, 1);
  metrics.Add(1, 4);
  metrics.Add(2, 15);
  metrics.Add(3, 0);
  const ListMetrics::Summary summary = metrics.Summarise();
  EXPECT_DOUBLE_EQ(summary.ndcg[0].mean, (1 + 1 / std::log2(5)) / 4);
  EXPECT_DOUBLE_EQ(summary.ndcg[1].mean, (1 + 1 / std::log2(5) + 0.25) / 4);
  EXPECT_DOUBLE_EQ(summary.ndcg[2].mean, summary.ndcg[1].mean);
  EXPECT_DOUBLE_EQ(summary.mrr.mean, (1 + 0.25 + 1.0 / 15) / 4);
}

// With one event per user the interval is that of independent draws: s / sqrt(n), with n - 1.
TEST(ListMetricsTest, TheIntervalOfIndependentEventsIsTheTextbooks) {
  ListMetrics metrics;
  for (uint32_t user = 0; user < 10; ++user) metrics.Add(user, user < 3 ? 1 : 0);
  const Estimate hits = metrics.Summarise().hit_rate[0];
  EXPECT_DOUBLE_EQ(hits.mean, 0.3);
  const double deviation = std::sqrt((3 * 0.7 * 0.7 + 7 * 0.3 * 0.3) / 9);
  EXPECT_NEAR(hits.half_width, 1.96 * deviation / std::sqrt(10), 1e-4);
}

// By hand: user 0 has hits 1, 1, 1, 0 and user 1 none of two. m = 1/2; the sums of deviations are
// 3 - 4/2 = 1 and 0 - 2/2 = -1; se^2 = 2/1 * 2 / 6^2 = 1/9.
TEST(ListMetricsTest, EventsOfOneUserAreNotIndependent) {
  ListMetrics metrics;
  for (const size_t rank : {1, 2, 3, 0}) metrics.Add(0, rank);
  metrics.Add(1, 0);
  metrics.Add(1, 0);
  const ListMetrics::Summary summary = metrics.Summarise();
  EXPECT_EQ(summary.users, 2u);
  EXPECT_DOUBLE_EQ(summary.hit_rate[0].mean, 0.5);
  EXPECT_NEAR(summary.hit_rate[0].half_width, 1.96 / 3, 1e-4);
}

TEST(ListMetricsTest, OneUserGivesNoInterval) {
  ListMetrics metrics;
  metrics.Add(7, 1);  // numbers below it that were never used are no users
  metrics.Add(7, 0);
  const ListMetrics::Summary summary = metrics.Summarise();
  EXPECT_EQ(summary.users, 1u);
  EXPECT_DOUBLE_EQ(summary.hit_rate[0].mean, 0.5);
  EXPECT_TRUE(std::isnan(summary.hit_rate[0].half_width));
}

}  // namespace
}  // namespace groundswell
