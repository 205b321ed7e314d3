#include "graph/state/user_state.h"

#include <gtest/gtest.h>

namespace groundswell {
namespace {

UserState ThreeEdges() {
  return {
      .index = UserIndex{7},
      .cluster = 3,
      .changed_at = 77,
      .edges = {
          {ItemIndex{1}, 2, {100, 5}}, {ItemIndex{4}, 1, {300, 2}}, {ItemIndex{9}, 8, {100, 6}}}};
}

TEST(UserStateTest, TruncatedRecordIsDataLossAtEveryLength) {
  std::string record;
  EncodeUserState(ThreeEdges(), record);
  for (size_t size = 0; size < record.size(); ++size) {
    const auto decoded = DecodeUserState(std::string_view(record).substr(0, size));
    EXPECT_EQ(decoded.status().code(), absl::StatusCode::kDataLoss) << size;
  }
}

TEST(UserStateTest, OtherVersionIsDataLoss) {
  std::string record;
  EncodeUserState(ThreeEdges(), record);
  record[0] = 9;
  EXPECT_EQ(DecodeUserState(record).status().code(), absl::StatusCode::kDataLoss);
}

TEST(UserStateTest, UnorderedEdgesAndZeroCountsAreDataLoss) {
  UserState user = ThreeEdges();
  std::swap(user.edges[0], user.edges[1]);
  std::string record;
  EncodeUserState(user, record);
  EXPECT_EQ(DecodeUserState(record).status().code(), absl::StatusCode::kDataLoss);
  user = ThreeEdges();
  user.edges[2].count = 0;
  EncodeUserState(user, record);
  EXPECT_EQ(DecodeUserState(record).status().code(), absl::StatusCode::kDataLoss);
}

TEST(UserStateTest, RecordRoundTrips) {
  for (const UserState& user : {ThreeEdges(), UserState{}}) {
    std::string record;
    EncodeUserState(user, record);
    const auto decoded = DecodeUserState(record);
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    EXPECT_EQ(decoded->index, user.index);
    EXPECT_EQ(decoded->cluster, user.cluster);
    EXPECT_EQ(decoded->changed_at, user.changed_at);
    EXPECT_EQ(decoded->edges, user.edges);
  }
}

TEST(UserStateTest, FindsEdgesByItem) {
  const UserState user = ThreeEdges();
  ASSERT_EQ(user.EdgesTo(ItemIndex{4}).size(), 1u);
  EXPECT_EQ(user.EdgesTo(ItemIndex{4})[0].count, 1u);
  EXPECT_FALSE(user.Has(ItemIndex{5}));
  EXPECT_FALSE(UserState{}.Has(ItemIndex{0}));
}

TEST(UserStateTest, NewestEdgesGoByTimeThenOffset) {
  std::vector<uint32_t> newest;
  NewestEdges(ThreeEdges(), 2, newest);
  EXPECT_EQ(newest, (std::vector<uint32_t>{1, 2}));
  NewestEdges(ThreeEdges(), 10, newest);
  EXPECT_EQ(newest, (std::vector<uint32_t>{1, 2, 0}));
  NewestEdges(UserState{}, 10, newest);
  EXPECT_TRUE(newest.empty());
}

TEST(UserStateTest, AnItemWithSeveralEdgesCountsOnceByItsNewest) {
  UserState user = ThreeEdges();
  user.edges.insert(user.edges.begin() + 1, {ItemIndex{1}, 1, {900, 9}});
  EXPECT_EQ(user.item_count(), 3u);
  EXPECT_EQ(user.EdgesTo(ItemIndex{1}).size(), 2u);
  std::vector<uint32_t> newest;
  NewestEdges(user, 2, newest);
  EXPECT_EQ(newest, (std::vector<uint32_t>{1, 2}));
}

}  // namespace
}  // namespace groundswell
