#include "server/serving/snapshot_staging.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "server/rpc/api_time.h"
#include "tests/support/safetensors_writer.h"
#include "tests/support/snapshot_fixture.h"
#include "tests/support/temporary_directory.h"

namespace groundswell {
namespace {

using testing::HasSubstr;

class SnapshotStagingTest : public testing::Test {
 protected:
  absl::Status CheckWithNewestTime(int64_t time_us) {
    SafetensorsWriter graph;
    graph.Add("user_begin", {4}, std::vector<int64_t>{0, 2, 3, 3});
    graph.Add("item", {3}, std::vector<int32_t>{0, 3, 1});
    graph.Add("count", {3}, std::vector<int32_t>{1, 2, 1});
    graph.Add("last_time_us", {3}, std::vector<int64_t>{10, 20, time_us});
    graph.Add("last_offset", {3}, std::vector<int64_t>{1, 4, 5});
    fixture_.WriteFile("graph.safetensors", std::string(graph.Bytes()->text()));
    fixture_.WriteManifest();
    return CheckSnapshot(directory_.path()).status();
  }

  TemporaryDirectory directory_;
  SnapshotFixture fixture_{directory_.path()};
};

// All that came until then would count as trained on.
TEST_F(SnapshotStagingTest, AnInteractionOfTheFutureIsRefusedByEdgeUserAndTime) {
  const absl::Status refused = CheckWithNewestTime(4'102'444'800'000'000);
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument) << refused;
  EXPECT_THAT(std::string(refused.message()),
              HasSubstr("graph.safetensors: edge 2, of user \"bob\" to item \"i1\": last_time_us "
                        "4102444800000000 is 2100-01-01T00:00:00Z; must be at most 2"));
  const int64_t now_us = absl::GetCurrentTimeNanos() / 1'000;
  const absl::Status within = CheckWithNewestTime(now_us + 80'000 * kMicrosPerSecond);
  EXPECT_TRUE(within.ok()) << within << ": a server may take such";
  EXPECT_FALSE(CheckWithNewestTime(now_us + 90'000 * kMicrosPerSecond).ok());
}

}  // namespace
}  // namespace groundswell
