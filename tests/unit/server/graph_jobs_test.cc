// The log is cut by age only by a clock that can be believed.
#include "server/serving/graph_jobs.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/live_graph.h"
#include "tests/support/temporary_directory.h"

namespace groundswell {
namespace {

constexpr int64_t kJobSecond = 1'000'000;
constexpr int64_t kJobDay = 86'400 * kJobSecond;
constexpr int kRequests = 5;
constexpr int kPerRequest = 500;

class GraphJobsTest : public ::testing::Test {
 protected:
  GraphJobsTest() {
    // The window of event ids, into which the log is never cut, moves with each request.
    for (int request = 0; request < kRequests; ++request) {
      std::vector<LogEntry> entries;
      for (int i = 0; i < kPerRequest; ++i) {
        Interaction one = MakeInteraction("ann", "i1", 1, kJobDay);
        one.received_time_us = kJobDay + kJobSecond;
        entries.emplace_back(std::move(one));
      }
      live_.Apply(std::move(entries));
    }
    auto state = std::make_unique<ServingState>(live_.generation);
    state->graph = std::move(live_.graph);
    state->applier = std::move(live_.applier);
    serving_.Exchange(std::move(state));
  }
  ~GraphJobsTest() override { live_.log->Close(); }

  // Where the log begins after a checkpoint.
  Offset BeginAfterCheckpoint(absl::StatusOr<int64_t> clock) {
    GraphJobs jobs(*live_.store, *live_.log, serving_, metrics_.durability(),
                   {.retention_s = 3'600,
                    .now_us = [] { return kJobDay; },
                    .trusted_us = [&] { return clock; },
                    .clock_ahead_max = std::chrono::seconds(30 * 86'400)});
    const auto checkpoint = jobs.Checkpoint(std::stop_token());
    EXPECT_TRUE(checkpoint.ok()) << checkpoint.status();
    return live_.log->begin();
  }

  TemporaryDirectory directory_;
  const std::string path_ = (MakeStore(directory_.File("db"), 4), directory_.File("db"));
  LiveGraph live_{path_, {.log = {.group_max = 1, .event_ids_max = 1}}};
  ServingCell serving_;
  Metrics metrics_{std::vector<std::string>{}};
};

TEST_F(GraphJobsTest, WhatIsOldLeavesTheLog) {
  EXPECT_EQ(BeginAfterCheckpoint(kJobDay + 1'800 * kJobSecond), 1);
  EXPECT_GT(BeginAfterCheckpoint(kJobDay + 7'200 * kJobSecond), 1);
}

TEST_F(GraphJobsTest, NothingLeavesItByAClockThatJumped) {
  EXPECT_EQ(BeginAfterCheckpoint(absl::UnavailableError("the clock was set")), 1);
}

// After a restart nothing tells that the clock jumped, except what is in the log.
TEST_F(GraphJobsTest, NothingLeavesItByAClockThatIsFarAheadOfTheNewestInteraction) {
  EXPECT_EQ(BeginAfterCheckpoint(kJobDay + 400 * kJobDay), 1);
  EXPECT_GT(BeginAfterCheckpoint(kJobDay + 30 * kJobDay), 1);
}

}  // namespace
}  // namespace groundswell
