#include "graph/fold/judgement.h"

#include <gtest/gtest.h>

#include <optional>
#include <vector>

#include "graph/state/macro_graph.h"
#include "tests/support/graph_fixture.h"

namespace groundswell {
namespace {

constexpr ItemIndex kA{3};
constexpr ItemIndex kB{5};
constexpr Surroundings kPlain{.item = kA};

Recency Instant(int64_t time_us) { return {.time_us = time_us, .offset = time_us}; }

Interaction Of(Count weight, int64_t time_us = 100) {
  return MakeInteraction("ann", "a", weight, time_us);
}

UserState UserWith(std::vector<Edge> edges) { return {.edges = std::move(edges)}; }

FoldOutcome OutcomeOf(const Interaction& interaction, const Surroundings& around,
                      const UserState* user = nullptr) {
  return Judge(interaction, around, user).outcome;
}

TEST(JudgementTest, WhatFitsIsApplied) {
  EXPECT_EQ(OutcomeOf(Of(1), kPlain), FoldOutcome::kApplied);
  const UserState user = UserWith({{kA, 2, Instant(1)}});
  EXPECT_EQ(OutcomeOf(Of(-2), kPlain, &user), FoldOutcome::kApplied) << "down to none";
}

TEST(JudgementTest, ACountStaysAboveZero) {
  const UserState user = UserWith({{kA, 1, Instant(1)}, {kA, 1, Instant(2)}, {kB, 9, Instant(3)}});
  const Judgement judgement = Judge(Of(-3), kPlain, &user);
  EXPECT_EQ(judgement.outcome, FoldOutcome::kBelowZero);
  EXPECT_EQ(judgement.bound, 2) << "of this item alone, all its edges";
  EXPECT_EQ(OutcomeOf(Of(-1), kPlain, nullptr), FoldOutcome::kBelowZero);
}

TEST(JudgementTest, TheSumOfAllCountsIsBounded) {
  Surroundings around = kPlain;
  around.total_count = kTotalCountMax - 2;
  EXPECT_EQ(OutcomeOf(Of(2), around), FoldOutcome::kApplied);
  EXPECT_EQ(OutcomeOf(Of(3), around), FoldOutcome::kOverflow);
}

TEST(JudgementTest, TheWindowOfAgeHoldsItsBeginning) {
  Surroundings around = kPlain;
  around.window_begin_us = 100;
  EXPECT_EQ(OutcomeOf(Of(1, 100), around), FoldOutcome::kApplied);
  const Judgement judgement = Judge(Of(1, 99), around, nullptr);
  EXPECT_EQ(judgement.outcome, FoldOutcome::kOutsideWindow);
  EXPECT_EQ(judgement.bound, 100);
}

TEST(JudgementTest, WhatHappenedUntilTheForgettingIsLate) {
  Surroundings around = kPlain;
  around.late_until_us = 100;
  EXPECT_EQ(OutcomeOf(Of(1, 101), around), FoldOutcome::kApplied);
  const Judgement judgement = Judge(Of(1, 100), around, nullptr);
  EXPECT_EQ(judgement.outcome, FoldOutcome::kForgotten);
  EXPECT_EQ(judgement.bound, 100);
}

TEST(JudgementTest, AClockThatWasAheadAtARemovalMakesNothingLateThatTheLogHadNotYetReached) {
  constexpr int64_t kDay = int64_t{86'400} * 1'000'000;
  const Tombstone removal{.time_us = 400 * kDay, .newest_event_time_us = 90};
  const auto late_until = [&](int64_t received_us) {
    Interaction interaction = Of(1);
    interaction.received_time_us = received_us;
    return LateUntil(removal, interaction);
  };
  EXPECT_EQ(late_until(0), 400 * kDay) << "not known";
  EXPECT_EQ(late_until(401 * kDay), 400 * kDay);
  EXPECT_EQ(late_until(399 * kDay), 400 * kDay) << "clocks are set right by a little every day";
  EXPECT_EQ(late_until(399 * kDay - 1), 90);
  EXPECT_LT(LateUntil(std::nullopt, Of(1)), 0);
}

// Everything is wrong with it; one cause after the other is taken away.
TEST(JudgementTest, OfSeveralCausesTheFirstIsGiven) {
  Surroundings around{.item = std::nullopt,
                      .late_until_us = 100,
                      .window_begin_us = 200,
                      .total_count = kTotalCountMax};
  EXPECT_EQ(OutcomeOf(Of(-1), around), FoldOutcome::kForgotten)
      << "it leaves the log, whatever else is wrong";
  around.late_until_us = 99;
  EXPECT_EQ(OutcomeOf(Of(-1), around), FoldOutcome::kUnknownItem);
  around.item = kA;
  EXPECT_EQ(OutcomeOf(Of(-1), around), FoldOutcome::kOutsideWindow);
  around.window_begin_us = 100;
  EXPECT_EQ(OutcomeOf(Of(-1), around), FoldOutcome::kBelowZero);
  EXPECT_EQ(OutcomeOf(Of(1), around), FoldOutcome::kOverflow);
}

// Takes out what is named, and says what it was.
std::vector<ItemIndex> Leave(const Window& window, UserState& user) {
  std::vector<ItemIndex> left;
  LeaveWindows(
      window, user,
      [&](size_t at) {
        left.push_back(user.edges[at].item);
        user.edges.erase(user.edges.begin() + static_cast<ptrdiff_t>(at));
      },
      [&](ItemIndex item) {
        left.push_back(item);
        std::erase_if(user.edges, [item](const Edge& edge) { return edge.item == item; });
      },
      [&](size_t at) { MergeIntoOlder(user, at); });
  return left;
}

TEST(JudgementTest, WithoutWindowsByCountNothingLeaves) {
  UserState user = UserWith({{kA, 1, Instant(1)}, {kB, 1, Instant(2)}});
  EXPECT_TRUE(Leave({.age_us = 1}, user).empty());
}

TEST(JudgementTest, TheOldestInteractionsLeaveAndThenTheOldestItems) {
  UserState user = UserWith({{kA, 1, Instant(1)},
                             {kA, 1, Instant(4)},
                             {kB, 1, Instant(2)},
                             {ItemIndex{7}, 1, Instant(3)}});
  EXPECT_EQ(Leave({.interactions = 3, .items = 1}, user),
            (std::vector<ItemIndex>{kA, ItemIndex{7}, kB}));
  EXPECT_EQ(user.edges, (std::vector<Edge>{{kA, 1, Instant(4)}}));
}

TEST(JudgementTest, WhatIsBehindTheTraceIsSummedUpByItemAndNothingLeaves) {
  UserState user = UserWith(
      {{kA, 1, Instant(1)}, {kA, 2, Instant(2)}, {kA, 1, Instant(4)}, {kB, 1, Instant(3)}});
  EXPECT_TRUE(Leave({.traced = 2}, user).empty());
  EXPECT_EQ(user.edges,
            (std::vector<Edge>{{kA, 3, Instant(2)}, {kA, 1, Instant(4)}, {kB, 1, Instant(3)}}));
}

}  // namespace
}  // namespace groundswell
