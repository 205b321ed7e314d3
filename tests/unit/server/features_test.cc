// What a ranker is given of the live graph, and what is left alone because it does not read it.
#include "server/pipeline/features.h"

#include <gtest/gtest.h>

#include <vector>

namespace groundswell {
namespace {

constexpr RankerShape kAll{.user_rows = 3,
                           .item_rows = 4,
                           .user_clusters = 2,
                           .item_clusters = 3,
                           .recent_items = 2,
                           .recent_users = 1};

constexpr int64_t kNow = 90;

class FeaturesTest : public testing::Test {
 protected:
  FeaturesTest() {
    for (Offset offset = 1; offset <= 3; ++offset) {
      const ItemIndex item{static_cast<uint32_t>(offset - 1)};
      graph_.Apply(user_, item, offset, {.time_us = offset, .offset = offset});
    }
  }

  MacroGraph graph_{{.user_clusters = 2, .item_clusters = 3, .recent_len = 2},
                    std::vector<Cluster>{0, 1, 2, 0}};
  UserState user_{.index = UserIndex{1}, .cluster = 1, .edges = {}};
  FeatureBuffers buffers_;
  const std::vector<ItemIndex> items_{ItemIndex{2}, ItemIndex{3}};
};

TEST_F(FeaturesTest, EveryFeatureOfAModelThatReadsAll) {
  const UserFeatures user = GatherUserFeatures(graph_, kAll, user_, kNow, buffers_);
  EXPECT_EQ(user.row, 2u);
  EXPECT_EQ(std::vector(user.one_hop.begin(), user.one_hop.end()), (std::vector<Count>{1, 2, 3}));
  EXPECT_EQ(std::vector(user.two_hop.begin(), user.two_hop.end()), (std::vector<Count>{0, 14}));
  EXPECT_EQ(std::vector(user.recent_items.begin(), user.recent_items.end()),
            (std::vector<uint32_t>{3, 2}));
  const ItemFeatures items = GatherItemFeatures(graph_, kAll, items_, buffers_);
  EXPECT_EQ(std::vector(items.rows.begin(), items.rows.end()), (std::vector<uint32_t>{3, 0}));
  EXPECT_EQ(std::vector(items.one_hop.begin(), items.one_hop.end()),
            (std::vector<Count>{0, 3, 0, 0}));
  EXPECT_EQ(std::vector(items.two_hop.begin(), items.two_hop.end()),
            (std::vector<Count>{3, 6, 9, 0, 0, 0}));
  EXPECT_EQ(std::vector(items.recent_users.begin(), items.recent_users.end()),
            (std::vector<uint32_t>{2, 0}));
}

TEST_F(FeaturesTest, AModelOfTheHistoryAloneGetsNothingElse) {
  const RankerShape shape{.item_rows = 5, .recent_items = 3};
  const UserFeatures user = GatherUserFeatures(graph_, shape, user_, kNow, buffers_);
  EXPECT_EQ(user.row, 0u);
  EXPECT_TRUE(user.one_hop.empty());
  EXPECT_TRUE(user.two_hop.empty());
  EXPECT_EQ(std::vector(user.recent_items.begin(), user.recent_items.end()),
            (std::vector<uint32_t>{3, 2, 1}));
  const ItemFeatures items = GatherItemFeatures(graph_, shape, items_, buffers_);
  EXPECT_EQ(std::vector(items.rows.begin(), items.rows.end()), (std::vector<uint32_t>{3, 4}));
  EXPECT_TRUE(items.one_hop.empty());
  EXPECT_TRUE(items.two_hop.empty());
  EXPECT_TRUE(items.recent_users.empty());
}

TEST_F(FeaturesTest, AModelThatReadsTimesGetsThoseOfItsItemsTheFirstAndNow) {
  const RankerShape shape{.item_rows = 5, .recent_items = 1, .recent_times = 2};
  const UserFeatures user = GatherUserFeatures(graph_, shape, user_, kNow, buffers_);
  EXPECT_EQ(std::vector(user.recent_items.begin(), user.recent_items.end()),
            (std::vector<uint32_t>{3}));
  EXPECT_EQ(std::vector(user.recent_times_us.begin(), user.recent_times_us.end()),
            (std::vector<int64_t>{3, 2}))
      << "the second gives its time alone";
  EXPECT_EQ(user.first_time_us, 1) << "of the whole history";
  EXPECT_EQ(user.now_us, kNow);
  const RankerShape without{.item_rows = 5, .recent_items = 1};
  const UserFeatures other = GatherUserFeatures(graph_, without, user_, kNow, buffers_);
  EXPECT_TRUE(other.recent_times_us.empty());
  EXPECT_EQ(other.now_us, 0) << "what a model does not read is not gathered";
}

// A part that is not read must not be written either, nor take what an earlier shape left behind.
TEST_F(FeaturesTest, ShapesMayAlternateInTheSameBuffers) {
  for (int round = 0; round < 2; ++round) {
    GatherUserFeatures(graph_, kAll, user_, kNow, buffers_);
    GatherItemFeatures(graph_, kAll, items_, buffers_);
    const RankerShape counts{.item_rows = 5, .item_clusters = 3};
    const UserFeatures user = GatherUserFeatures(graph_, counts, user_, kNow, buffers_);
    EXPECT_EQ(std::vector(user.one_hop.begin(), user.one_hop.end()), (std::vector<Count>{1, 2, 3}));
    EXPECT_TRUE(user.two_hop.empty());
    EXPECT_TRUE(user.recent_items.empty());
    const ItemFeatures items = GatherItemFeatures(graph_, counts, items_, buffers_);
    EXPECT_TRUE(items.one_hop.empty());
    EXPECT_TRUE(items.recent_users.empty());
    EXPECT_EQ(std::vector(items.two_hop.begin(), items.two_hop.end()),
              (std::vector<Count>{3, 6, 9, 0, 0, 0}));
  }
}

}  // namespace
}  // namespace groundswell
