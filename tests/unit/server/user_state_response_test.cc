#include "server/recommend/user_state_response.h"

#include <gmock/gmock.h>

#include "tests/unit/server/live_tiny.h"

namespace groundswell {
namespace {

using testing::ElementsAre;

// Of the tiny snapshot's ann, who took item 0 once and, later, item 3 twice.
v1::GetUserStateResponse StateOfAnn(LiveTiny& tiny, size_t recent_items, bool stale) {
  const UserState ann = **tiny.state().generation.ReadUser("ann");
  v1::GetUserStateResponse response;
  WriteUserState(tiny.state(), {.applied_offset = 5, .newest_event_time_us = 30},
                 {.user_id = "ann", .recent_items = recent_items}, ann, stale, response);
  return response;
}

TEST(UserStateResponseTest, ShowsTheNewestItemsAndBothHops) {
  LiveTiny tiny;
  const v1::GetUserStateResponse response = StateOfAnn(tiny, 20, /*stale=*/false);
  EXPECT_EQ(response.user_id(), "ann");
  EXPECT_TRUE(response.has_embedding());
  EXPECT_EQ(response.user_cluster(), 0);
  EXPECT_EQ(response.distinct_items(), 2);
  EXPECT_EQ(response.total_count(), 3);
  ASSERT_EQ(response.recent_items_size(), 2);
  EXPECT_EQ(response.recent_items(0).item_id(), "i3");
  EXPECT_EQ(response.recent_items(0).title(), "Item 3");
  EXPECT_EQ(response.recent_items(0).category(), "c1");
  EXPECT_EQ(response.recent_items(0).item_cluster(), 0);
  EXPECT_EQ(response.recent_items(0).count(), 2);
  EXPECT_EQ(response.recent_items(0).last_time().nanos(), 20'000);
  EXPECT_EQ(response.recent_items(1).item_id(), "i0");
  EXPECT_THAT(response.one_hop(), ElementsAre(3, 0, 0)) << "both items are of node 0";
  EXPECT_THAT(response.two_hop(), ElementsAre(5, 0)) << "ann's own, 1 * 1 + 2 * 2";
  EXPECT_EQ(response.freshness().applied_offset(), 5);
  EXPECT_EQ(response.freshness().newest_event_time().nanos(), 30'000);
  EXPECT_EQ(response.snapshot_version(), "tiny@1");
  EXPECT_EQ(response.degradations_size(), 0);
}

TEST(UserStateResponseTest, ShowsAsManyItemsAsAskedForAndThatItIsStale) {
  LiveTiny tiny;
  const v1::GetUserStateResponse response = StateOfAnn(tiny, 1, /*stale=*/true);
  ASSERT_EQ(response.recent_items_size(), 1);
  EXPECT_EQ(response.recent_items(0).item_id(), "i3");
  EXPECT_EQ(response.distinct_items(), 2);
  EXPECT_THAT(response.degradations(), ElementsAre(v1::DEGRADATION_STALE_STATE));
}

}  // namespace
}  // namespace groundswell
