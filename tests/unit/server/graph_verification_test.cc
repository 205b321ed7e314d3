// A verification compares all that follows the users' edges in memory, while interactions come.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "graph/upkeep/adjacency_verification.h"
#include "graph/upkeep/verification.h"
#include "server/serving/counts_verification.h"
#include "tests/support/graph_fixture.h"
#include "tests/support/second.h"
#include "tests/support/value_or_throw.h"
#include "tests/unit/server/live_tiny.h"

namespace groundswell {
namespace {

constexpr int64_t kFirstSecond = 1'700'000'000;

class GraphVerificationTest : public testing::Test {
 protected:
  void Take(const std::string& user, int item, int64_t at_s, Count weight = 1) {
    tiny_.live().Apply(
        MakeInteraction(user, fmt::format("i{}", item), weight, (kFirstSecond + at_s) * kSecond));
  }
  std::vector<std::string> Differences() {
    ServingState& state = tiny_.state();
    AdjacencyVerification adjacency(*state.adjacency, state.generation, *state.applier);
    CountsVerification counts(state);
    return ValueOrThrow(VerifyGraph(*tiny_.live().store, state.generation, *state.applier,
                                    *state.catalogue, *state.graph,
                                    {{adjacency.View(), counts.View()}}))
        .differences;
  }
  // An edge of "ann", user 0, that no user has; told to a view alone, whose one writer is idle.
  EdgeChange Phantom() const {
    return {.user = UserIndex{0}, .item = ItemIndex{2}, .after = phantom_, .of_user = phantom_};
  }

  LiveTiny tiny_;
  const std::vector<Edge> phantom_{
      {.item = ItemIndex{2}, .count = 3, .last = {.time_us = (kFirstSecond - 5) * kSecond}}};
};

TEST_F(GraphVerificationTest, WhatWasTakenTakenBackAndForgottenAgrees) {
  Take("ann", 0, 0);
  Take("ann", 1, 7'200);
  Take("ann", 0, 7'300, 2);
  Take("bob", 3, 90'000);
  Take("ann", 0, 90'001, -1);
  Take("new", 3, 90'000'000);
  tiny_.live().Apply(ForgetUser{.event_id = "forget bob",
                                .user_id = "bob",
                                .user_hash = HashId("bob"),
                                .time_us = (kFirstSecond + 90'000'100) * kSecond});
  EXPECT_EQ(Differences(), std::vector<std::string>{});
}

TEST_F(GraphVerificationTest, PopularityThatNobodyCausedIsFound) {
  Take("ann", 0, 0);
  tiny_.state().fading_counts->Change(Phantom());
  const std::vector<std::string> differences = Differences();
  ASSERT_EQ(differences.size(), kBlendHalfLivesS.size());
  EXPECT_NE(differences[0].find("item \"i2\": its popularity at the half-life of 300 s"),
            std::string::npos)
      << differences[0];
}

TEST_F(GraphVerificationTest, AnAgeThatNobodyCausedIsFound) {
  Take("ann", 0, 0);
  tiny_.state().item_ages->Change(Phantom());
  EXPECT_EQ(Differences().size(), 1u);
}

TEST_F(GraphVerificationTest, ATrendThatNobodyCausedIsFound) {
  Take("ann", 0, 0);
  tiny_.state().trending->Change(Phantom(), 0);
  EXPECT_EQ(Differences().size(), 1u);
}

TEST_F(GraphVerificationTest, AnEdgeOfTheWalksThatNobodyHasIsFound) {
  Take("ann", 0, 0);
  tiny_.state().adjacency->Change(Phantom());
  const std::vector<std::string> differences = Differences();
  ASSERT_EQ(differences.size(), 2u);  // too many edges; and the user whose they are
  EXPECT_NE(differences[1].find("user \"ann\""), std::string::npos) << differences[1];
}

// Whoever comes by while the users are read is read again, and agrees.
TEST_F(GraphVerificationTest, AgreesWhileInteractionsCome) {
  std::jthread writer([this](const std::stop_token& stop) {
    for (int at = 0; !stop.stop_requested(); ++at) {
      Take(fmt::format("u{}", at % 50), at % 4, at, at % 7 == 6 ? -1 : 1);
    }
  });
  for (int round = 0; round < 20; ++round) {
    EXPECT_EQ(Differences(), std::vector<std::string>{}) << round;
  }
}

}  // namespace
}  // namespace groundswell
