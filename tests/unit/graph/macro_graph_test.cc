#include "graph/state/macro_graph.h"

#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <thread>

namespace groundswell {
namespace {

constexpr MacroShape kShape{.user_clusters = 2, .item_clusters = 2, .recent_len = 2};

class MacroGraphTest : public testing::Test {
 protected:
  std::vector<Count> OneHop(ItemIndex item) {
    std::vector<Count> counts(kShape.user_clusters);
    graph_.items().ReadRows(std::vector{item}, counts, {}, {}, 0);
    return counts;
  }
  std::vector<Count> TwoHop(ItemIndex item) {
    std::vector<Count> counts(kShape.item_clusters);
    graph_.items().ReadRows(std::vector{item}, {}, counts, {}, 0);
    return counts;
  }
  std::vector<uint32_t> Newest(ItemIndex item) {
    std::vector<uint32_t> users(kShape.recent_len);
    graph_.items().ReadRows(std::vector{item}, {}, {}, users, 99);
    return users;
  }
  void Apply(UserState& user, uint32_t item, Count weight) {
    ++offset_;
    graph_.Apply(user, ItemIndex{item}, weight, {.time_us = offset_, .offset = offset_});
  }

  MacroGraph graph_{kShape, std::vector<Cluster>{0, 1, 1}};
  UserState ann_{.index = UserIndex{0}, .cluster = 0, .edges = {}};
  UserState bob_{.index = UserIndex{1}, .cluster = 1, .edges = {}};
  UserState eve_{.index = UserIndex{2}, .cluster = 1, .edges = {}};
  Offset offset_ = 0;
};

// The largest total makes the largest macro edges, which must still be exact.
TEST_F(MacroGraphTest, TheLargestTotalIsExact) {
  Apply(ann_, 0, kTotalCountMax);
  EXPECT_EQ(graph_.total_count(), kTotalCountMax);
  EXPECT_EQ(OneHop(ItemIndex{0})[0], kTotalCountMax);
  EXPECT_EQ(TwoHop(ItemIndex{0})[0], kTotalCountMax * kTotalCountMax);
  Apply(ann_, 0, -1);
  Apply(bob_, 1, 1);
  EXPECT_EQ(graph_.total_count(), kTotalCountMax);
  EXPECT_EQ(TwoHop(ItemIndex{0})[0], (kTotalCountMax - 1) * (kTotalCountMax - 1));
}

// By hand: ann takes i0 once and i1 twice; bob takes i1 once.
TEST_F(MacroGraphTest, CountsBothHops) {
  Apply(ann_, 0, 1);
  Apply(ann_, 1, 2);
  Apply(bob_, 1, 1);
  EXPECT_EQ(OneHop(ItemIndex{0}), (std::vector<Count>{1, 0}));
  EXPECT_EQ(OneHop(ItemIndex{1}), (std::vector<Count>{2, 1}));
  EXPECT_EQ(TwoHop(ItemIndex{0}), (std::vector<Count>{1, 2}));  // A[ann,0] * H1_ann
  EXPECT_EQ(TwoHop(ItemIndex{1}), (std::vector<Count>{2, 5}));  // 2*(1,2) + 1*(0,1)
  std::vector<Count> one_hop(2);
  std::vector<Count> two_hop(2);
  graph_.GatherUser(ann_, one_hop, two_hop);
  EXPECT_EQ(one_hop, (std::vector<Count>{1, 2}));
  EXPECT_EQ(two_hop, (std::vector<Count>{5, 2}));  // 1*(1,0) + 2*(2,1)
}

TEST_F(MacroGraphTest, TakingEverythingBackLeavesNothing) {
  Apply(ann_, 0, 1);
  Apply(ann_, 2, 3);
  Apply(ann_, 0, -1);
  Apply(ann_, 2, -3);
  EXPECT_TRUE(ann_.edges.empty());
  for (uint32_t item = 0; item < 3; ++item) {
    EXPECT_EQ(OneHop(ItemIndex{item}), (std::vector<Count>{0, 0}));
    EXPECT_EQ(TwoHop(ItemIndex{item}), (std::vector<Count>{0, 0}));
    EXPECT_EQ(Newest(ItemIndex{item}), (std::vector<uint32_t>{99, 99}));
  }
}

TEST_F(MacroGraphTest, ARemovedNewestUserMakesRoomForTheNextOne) {
  Apply(ann_, 0, 1);
  Apply(bob_, 0, 1);
  Apply(eve_, 0, 1);
  EXPECT_EQ(Newest(ItemIndex{0}), (std::vector<uint32_t>{2, 1}));
  Apply(eve_, 0, -1);
  EXPECT_EQ(Newest(ItemIndex{0}), (std::vector<uint32_t>{1, 0}));
  Apply(ann_, 0, 1);
  EXPECT_EQ(Newest(ItemIndex{0}), (std::vector<uint32_t>{0, 1}));
}

TEST_F(MacroGraphTest, ALateEventDoesNotMakeAnItemNewer) {
  graph_.Apply(ann_, ItemIndex{0}, 1, {.time_us = 50, .offset = 1});
  graph_.Apply(ann_, ItemIndex{0}, 1, {.time_us = 10, .offset = 2});
  EXPECT_EQ(ann_.edges[0].last, (Recency{.time_us = 50, .offset = 1}));
}

TEST_F(MacroGraphTest, TakingBackConsumesTheNewestInteractionsFirst) {
  for (const int64_t time_us : {10, 30, 20}) {
    graph_.Apply(ann_, ItemIndex{0}, 2, {.time_us = time_us, .offset = ++offset_},
                 EdgeDetail::kPerInteraction);
  }
  ASSERT_EQ(ann_.edges.size(), 3u);
  EXPECT_EQ(ann_.edges[2].last.time_us, 30) << "ascending by time, whatever the order of arrival";
  Apply(ann_, 0, -3);
  ASSERT_EQ(ann_.edges.size(), 2u);
  EXPECT_EQ(ann_.edges[0].count, 2u);
  EXPECT_EQ(ann_.edges[1].count, 1u);
  EXPECT_EQ(ann_.edges[1].last.time_us, 20);
  EXPECT_EQ(OneHop(ItemIndex{0}), (std::vector<Count>{3, 0}));
}

TEST_F(MacroGraphTest, ACaptureShowsWhatWasWhenItBegan) {
  Apply(ann_, 0, 1);
  std::vector<ItemShard> shards;
  const auto capture = graph_.BeginCapture([&](ItemShard shard) { shards.push_back(shard); });
  Apply(ann_, 0, 5);  // the writer copies the shard first
  ASSERT_EQ(shards.size(), 1u);
  EXPECT_EQ(shards[0].counts[0], 1);
  EXPECT_FALSE(capture->finished());
  capture->CaptureRest([] { return true; });
  EXPECT_TRUE(capture->finished());
  EXPECT_EQ(shards.size(), 1u) << "captured once";
  Apply(ann_, 0, 5);
}

// What the captures say, taken while one thread writes and another reads: the sum of all counts at
// the moment each began.
TEST(ShardCaptureTest, CapturesAreOfOneMomentWhileTheWriterAndReadersGoOn) {
  constexpr size_t kItems = 5 * kItemsPerShard;
  MacroGraph graph(kShape, std::vector<Cluster>(kItems, 1));
  std::vector<UserState> users;
  for (uint32_t u = 0; u < 8; ++u) users.push_back({.index = UserIndex{u}, .cluster = u % 2});
  std::atomic<bool> done{false};
  std::thread reader([&] {
    std::vector<Count> one_hop(2);
    std::vector<Count> two_hop(2);
    for (uint32_t item = 0; !done; item = (item + 37) % kItems) {
      graph.items().ReadRows(std::vector{ItemIndex{item}}, one_hop, two_hop, {}, 0);
    }
  });
  Offset offset = 0;
  const auto write = [&](int events) {
    for (int i = 0; i < events; ++i) {
      ++offset;
      graph.Apply(users[static_cast<size_t>(offset) % users.size()],
                  ItemIndex{static_cast<uint32_t>(offset * 769 % kItems)}, 1,
                  {.time_us = offset, .offset = offset});
    }
  };
  for (int round = 0; round < 10; ++round) {
    write(100);
    Mutex mutex;
    std::set<uint32_t> shards;
    Count sum = 0;
    size_t edges = 0;
    const Count expected = graph.total_count();
    const auto capture = graph.BeginCapture([&](const ItemShard& shard) {
      MutexLock lock(mutex);
      EXPECT_TRUE(shards.insert(shard.number).second);
      for (size_t at = 0; at < shard.counts.size(); at += 4) {
        sum += shard.counts[at] + shard.counts[at + 1];  // H1
      }
      edges += shard.edges.size();
    });
    std::thread copier([&] { capture->CaptureRest([] { return true; }); });
    write(100);
    copier.join();
    EXPECT_EQ(shards.size(), 5u);
    EXPECT_EQ(sum, expected);
    EXPECT_LE(edges, static_cast<size_t>(expected));
  }
  done = true;
  reader.join();
}

TEST_F(MacroGraphTest, AnItemCanBeAdded) {
  MacroGraph graph(kShape, std::vector<Cluster>{0}, /*spare_items=*/1);
  graph.AddItem(1);
  EXPECT_EQ(graph.item_count(), 2u);
  graph.Apply(ann_, ItemIndex{1}, 3, {.time_us = 1, .offset = 1});
  std::vector<Count> two_hop(2);
  graph.items().ReadRows(std::vector{ItemIndex{1}}, {}, two_hop, {}, 0);
  EXPECT_EQ(two_hop, (std::vector<Count>{0, 9}));
}

}  // namespace
}  // namespace groundswell
