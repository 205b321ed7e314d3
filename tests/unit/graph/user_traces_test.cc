#include "graph/fold/user_traces.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/graph_fixture.h"
#include "tests/support/live_graph.h"
#include "tests/support/neighbors.h"
#include "tests/support/second.h"
#include "tests/support/temporary_directory.h"

namespace groundswell {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class UserTracesTest : public testing::Test {
 protected:
  void Open(const Window& window = {.traced = 8}) {
    MakeStore(path_, 10, window);
    Reopen();
  }
  void Reopen() {
    live_.reset();
    live_ = std::make_unique<LiveGraph>(path_);
  }
  void Take(const std::string& user, int item, int64_t time_s, Count weight = 1) {
    live_->Apply(MakeInteraction(user, "i" + std::to_string(item), weight, time_s * kSecond));
  }
  // The items that user 0 took, oldest first.
  std::vector<uint32_t> Trace() {
    live_->ExpectVerified();
    std::vector<uint32_t> items;
    for (const Neighbor& step : All(live_->adjacency->traces(), 0)) items.push_back(step.node);
    return items;
  }
  std::vector<Edge> EdgesTo(int item) {
    const UserState user = live_->User("a");
    const auto edges = user.EdgesTo(ItemIndex{static_cast<uint32_t>(item)});
    return {edges.begin(), edges.end()};
  }

  TemporaryDirectory directory_;
  const std::string path_ = directory_.File("db");
  std::unique_ptr<LiveGraph> live_;
};

TEST_F(UserTracesTest, OfOneInstantTheOrderIsThatOfTheLog) {
  Open();
  for (const int item : {7, 2, 9, 4}) Take("a", item, 20);
  EXPECT_THAT(Trace(), ElementsAre(7, 2, 9, 4));
  EXPECT_THAT(All(live_->adjacency->traces(), 0),
              ElementsAre(At(20, 7), At(20, 2), At(20, 9), At(20, 4)));
}

TEST_F(UserTracesTest, AnItemStandsInItAsOftenAsItWasTaken) {
  Open();
  for (const int item : {3, 3, 5, 3}) Take("a", item, 20, 2);
  EXPECT_THAT(Trace(), ElementsAre(3, 3, 5, 3));
  EXPECT_EQ(live_->progress().edge_count, 2) << "pairs of user and item";
}

TEST_F(UserTracesTest, ALateInteractionComesInWhereItHappened) {
  Open();
  Take("a", 1, 10);
  Take("a", 2, 30);
  Take("a", 3, 20);
  Take("a", 4, 5);
  EXPECT_THAT(Trace(), ElementsAre(4, 1, 3, 2));
}

TEST_F(UserTracesTest, TheNewestAreKeptAndOlderOnesSummedUpByItem) {
  Open({.traced = 8});
  for (int time = 0; time < 20; ++time) Take("a", time % 3, time);
  EXPECT_THAT(Trace(), testing::SizeIs(8));
  const auto of_0 = EdgesTo(0);  // taken at 0, 3, 6, 9, 12, 15, 18; the trace begins at 12
  ASSERT_EQ(of_0.size(), 4u);
  EXPECT_EQ(of_0[0].count, 4u);
  EXPECT_EQ(of_0[0].last.time_us, 9 * kSecond);
  EXPECT_EQ(of_0[1].count, 1u);
  EXPECT_EQ(of_0[1].last.time_us, 12 * kSecond);
  Take("a", 5, 1);  // late, behind all that is kept
  Take("a", 5, 2);
  EXPECT_EQ(EdgesTo(5).size(), 1u);
  EXPECT_THAT(Trace(), ElementsAre(0, 1, 2, 0, 1, 2, 0, 1));
}

TEST_F(UserTracesTest, TakingBackTakesTheNewestAndAnOlderOneMovesUp) {
  Open({.traced = 8});
  for (int time = 0; time < 9; ++time) Take("a", time, 10 + time);
  EXPECT_THAT(Trace(), ElementsAre(1, 2, 3, 4, 5, 6, 7, 8));
  Take("a", 5, 40, -1);
  EXPECT_THAT(Trace(), ElementsAre(0, 1, 2, 3, 4, 6, 7, 8));
  Take("a", 2, 41, 3);
  Take("a", 2, 42, -2);  // a part of it: it still stands there
  EXPECT_THAT(Trace(), ElementsAre(1, 2, 3, 4, 6, 7, 8, 2));
}

TEST_F(UserTracesTest, ForgottenUsersAndRemovedItemsLeaveNothing) {
  Open();
  for (const int item : {1, 2, 1, 3}) Take("a", item, 20);
  for (const int item : {4, 5}) Take("b", item, 20);
  live_->Apply(RemoveItem{
      .event_id = "remove", .item_id = "i1", .item_hash = HashId("i1"), .time_us = 50 * kSecond});
  EXPECT_THAT(Trace(), ElementsAre(2, 3));
  live_->Apply(ForgetUser{
      .event_id = "forget", .user_id = "a", .user_hash = HashId("a"), .time_us = 50 * kSecond});
  EXPECT_THAT(Trace(), IsEmpty());
  EXPECT_THAT(All(live_->adjacency->traces(), 1), ElementsAre(At(20, 4), At(20, 5)));
}

TEST_F(UserTracesTest, WhatLeavesAWindowLeavesTheTrace) {
  Open({.age_us = 50 * kSecond});
  Take("a", 3, 100);
  Take("a", 4, 110);
  Take("a", 3, 120);
  EXPECT_THAT(Trace(), ElementsAre(3, 4, 3));
  Take("b", 5, 155);
  EXPECT_THAT(Trace(), ElementsAre(4, 3));
  Take("b", 5, 300);
  EXPECT_THAT(Trace(), IsEmpty());
}

TEST_F(UserTracesTest, AWindowOfItemsTakesAllOfAnItem) {
  Open({.items = 2, .traced = 8});
  for (const int item : {1, 2, 1, 2, 3}) Take("a", item, 20);
  EXPECT_THAT(Trace(), ElementsAre(2, 2, 3));
}

// As in a database from before the sequence was kept.
TEST_F(UserTracesTest, WithoutATraceItemsStandAtTheirNewestInteraction) {
  Open({.traced = 0});
  for (const int item : {1, 2, 1, 3}) Take("a", item, 20);
  EXPECT_THAT(Trace(), ElementsAre(2, 1, 3));
  EXPECT_EQ(EdgesTo(1).size(), 1u);
}

TEST_F(UserTracesTest, ARestartFindsTheSame) {
  Open();
  for (int event = 0; event < 60; ++event) Take("a", event * 5 % 7, event * 31 % 40);
  const std::vector<uint32_t> before = Trace();
  const std::string digest = live_->Digest();
  Reopen();
  EXPECT_EQ(Trace(), before);
  EXPECT_EQ(live_->Digest(), digest);
}

// A reader never sees one item behind another that it did not follow, while the sequence 0 to 9
// goes round in a trace that is full.
TEST_F(UserTracesTest, ReadersSeeOnlyWhatFollowedEachOther) {
  Open();
  for (int time = 0; time < 20; ++time) Take("a", time % 10, time);
  std::atomic<bool> stopping{false};
  std::atomic<size_t> wrong{0};
  std::thread reader([&] {
    std::vector<Neighbor> steps;
    while (!stopping) {
      live_->adjacency->traces().CopyTo(0, steps);
      for (size_t at = 1; at < steps.size(); ++at) {
        wrong += steps[at].node != (steps[at - 1].node + 1) % 10;
      }
    }
  });
  std::vector<LogEntry> entries;
  for (int time = 20; time < 2'000; ++time) {
    entries.push_back(MakeInteraction("a", "i" + std::to_string(time % 10), 1, time * kSecond));
  }
  live_->Apply(std::move(entries));
  stopping = true;
  reader.join();
  EXPECT_EQ(wrong, 0u);
}

}  // namespace
}  // namespace groundswell
