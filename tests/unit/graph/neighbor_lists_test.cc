#include "graph/state/neighbor_lists.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <optional>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/neighbors.h"

namespace groundswell {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr size_t kMany = 1'000;

bool IsOlder(const Neighbor& a, const Neighbor& b) {
  return std::pair(a.time_s, a.node) < std::pair(b.time_s, b.node);
}

TEST(NeighborListsTest, AnUnknownNodeHasNoNeighbors) {
  const NeighborLists lists(kMany);
  EXPECT_EQ(lists.Degree(0), 0u);
  EXPECT_EQ(lists.Degree(NeighborLists::kNodesMax - 1), 0u);
  EXPECT_EQ(lists.Degree(~0u), 0u);
  EXPECT_THAT(All(lists, 7), IsEmpty());
}

TEST(NeighborListsTest, TheNewestPlaceOfANodeIsFoundInAListOfAnyLength) {
  for (uint32_t length = 1; length <= 40; ++length) {
    NeighborLists lists(kMany);
    // Node 3 at every fifth place, others between them, of all times and weights.
    for (uint32_t i = 0; i < length; ++i) {
      lists.Append(7, {.node = i % 5 == 2 ? 3 : 100 + i, .time_s = ~0u - length + i, .weight = 15});
    }
    const NeighborLists::List list = lists.Find(7);
    ASSERT_EQ(list.size(), length);
    for (size_t end = 0; end <= length; ++end) {
      std::optional<size_t> expected;
      for (size_t i = 0; i < end; ++i) {
        if (i % 5 == 2) expected = i;
      }
      EXPECT_EQ(NeighborLists::FindBefore(list, end, 3), expected) << length << ", " << end;
      EXPECT_EQ(NeighborLists::FindBefore(list, end, 4), std::nullopt);
    }
  }
}

TEST(NeighborListsTest, NeighborsAreInOrderOfTimeHoweverTheyCome) {
  NeighborLists lists(kMany);
  lists.Insert(7, At(30, 1));
  lists.Insert(7, At(10, 2));
  lists.Insert(7, At(20, 3));
  lists.Insert(7, At(20, 0));
  EXPECT_THAT(All(lists, 7), ElementsAre(At(10, 2), At(20, 0), At(20, 3), At(30, 1)));
  EXPECT_EQ(lists.edge_count(), 4u);
  EXPECT_EQ(lists.degree_max(), 4u);
}

TEST(NeighborListsTest, HighestValuesFit) {
  NeighborLists lists(kMany);
  const Neighbor highest = At(~0u, NeighborLists::kNodesMax - 1, NeighborLists::kStepWeightMax);
  lists.Insert(NeighborLists::kNodesMax - 1, highest);
  EXPECT_THAT(All(lists, NeighborLists::kNodesMax - 1), ElementsAre(highest));
}

TEST(NeighborListsTest, OnlyExactlyTheGivenOneIsErased) {
  NeighborLists lists(kMany);
  lists.Insert(7, At(10, 1));
  lists.Insert(7, At(20, 2));
  lists.Erase(7, At(11, 1));
  lists.Erase(7, At(10, 1, 2));
  lists.Erase(8, At(10, 1));
  EXPECT_EQ(lists.Degree(7), 2u);
  lists.Erase(7, At(10, 1));
  EXPECT_THAT(All(lists, 7), ElementsAre(At(20, 2)));
  lists.Erase(7, At(20, 2));
  EXPECT_THAT(All(lists, 7), IsEmpty());
  EXPECT_EQ(lists.edge_count(), 0u);
}

TEST(NeighborListsTest, ReplacingMovesItsPlaceOrItsWeight) {
  NeighborLists lists(kMany);
  for (uint32_t time : {10, 20, 30}) lists.Insert(7, At(time, time));
  lists.Replace(7, At(10, 10), At(25, 10));
  EXPECT_THAT(All(lists, 7), ElementsAre(At(20, 20), At(25, 10), At(30, 30)));
  lists.Replace(7, At(30, 30), At(5, 30));
  EXPECT_THAT(All(lists, 7), ElementsAre(At(5, 30), At(20, 20), At(25, 10)));
  lists.Replace(7, At(20, 20), At(20, 20, 3));
  EXPECT_THAT(All(lists, 7), ElementsAre(At(5, 30), At(20, 20, 3), At(25, 10)));
}

TEST(NeighborListsTest, ReplacingOneThatIsNotKeptInsertsIt) {
  NeighborLists lists(kMany);
  lists.Replace(7, At(10, 1), At(20, 1));
  EXPECT_THAT(All(lists, 7), ElementsAre(At(20, 1)));
}

TEST(NeighborListsTest, TheHighestWeightFollowsWhatIsThere) {
  NeighborLists lists(kMany);
  lists.Insert(7, At(10, 1, 3));
  lists.Insert(7, At(20, 2, 9));
  lists.Insert(7, At(30, 3, 2));
  EXPECT_EQ(lists.Find(7).weight_max(), 9u);
  lists.Replace(7, At(20, 2, 9), At(20, 2, 1));
  EXPECT_EQ(lists.Find(7).weight_max(), 3u);
  lists.Erase(7, At(10, 1, 3));
  EXPECT_EQ(lists.Find(7).weight_max(), 2u);
}

TEST(NeighborListsTest, TheOldestEighthMakesRoomForOneTooMany) {
  NeighborLists lists(16);
  for (uint32_t time = 1; time <= 16; ++time) lists.Insert(7, At(time, time, time == 1 ? 5 : 1));
  EXPECT_EQ(lists.Degree(7), 16u);
  EXPECT_EQ(lists.Find(7).weight_max(), 5u);
  lists.Insert(7, At(17, 17));
  ASSERT_EQ(lists.Degree(7), 15u);
  EXPECT_EQ(All(lists, 7).front(), At(3, 3));
  EXPECT_EQ(All(lists, 7).back(), At(17, 17));
  EXPECT_EQ(lists.Find(7).weight_max(), 1u);
  EXPECT_EQ(lists.evicted_count(), 2u);
  EXPECT_EQ(lists.edge_count(), 15u);
}

TEST(NeighborListsTest, OneOlderThanAllOfAFullListDoesNotComeIn) {
  NeighborLists lists(8);
  for (uint32_t time = 11; time <= 18; ++time) lists.Insert(7, At(time, time));
  lists.Insert(7, At(1, 1));
  EXPECT_EQ(lists.Degree(7), 8u);
  EXPECT_EQ(All(lists, 7).front(), At(11, 11));
  EXPECT_EQ(lists.evicted_count(), 1u);
}

TEST(NeighborListsTest, ANodeIsFoundFromTheNewestOn) {
  NeighborLists lists(kMany);
  const uint32_t highest = NeighborLists::kNodesMax - 1;
  for (const uint32_t node : {5u, highest, 5u, 4u, 5u}) {
    lists.Append(3, At(node, node, NeighborLists::kStepWeightMax));
  }
  const NeighborLists::List list = lists.Find(3);
  EXPECT_EQ(NeighborLists::FindBefore(list, list.size(), 5), 4u);
  EXPECT_EQ(NeighborLists::FindBefore(list, 4, 5), 2u);
  EXPECT_EQ(NeighborLists::FindBefore(list, 2, 5), 0u);
  EXPECT_EQ(NeighborLists::FindBefore(list, 0, 5), std::nullopt);
  EXPECT_EQ(NeighborLists::FindBefore(list, list.size(), highest), 1u);
  EXPECT_EQ(NeighborLists::FindBefore(list, list.size(), 6), std::nullopt);
  EXPECT_EQ(NeighborLists::FindBefore(lists.Find(9), 0, 5), std::nullopt);
}

TEST(NeighborListsTest, LoadingKeepsTheNewestInAnyOrder) {
  NeighborLists lists(100);
  std::vector<uint32_t> times;
  for (uint32_t time = 1; time <= 1'000; ++time) times.push_back(time);
  std::mt19937_64 random(1);
  std::shuffle(times.begin(), times.end(), random);
  for (const uint32_t time : times) lists.Load(7, At(time, time, time == 950 ? 4 : 1));
  lists.FinishLoading();
  const std::vector<Neighbor> kept = All(lists, 7);
  ASSERT_EQ(kept.size(), 100u);
  for (uint32_t i = 0; i < 100; ++i) EXPECT_EQ(kept[i].time_s, 901 + i);
  EXPECT_EQ(lists.evicted_count(), 900u);
  EXPECT_EQ(lists.edge_count(), 100u);
  EXPECT_EQ(lists.degree_max(), 100u);
  EXPECT_EQ(lists.Find(7).weight_max(), 4u);
}

TEST(NeighborListsTest, AListThatWasFoundBeforeItsNodeLostAllReadsNothing) {
  NeighborLists lists(kMany);
  lists.Insert(7, At(10, 1));
  const NeighborLists::List found = lists.Find(7);
  ASSERT_EQ(found.size(), 1u);
  ASSERT_TRUE(lists.Read(found, 0).has_value());
  lists.Erase(7, At(10, 1));
  EXPECT_EQ(lists.Read(found, 0), std::nullopt);
  lists.Insert(8, At(20, 2));  // in the same block
  EXPECT_EQ(lists.Read(found, 0), std::nullopt);
  EXPECT_EQ(lists.edge_count(), 1u);
}

TEST(NeighborListsTest, MemoryOfWhatLeftIsUsedAgain) {
  NeighborLists lists(kMany);
  size_t bytes = 0;
  for (int round = 0; round < 10; ++round) {
    for (uint32_t node = 0; node < 2'000; ++node) {
      for (uint32_t other = 0; other < 100; ++other) lists.Insert(node, At(other, other));
    }
    if (round == 0) bytes = lists.bytes();
    EXPECT_EQ(lists.bytes(), bytes);
    for (uint32_t node = 0; node < 2'000; ++node) {
      for (uint32_t other = 0; other < 100; ++other) lists.Erase(node, At(other, other));
    }
    EXPECT_EQ(lists.edge_count(), 0u);
  }
}

// Whatever is done, the lists are those of a plain model.
TEST(NeighborListsTest, RandomChangesGiveWhatAModelGives) {
  std::mt19937_64 random(3);
  NeighborLists lists(kMany);
  std::map<uint32_t, std::map<uint32_t, Neighbor>> model;  // by node, by neighbour
  for (int step = 0; step < 50'000; ++step) {
    const auto node = static_cast<uint32_t>(random() % 20);
    const auto other = static_cast<uint32_t>(random() % 60);
    const Neighbor next = At(static_cast<uint32_t>(random() % 100), other,
                             1 + static_cast<uint32_t>(random() % NeighborLists::kStepWeightMax));
    auto& neighbors = model[node];
    const auto at = neighbors.find(other);
    if (at == neighbors.end()) {
      lists.Insert(node, next);
      neighbors[other] = next;
    } else if (random() % 2 == 0) {
      lists.Erase(node, at->second);
      neighbors.erase(at);
    } else {
      lists.Replace(node, at->second, next);
      at->second = next;
    }
    std::vector<Neighbor> expected;
    uint32_t highest = 0;
    for (const auto& [number, neighbor] : neighbors) {
      expected.push_back(neighbor);
      highest = std::max(highest, neighbor.weight);
    }
    std::sort(expected.begin(), expected.end(), IsOlder);
    ASSERT_EQ(All(lists, node), expected) << step;
    ASSERT_EQ(lists.Find(node).weight_max(), highest) << step;
  }
}

// Neighbours of node n are those of n modulo kNodes, so a reader that got into another node's block
// would see it; and every neighbour carries the round in which it came, so one that should be gone
// would be seen too.
TEST(NeighborListsTest, ReadersMeetOnlyNeighborsThatAreThere) {
  constexpr uint32_t kNodes = 16;
  NeighborLists lists(64);
  std::atomic<uint32_t> oldest_round{0};
  std::atomic<bool> stopping{false};
  std::atomic<size_t> wrong{0};
  std::atomic<size_t> reads{0};
  std::vector<std::thread> readers;
  for (uint64_t seed = 0; seed < 3; ++seed) {
    readers.emplace_back([&, seed] {
      std::mt19937_64 random(seed);
      std::vector<Neighbor> copy;
      while (!stopping) {
        const auto node = static_cast<uint32_t>(random() % kNodes);
        const uint32_t round = oldest_round.load(std::memory_order_acquire);
        if (random() % 8 == 0) {
          lists.CopyTo(node, copy);
        } else {
          copy.clear();
          const NeighborLists::List list = lists.Find(node);
          if (list.size() == 0) continue;
          const auto read = lists.Read(list, random() % list.size());
          if (read.has_value()) copy.push_back(*read);
        }
        for (const Neighbor& neighbor : copy) {
          wrong += neighbor.node % kNodes != node || neighbor.time_s < round;
        }
        reads += copy.size();
      }
    });
  }
  std::mt19937_64 random(99);
  for (uint32_t round = 1; round <= 300 || reads < 1'000; ++round) {
    for (uint32_t node = 0; node < kNodes; ++node) {
      const auto count = static_cast<uint32_t>(random() % 100);
      for (uint32_t i = 0; i < count; ++i) lists.Insert(node, At(round, i * kNodes + node));
      for (uint32_t i = 0; i < count; ++i) lists.Erase(node, At(round, i * kNodes + node));
    }
    oldest_round.store(round + 1, std::memory_order_release);
  }
  stopping = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(wrong, 0u);
  EXPECT_EQ(lists.edge_count(), 0u);
}

}  // namespace
}  // namespace groundswell
