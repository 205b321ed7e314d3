#include "server/rpc/api_time.h"

#include <gtest/gtest.h>

#include <limits>

#include "server/offline/import.h"
#include "server/serving/load_state.h"
#include "server/serving/trained_log.h"
#include "tests/support/snapshot_fixture.h"
#include "tests/support/temporary_directory.h"

namespace groundswell {
namespace {

constexpr auto kQuiet = [](std::string_view, uint64_t, uint64_t) {};
constexpr auto kNotCancelled = [] { return false; };
constexpr int64_t kFarBeyondUs = int64_t{1} << 62;

TEST(ApiTimeTest, WhatTheApiCannotTellIsTheNearestThatItCan) {
  EXPECT_EQ(TimeText(1'321'015'800'000'000), "2011-11-11T12:50:00Z");
  EXPECT_EQ(TimeText(kFarBeyondUs), "9999-12-31T23:59:59.999999Z");
  EXPECT_EQ(TimeText(std::numeric_limits<int64_t>::min()), "0001-01-01T00:00:00Z");
}

// As snapshots whose times are in nanoseconds once made them.
TEST(ApiTimeTest, ADatabaseOfLaterTimesIsRefusedUntilItIsImportedAnew) {
  TemporaryDirectory directory;
  TemporaryDirectory snapshot;
  SnapshotFixture fixture(snapshot.path());
  const ImportOptions options{.snapshot_directory = snapshot.path(),
                              .data_dir = directory.File("db")};
  ASSERT_TRUE(Import(options, kQuiet, kNotCancelled).ok());
  {
    const auto store = *GraphStore::Open({.path = options.data_dir});
    const Generation generation = *Generation::OpenCurrent(*store);
    GraphState state = *generation.ReadState();
    state.newest_event_time_us = kFarBeyondUs;
    GraphStore::Batch batch(*store);
    generation.PutState(batch, state);
    PutTrainedLog({.offset = state.base_offset, .until_us = kFarBeyondUs}, batch);
    ASSERT_TRUE(store->Commit(batch, /*sync=*/false).ok());
    const absl::Status refused = LoadServingState(generation, {}, kQuiet).status();
    EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_NE(refused.message().find("Import that snapshot"), std::string::npos) << refused;
  }
  fixture.manifest["version"] = "mended";
  fixture.WriteManifest();
  ASSERT_TRUE(Import(options, kQuiet, kNotCancelled).ok());
  const auto store = *GraphStore::Open({.path = options.data_dir});
  const auto loaded = LoadServingState(*Generation::OpenCurrent(*store), {}, kQuiet);
  EXPECT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_LE(ReadTrainedLog(*store)->until_us, kApiTimeUsMax);
}

}  // namespace
}  // namespace groundswell
