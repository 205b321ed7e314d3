// Power is cut while several clients write; what was not synced is dropped; the server starts
// again. With log.durability = sync nothing that was acknowledged may be missing, ever; with flush
// a suffix may. Nothing may count twice, and the counters must be those of the adjacency.
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "server/offline/recovery.h"
#include "tests/support/live_graph.h"
#include "tests/support/power_loss_env.h"
#include "tests/support/sanitized.h"
#include "tests/support/temporary_directory.h"

namespace groundswell {
namespace {

constexpr size_t kItems = 20;

// A small buffer fills often: then there are several write-ahead log files, tables and flushes.
constexpr size_t kSmallBuffer = size_t{16} << 10;

LiveGraphOptions Options(PowerLossEnv& env, Durability durability) {
  LiveGraphOptions options;
  options.write_buffer_bytes = kSmallBuffer;
  options.env = env.env();
  options.log.durability = durability;
  return options;
}

// Appends batches until the power is gone; the event ids that were acknowledged.
std::vector<std::string> Write(LiveGraph& live, const PowerLossEnv& env, int writer,
                               uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<std::string> acknowledged;
  for (int batch = 0; batch < 10'000; ++batch) {
    AppendRequest request;
    std::vector<std::string> ids;
    for (uint64_t i = 0; i < 1 + random() % 5; ++i) {
      ids.push_back(std::to_string(seed) + "-" + std::to_string(writer) + "-" +
                    std::to_string(batch) + "-" + std::to_string(i));
      request.entries.push_back(MakeInteraction("u" + std::to_string(random() % 10),
                                                "i" + std::to_string(random() % kItems), 1, 100,
                                                ids.back()));
    }
    EXPECT_TRUE(live.Send(std::move(request)).ok());
    if (env.off()) break;  // no one was there to hear of it
    acknowledged.insert(acknowledged.end(), ids.begin(), ids.end());
  }
  return acknowledged;
}

// The graph after a loss. Garbage at the end of the write-ahead log is refused, with the way out.
std::unique_ptr<LiveGraph> OpenAfterLoss(const std::string& path, PowerLossEnv& env,
                                         Durability durability) {
  try {
    return std::make_unique<LiveGraph>(path, Options(env, durability));
  } catch (const std::runtime_error& refused) {
    EXPECT_NE(std::string(refused.what()).find("repair"), std::string::npos) << refused.what();
    const auto repair = RepairDatabase(path, "default", /*accept_loss=*/true);
    EXPECT_TRUE(repair.ok()) << refused.what() << "\n" << repair.status();
  }
  return std::make_unique<LiveGraph>(path, Options(env, durability));
}

// One life: load, check, write from three threads, and lose power at a random instant.
std::vector<std::string> LiveUntilPowerLoss(const std::string& path, PowerLossEnv& env,
                                            Durability durability, std::mt19937_64& random) {
  const std::unique_ptr<LiveGraph> live = OpenAfterLoss(path, env, durability);
  live->ExpectVerified();
  // In the middle of a write, of a flush, between a new file and its directory, ...
  env.CutPowerAfter(1 + static_cast<int64_t>(random() % (random() % 2 == 0 ? 100 : 1'500)));
  std::vector<std::future<std::vector<std::string>>> writers;
  for (int writer = 0; writer < 3; ++writer) {
    writers.push_back(
        std::async(std::launch::async, Write, std::ref(*live), std::cref(env), writer, random()));
  }
  if (random() % 2 == 0) live->Checkpoint().status().IgnoreError();  // may be cut off
  std::vector<std::string> acknowledged;
  for (auto& writer : writers) {
    for (std::string& id : writer.get()) acknowledged.push_back(std::move(id));
  }
  env.CutPower();
  return acknowledged;
}

// A start that loses power, too.
void StartUntilPowerLoss(const std::string& path, PowerLossEnv& env, std::mt19937_64& random) {
  env.CutPowerAfter(1 + static_cast<int64_t>(random() % 60));
  const auto store =
      GraphStore::Open({.path = path, .write_buffer_bytes = kSmallBuffer, .env = env.env()});
  const bool is_refused = absl::IsDataLoss(store.status());  // garbage: OpenAfterLoss repairs it
  EXPECT_TRUE(store.ok() || is_refused) << store.status();
  env.CutPower();
}

// Every id of the log, once.
std::set<std::string> IdsInLog(LiveGraph& live) {
  std::set<std::string> ids;
  const auto entries = live.log->Read(1, 10'000'000);
  EXPECT_TRUE(entries.ok()) << entries.status();
  for (const auto& [offset, entry] : *entries) {
    EXPECT_TRUE(ids.emplace(EventIdOf(entry)).second) << "counted twice: " << EventIdOf(entry);
  }
  return ids;
}

TEST(PowerLossTest, NothingAcknowledgedAsSyncedIsEverLost) {
  for (uint64_t seed = 1; seed <= Rounds(20u); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937_64 random(seed);
    TemporaryDirectory directory;
    const std::string path = directory.File("db");
    PowerLossEnv env;
    MakeStore(path, kItems, {}, env.env());
    env.RestoreAtLoss(path + "/ACKNOWLEDGED");
    std::set<std::string> acknowledged;
    for (int life = 0; life < 4; ++life) {
      for (std::string& id : LiveUntilPowerLoss(path, env, Durability::kSync, random)) {
        acknowledged.insert(std::move(id));
      }
      env.DropUnsynced(random);
      if (life % 2 == 0) {
        StartUntilPowerLoss(path, env, random);
        env.DropUnsynced(random);
      }
    }
    const auto live = OpenAfterLoss(path, env, Durability::kSync);
    live->ExpectVerified();
    const std::set<std::string> ids = IdsInLog(*live);
    for (const std::string& id : acknowledged) ASSERT_TRUE(ids.contains(id)) << id;
    Count total = 0;
    for (uint32_t i = 0; i < kItems; ++i) total += live->graph->items().Total(ItemIndex{i});
    EXPECT_EQ(total, static_cast<Count>(ids.size())) << "each exactly once";
    EXPECT_FALSE(acknowledged.empty());
  }
}

TEST(PowerLossTest, WithoutSyncASuffixMayBeLostAndNothingElse) {
  for (uint64_t seed = 101; seed < 101 + Rounds(20u); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937_64 random(seed);
    TemporaryDirectory directory;
    const std::string path = directory.File("db");
    PowerLossEnv env;
    MakeStore(path, kItems, {}, env.env());
    env.RestoreAtLoss(path + "/ACKNOWLEDGED");
    const auto acknowledged = LiveUntilPowerLoss(path, env, Durability::kFlush, random);
    env.DropUnsynced(random);
    std::unique_ptr<LiveGraph> live;
    try {
      live = std::make_unique<LiveGraph>(path, Options(env, Durability::kFlush));
    } catch (const std::runtime_error& refused) {
      // Garbage behind what was synced: refused, with the way out.
      EXPECT_NE(std::string(refused.what()).find("repair"), std::string::npos) << refused.what();
      continue;
    }
    live->ExpectVerified();
    const auto ids = IdsInLog(*live);
    Count total = 0;
    for (uint32_t i = 0; i < kItems; ++i) total += live->graph->items().Total(ItemIndex{i});
    EXPECT_EQ(total, static_cast<Count>(ids.size()));
    EXPECT_GE(live->log->lost() + static_cast<int64_t>(ids.size()),
              static_cast<int64_t>(acknowledged.size()))
        << "what is lost is counted";
  }
}

}  // namespace
}  // namespace groundswell
