#include "graph/fold/interaction_adjacency.h"

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

class InteractionAdjacencyTest : public testing::Test {
 protected:
  void Open(const Window& window = {}) {
    MakeStore(path_, 10, window);
    Reopen();
  }
  void Reopen(size_t neighbors_max = 4'096) {
    live_.reset();
    live_ = std::make_unique<LiveGraph>(path_, LiveGraphOptions{.neighbors_max = neighbors_max});
  }
  void Take(const std::string& user, int item, int64_t time_s, Count weight = 1) {
    live_->Apply(MakeInteraction(user, "i" + std::to_string(item), weight, time_s * kSecond));
  }
  void Forget(const std::string& user) {
    live_->Apply(ForgetUser{.event_id = "forget " + user,
                            .user_id = user,
                            .user_hash = HashId(user),
                            .time_us = 1'000 * kSecond});
  }
  std::vector<Neighbor> UsersOf(uint32_t item) {
    return All(live_->adjacency->users_of_items(), item);
  }
  std::vector<Neighbor> ItemsOf(uint32_t user) {
    return All(live_->adjacency->items_of_users(), user);
  }

  TemporaryDirectory directory_;
  const std::string path_ = directory_.File("db");
  std::unique_ptr<LiveGraph> live_;
};

TEST_F(InteractionAdjacencyTest, AnInteractionIsThereBothWaysOnceItIsApplied) {
  Open();
  Take("a", 3, 20, 2);
  Take("a", 4, 10);
  Take("b", 3, 15);
  EXPECT_THAT(ItemsOf(0), ElementsAre(At(10, 4), At(20, 3, 2)));
  EXPECT_THAT(UsersOf(3), ElementsAre(At(15, 1), At(20, 0, 2)));
  live_->ExpectVerified();
}

TEST_F(InteractionAdjacencyTest, RepeatedInteractionsAreOneEdgeOfTheirSumAndTheNewestTime) {
  Open();
  Take("a", 3, 20);
  Take("a", 3, 30, 2);
  Take("a", 3, 10);
  EXPECT_THAT(ItemsOf(0), ElementsAre(At(30, 3, 4)));
  Take("a", 3, 40, 100);
  EXPECT_THAT(UsersOf(3), ElementsAre(At(40, 0, NeighborLists::kStepWeightMax)));
}

TEST_F(InteractionAdjacencyTest, TakingBackLowersTheWeightAndThenEndsTheEdge) {
  Open();
  Take("a", 3, 20, 3);
  Take("a", 3, 30, -1);
  EXPECT_THAT(ItemsOf(0), ElementsAre(At(20, 3, 2)));
  Take("a", 3, 40, -2);
  EXPECT_THAT(ItemsOf(0), IsEmpty());
  EXPECT_THAT(UsersOf(3), IsEmpty());
}

TEST_F(InteractionAdjacencyTest, ARefusedInteractionChangesNothing) {
  Open();
  Take("a", 3, 20);
  Take("a", 3, 30, -2);  // below zero
  Take("a", 99, 30);     // unknown
  EXPECT_THAT(ItemsOf(0), ElementsAre(At(20, 3)));
  live_->ExpectVerified();
}

TEST_F(InteractionAdjacencyTest, AForgottenUserIsReachedFromNowhere) {
  Open();
  for (int item = 0; item < 10; ++item) {
    Take("a", item, 10 + item);
    Take("b", item, 30 - item);
  }
  Forget("a");
  EXPECT_THAT(ItemsOf(0), IsEmpty());
  for (uint32_t item = 0; item < 10; ++item)
    EXPECT_THAT(UsersOf(item), ElementsAre(At(30 - item, 1)));
  live_->ExpectVerified();
}

TEST_F(InteractionAdjacencyTest, ARemovedItemIsReachedFromNowhere) {
  Open();
  Take("a", 3, 20);
  Take("a", 4, 30);
  Take("b", 3, 25);
  live_->Apply(RemoveItem{
      .event_id = "remove", .item_id = "i3", .item_hash = HashId("i3"), .time_us = 100 * kSecond});
  EXPECT_THAT(UsersOf(3), IsEmpty());
  EXPECT_THAT(ItemsOf(0), ElementsAre(At(30, 4)));
  EXPECT_THAT(ItemsOf(1), IsEmpty());
  live_->ExpectVerified();
}

// Item 3 keeps its newest eight users; what happens to the others leaves it as it is.
TEST_F(InteractionAdjacencyTest, AFullItemKeepsItsNewestUsersOnly) {
  Open();
  Reopen(/*neighbors_max=*/8);
  for (uint32_t user = 0; user < 12; ++user) Take("u" + std::to_string(user), 3, 100 + user);
  const auto newest = [&](uint32_t first) {
    std::vector<Neighbor> users;
    for (uint32_t user = first; user < 12; ++user) users.push_back(At(100 + user, user));
    return users;
  };
  EXPECT_EQ(UsersOf(3), newest(4));
  EXPECT_EQ(live_->adjacency->evicted_count(), 4u);
  EXPECT_THAT(ItemsOf(0), ElementsAre(At(100, 3))) << "the other way it is still there";
  Forget("u0");
  EXPECT_EQ(UsersOf(3), newest(4));
  Take("u1", 3, 105, -1);
  EXPECT_EQ(UsersOf(3), newest(4));
  Forget("u4");
  EXPECT_EQ(UsersOf(3), newest(5));
  Take("u2", 3, 200);  // comes back
  std::vector<Neighbor> with_u2 = newest(5);
  with_u2.push_back(At(200, 2, 2));
  EXPECT_EQ(UsersOf(3), with_u2);
  Reopen(8);
  EXPECT_EQ(UsersOf(3).size(), 8u) << "u3 has room again";
  live_->ExpectVerified();
}

TEST_F(InteractionAdjacencyTest, WhatLeavesTheWindowLeavesTheEdge) {
  Open({.age_us = 50 * kSecond});
  Take("a", 3, 100);
  Take("a", 3, 120);
  Take("a", 4, 110);
  EXPECT_THAT(ItemsOf(0), ElementsAre(At(110, 4), At(120, 3, 2)));
  Take("b", 5, 155);
  EXPECT_THAT(ItemsOf(0), ElementsAre(At(110, 4), At(120, 3)));
  Take("b", 6, 165);
  EXPECT_THAT(ItemsOf(0), ElementsAre(At(120, 3)));
  Take("b", 7, 300);
  EXPECT_THAT(ItemsOf(0), IsEmpty());
  EXPECT_THAT(UsersOf(3), IsEmpty());
  live_->ExpectVerified();
}

TEST_F(InteractionAdjacencyTest, ANewSnapshotsClustersLeaveItAsItIs) {
  Open();
  Take("a", 3, 20);
  Take("b", 4, 30);
  live_->Apply(ActivateSnapshot{.event_id = "activate",
                                .snapshot_digest = live_->generation.ReadState()->snapshot_digest});
  EXPECT_THAT(ItemsOf(0), ElementsAre(At(20, 3)));
  EXPECT_THAT(UsersOf(4), ElementsAre(At(30, 1)));
  live_->ExpectVerified();
}

TEST_F(InteractionAdjacencyTest, ARestartFindsTheSame) {
  Open();
  for (int event = 0; event < 200; ++event) {
    Take("u" + std::to_string(event * 7 % 13), event * 5 % 10, event * 31 % 100);
  }
  std::vector<std::vector<Neighbor>> before;
  for (uint32_t item = 0; item < 10; ++item) before.push_back(UsersOf(item));
  Reopen();
  for (uint32_t item = 0; item < 10; ++item) EXPECT_EQ(UsersOf(item), before[item]);
  live_->ExpectVerified();
}

TEST_F(InteractionAdjacencyTest, TimesOutsideOfWhatAnEdgeHoldsAreTheNearestThatItHolds) {
  Open();
  Take("a", 4, int64_t{1} << 33);
  EXPECT_THAT(ItemsOf(0), ElementsAre(At(~0u, 4)));
}

// Once a user's forgetting is applied, no reader finds the user from any item, while the same user
// id comes back (as another user) and goes again.
TEST_F(InteractionAdjacencyTest, ForgettingIsSeenByReadersThatGoOn) {
  Open();
  std::atomic<uint32_t> forgotten{0};  // users below this index
  std::atomic<bool> stopping{false};
  std::atomic<size_t> wrong{0};
  std::thread reader([&] {
    std::vector<Neighbor> users;
    while (!stopping) {
      for (uint32_t item = 0; item < 10; ++item) {
        const uint32_t gone = forgotten.load(std::memory_order_acquire);
        live_->adjacency->users_of_items().CopyTo(item, users);
        for (const Neighbor& user : users) wrong += user.node < gone;
      }
    }
  });
  for (uint32_t round = 0; round < 50; ++round) {
    const int64_t time_s = 2'000 + round * 10;
    std::vector<LogEntry> entries;
    for (int item = 0; item < 10; ++item) {
      entries.push_back(MakeInteraction("a", "i" + std::to_string(item), 1, time_s * kSecond));
    }
    entries.push_back(ForgetUser{.event_id = "forget " + std::to_string(round),
                                 .user_id = "a",
                                 .user_hash = HashId("a"),
                                 .time_us = (time_s + 1) * kSecond});
    live_->Apply(std::move(entries));
    forgotten.store(round + 1, std::memory_order_release);
  }
  stopping = true;
  reader.join();
  EXPECT_EQ(wrong, 0u);
  EXPECT_EQ(live_->adjacency->users_of_items().edge_count(), 0u);
  live_->ExpectVerified();
}

}  // namespace
}  // namespace groundswell
