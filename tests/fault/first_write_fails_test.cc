// The very first write after a start finds the disk full: with nothing in memory to flush, RocksDB
// would go on with the write-ahead log file whose write failed, and end the process.
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <thread>

#include "tests/support/graph_fixture.h"
#include "tests/support/power_loss_env.h"
#include "tests/support/temporary_directory.h"

namespace groundswell {
namespace {

TEST(FirstWriteFailsTest, WritingGoesOnOnceThereIsSpace) {
  const TemporaryDirectory directory;
  const std::string path = directory.File("db");
  PowerLossEnv env;
  MakeStore(path, 3, {}, env.env());
  {
    const auto store = *GraphStore::Open({.path = path, .env = env.env()});
    GraphStore::Batch batch(*store);
    batch.PutLogEntry(1, MakeInteraction("u", "i1"));
    env.FillDisk(true);
    for (int i = 0; i < 3; ++i) {
      EXPECT_FALSE(store->Commit(batch, true).ok());
      store->Resume().IgnoreError();
    }
    env.FillDisk(false);
    absl::Status status = store->Commit(batch, true);
    // RocksDB looks for space every few seconds.
    for (int i = 0; i < 300 && !status.ok(); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
      status = store->Resume();
      if (status.ok()) status = store->Commit(batch, true);
    }
    ASSERT_TRUE(status.ok()) << status;
    batch.Clear();
    batch.PutLogEntry(2, MakeInteraction("u", "i2"));
    ASSERT_TRUE(store->Commit(batch, true).ok());
  }
  const auto store = OpenStore(path);
  const auto entries = store->ReadLog(1, 10);
  ASSERT_TRUE(entries.ok()) << entries.status();
  EXPECT_EQ(entries->size(), 2u);
}

}  // namespace
}  // namespace groundswell
