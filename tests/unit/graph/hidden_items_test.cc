// Items that a user hid: beside the graph, in the user's record.
#include <gtest/gtest.h>

#include "graph/fold/judgement.h"
#include "graph/state/user_state.h"
#include "tests/support/graph_fixture.h"

namespace groundswell {
namespace {

constexpr ItemIndex kItem2{2}, kItem4{4};

TEST(HiddenItemsTest, AreInTheRecordAndChangeNoOther) {
  UserState user{.index = UserIndex{3}, .cluster = 1, .changed_at = 9};
  user.edges.push_back({.item = kItem2, .count = 2, .last = {.time_us = 5, .offset = 7}});
  std::string plain, record;
  EncodeUserState(user, plain);
  Hide(user, kItem4, 20);
  Hide(user, kItem2, 10);
  EncodeUserState(user, record);
  EXPECT_EQ(record.size(), plain.size() + 8 + 32);
  const auto decoded = DecodeUserState(record);
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(decoded->hidden, user.hidden);
  EXPECT_EQ(decoded->edges, user.edges);
  EXPECT_EQ(decoded->hidden[0].item, kItem2) << "ascending";
  for (size_t size = 0; size < record.size(); ++size) {
    EXPECT_FALSE(DecodeUserState(std::string_view(record).substr(0, size)).ok()) << size;
  }
}

TEST(HiddenItemsTest, WhatWasTakenSinceIsNotHidden) {
  UserState user;
  user.edges.push_back({.item = kItem2, .count = 1, .last = {.time_us = 50, .offset = 1}});
  Hide(user, kItem2, 40);
  EXPECT_TRUE(user.hidden.empty()) << "the hiding came late";
  Hide(user, kItem2, 60);
  Reveal(user, kItem2, 55);
  EXPECT_EQ(user.hidden.size(), 1u) << "it was taken before it was hidden";
  Reveal(user, kItem2, 61);
  EXPECT_TRUE(user.hidden.empty());
}

TEST(HiddenItemsTest, HidingIsNeverBelowZeroNorOutsideTheWindow) {
  const Interaction hides = MakeInteraction("u", "i0", 0, 100);
  EXPECT_EQ(Judge(hides, {.item = kItem2, .window_begin_us = 200}, nullptr).outcome,
            FoldOutcome::kApplied);
  EXPECT_EQ(Judge(hides, {.item = kItem2, .late_until_us = 100}, nullptr).outcome,
            FoldOutcome::kForgotten);
  EXPECT_EQ(Judge(hides, {}, nullptr).outcome, FoldOutcome::kUnknownItem);
}

}  // namespace
}  // namespace groundswell
