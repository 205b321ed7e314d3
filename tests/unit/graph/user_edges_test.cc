#include "graph/state/user_edges.h"

#include <gtest/gtest.h>

namespace groundswell {
namespace {

constexpr ItemIndex kA{3};
constexpr ItemIndex kB{5};

Recency At(int64_t time_us, Offset offset = 1) { return {.time_us = time_us, .offset = offset}; }

TEST(UserEdgesTest, PerItemAnEdgeSumsUpAndKeepsTheNewestTime) {
  UserState user;
  AddToEdges(user, kB, 2, At(20), EdgeDetail::kPerItem);
  AddToEdges(user, kA, 1, At(10), EdgeDetail::kPerItem);
  AddToEdges(user, kB, 3, At(15), EdgeDetail::kPerItem);
  EXPECT_EQ(user.edges, (std::vector<Edge>{{kA, 1, At(10)}, {kB, 5, At(20)}}));
  AddToEdges(user, kB, -5, At(30), EdgeDetail::kPerItem);
  EXPECT_EQ(user.edges, (std::vector<Edge>{{kA, 1, At(10)}}));
}

TEST(UserEdgesTest, PerInteractionTheNewestIsTakenBackFirst) {
  UserState user;
  AddToEdges(user, kA, 2, At(20), EdgeDetail::kPerInteraction);
  AddToEdges(user, kA, 3, At(10), EdgeDetail::kPerInteraction);
  EXPECT_EQ(user.edges, (std::vector<Edge>{{kA, 3, At(10)}, {kA, 2, At(20)}}));
  AddToEdges(user, kA, -3, At(30), EdgeDetail::kPerInteraction);
  EXPECT_EQ(user.edges, (std::vector<Edge>{{kA, 2, At(10)}}));
}

TEST(UserEdgesTest, WindowsOfCountNameWhatIsOldest) {
  UserState user;
  AddToEdges(user, kA, 1, At(30), EdgeDetail::kPerInteraction);
  AddToEdges(user, kB, 1, At(10, 2), EdgeDetail::kPerInteraction);
  AddToEdges(user, kB, 1, At(10, 1), EdgeDetail::kPerInteraction);
  EXPECT_EQ(EdgeBeyond(user, 0), std::nullopt);
  EXPECT_EQ(EdgeBeyond(user, 3), std::nullopt);
  EXPECT_EQ(EdgeBeyond(user, 2), std::optional<size_t>(1)) << "the lower offset is older";
  EXPECT_EQ(ItemsBeyond(user, 0), std::vector<ItemIndex>{});
  EXPECT_EQ(ItemsBeyond(user, 2), std::vector<ItemIndex>{});
  EXPECT_EQ(ItemsBeyond(user, 1), std::vector<ItemIndex>{kB});
}

}  // namespace
}  // namespace groundswell
