#include "server/serving/trained_log.h"

#include <gtest/gtest.h>

#include "server/rpc/status_details.h"
#include "tests/support/graph_fixture.h"
#include "tests/support/temporary_directory.h"

namespace groundswell {
namespace {

constexpr TrainedLog kTrained{.offset = 7, .until_us = 1'000};

TEST(TrainedLogTest, WhatTheSnapshotHasIsRefusedByItsTime) {
  const auto check = [](int64_t time_us, Offset offset = 7, Count weight = 1) {
    return CheckNotTrained(kTrained, offset, MakeInteraction("u", "i0", weight, time_us));
  };
  EXPECT_EQ(check(1'000).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ReasonOf(check(1'000)), "ALREADY_TRAINED");
  EXPECT_TRUE(check(1'001).ok());
  EXPECT_EQ(ReasonOf(check(1'000, 1)), "ALREADY_TRAINED") << "of files beside the server's log";
  EXPECT_TRUE(check(1'000, 8).ok()) << "a snapshot that was trained on the server's own log";
  EXPECT_TRUE(check(1'000, 7, 0).ok()) << "what was hidden is in no snapshot";
}

TEST(TrainedLogTest, IsKeptInTheDatabase) {
  TemporaryDirectory directory;
  MakeStore(directory.File("db"), 1);
  const auto store = OpenStore(directory.File("db"));
  EXPECT_TRUE(CheckNotTrained(*ReadTrainedLog(*store), 0, MakeInteraction("u", "i0")).ok())
      << "one that was made before is as it was";
  GraphStore::Batch batch(*store);
  PutTrainedLog(kTrained, batch);
  ASSERT_TRUE(store->Commit(batch, /*sync=*/false).ok());
  EXPECT_EQ(ReadTrainedLog(*store)->offset, kTrained.offset);
  EXPECT_EQ(ReadTrainedLog(*store)->until_us, kTrained.until_us);
}

}  // namespace
}  // namespace groundswell
