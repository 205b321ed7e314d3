#include "graph/state/user_edges.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <random>
#include <vector>

namespace groundswell {
namespace {

constexpr ItemIndex kItemA{3};
constexpr ItemIndex kItemB{5};

Recency When(int64_t time_us, Offset offset = 1) { return {.time_us = time_us, .offset = offset}; }

TEST(UserEdgesTest, PerItemAnEdgeSumsUpAndKeepsTheNewestTime) {
  UserState user;
  AddToEdges(user, kItemB, 2, When(20), EdgeDetail::kPerItem);
  AddToEdges(user, kItemA, 1, When(10), EdgeDetail::kPerItem);
  AddToEdges(user, kItemB, 3, When(15), EdgeDetail::kPerItem);
  EXPECT_EQ(user.edges, (std::vector<Edge>{{kItemA, 1, When(10)}, {kItemB, 5, When(20)}}));
  AddToEdges(user, kItemB, -5, When(30), EdgeDetail::kPerItem);
  EXPECT_EQ(user.edges, (std::vector<Edge>{{kItemA, 1, When(10)}}));
}

TEST(UserEdgesTest, PerInteractionTheNewestIsTakenBackFirst) {
  UserState user;
  AddToEdges(user, kItemA, 2, When(20), EdgeDetail::kPerInteraction);
  AddToEdges(user, kItemA, 3, When(10), EdgeDetail::kPerInteraction);
  EXPECT_EQ(user.edges, (std::vector<Edge>{{kItemA, 3, When(10)}, {kItemA, 2, When(20)}}));
  AddToEdges(user, kItemA, -3, When(30), EdgeDetail::kPerInteraction);
  EXPECT_EQ(user.edges, (std::vector<Edge>{{kItemA, 2, When(10)}}));
}

TEST(UserEdgesTest, WindowsOfCountNameWhatIsOldest) {
  UserState user;
  AddToEdges(user, kItemA, 1, When(30), EdgeDetail::kPerInteraction);
  AddToEdges(user, kItemB, 1, When(10, 2), EdgeDetail::kPerInteraction);
  AddToEdges(user, kItemB, 1, When(10, 1), EdgeDetail::kPerInteraction);
  EXPECT_EQ(EdgeBeyond(user, 0), std::nullopt);
  EXPECT_EQ(EdgeBeyond(user, 3), std::nullopt);
  EXPECT_EQ(EdgeBeyond(user, 2), std::optional<size_t>(1)) << "the lower offset is older";
  EXPECT_EQ(ItemsBeyond(user, 0), std::vector<ItemIndex>{});
  EXPECT_EQ(ItemsBeyond(user, 2), std::vector<ItemIndex>{});
  EXPECT_EQ(ItemsBeyond(user, 1), std::vector<ItemIndex>{kItemB});
}

// The definition: the newest `traced` stay, those before are summed up by item.
std::vector<Edge> Traced(std::vector<Edge> interactions, size_t traced) {
  std::ranges::sort(interactions, std::greater<>(), &Edge::last);
  std::vector<Edge> edges;
  for (size_t at = 0; at < interactions.size(); ++at) {
    const auto older = std::ranges::find_if(edges, [&](const Edge& edge) {
      return at >= traced && edge.item == interactions[at].item &&
             edge.last <= interactions[traced].last;
    });
    if (older == edges.end()) {
      edges.push_back(interactions[at]);
    } else {
      older->count += interactions[at].count;
    }
  }
  std::ranges::sort(edges, [](const Edge& a, const Edge& b) {
    return a.item != b.item ? a.item < b.item : a.last < b.last;
  });
  return edges;
}

TEST(UserEdgesTest, TheTraceIsAFunctionOfTheInteractionsWhateverTheirOrder) {
  std::mt19937 random(3);
  for (int trial = 0; trial < 200; ++trial) {
    const Window window{.traced = 1 + static_cast<int64_t>(random() % 10)};
    std::vector<Edge> interactions;
    for (Offset offset = 1; offset <= 30; ++offset) {
      interactions.push_back({.item = ItemIndex{static_cast<uint32_t>(random() % 6)},
                              .count = static_cast<uint32_t>(1 + random() % 3),
                              .last = When(static_cast<int64_t>(random() % 8), offset)});
    }
    UserState one_by_one;
    for (const Edge& edge : interactions) {
      AddToEdges(one_by_one, edge.item, edge.count, edge.last, DetailOf(window));
      while (const auto at = EdgeBehindTrace(one_by_one, window)) MergeIntoOlder(one_by_one, *at);
    }
    UserState at_once;
    for (const Edge& edge : interactions) {
      AddToEdges(at_once, edge.item, edge.count, edge.last, EdgeDetail::kPerInteraction);
    }
    MergeBehindTrace(at_once, window);
    const auto expected = Traced(interactions, static_cast<size_t>(window.traced));
    EXPECT_EQ(one_by_one.edges, expected) << "trial " << trial;
    EXPECT_EQ(at_once.edges, expected) << "trial " << trial;
  }
}

TEST(UserEdgesTest, WithoutATraceEdgesFromElsewhereBecomeOnePerItem) {
  UserState user;
  for (const int64_t time : {10, 20, 30}) {
    AddToEdges(user, kItemA, 2, When(time), EdgeDetail::kPerInteraction);
  }
  UserState kept = user;
  MergeBehindTrace(kept, {.age_us = 1});
  EXPECT_EQ(kept.edges, user.edges) << "a window of age keeps them apart";
  MergeBehindTrace(user, {});
  EXPECT_EQ(user.edges, (std::vector<Edge>{{kItemA, 6, When(30)}}));
}

}  // namespace
}  // namespace groundswell
