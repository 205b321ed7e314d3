#include "graph/user_state.h"

#include <gtest/gtest.h>

namespace groundswell {
namespace {

UserState ThreeEdges() {
  return {
      .index = UserIndex{7},
      .cluster = 3,
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
    ASSERT_EQ(decoded->edges.size(), user.edges.size());
    for (size_t i = 0; i < user.edges.size(); ++i) {
      EXPECT_EQ(decoded->edges[i].item, user.edges[i].item);
      EXPECT_EQ(decoded->edges[i].count, user.edges[i].count);
      EXPECT_EQ(decoded->edges[i].last, user.edges[i].last);
    }
  }
}

TEST(UserStateTest, FindsEdgesByItem) {
  const UserState user = ThreeEdges();
  EXPECT_EQ(user.Find(ItemIndex{4})->count, 1u);
  EXPECT_EQ(user.Find(ItemIndex{5}), nullptr);
  EXPECT_EQ(UserState{}.Find(ItemIndex{0}), nullptr);
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

}  // namespace
}  // namespace groundswell
