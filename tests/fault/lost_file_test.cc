// Files that are not the newest: cut off, emptied, gone. RocksDB replays what is behind such a hole
// as if nothing had been there; we must not.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "server/offline/recovery.h"
#include "tests/support/live_graph.h"
#include "tests/support/power_loss_env.h"
#include "tests/support/temporary_directory.h"

namespace groundswell {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> FilesOf(const std::string& path, const std::string& extension) {
  std::vector<fs::path> files;
  for (const auto& file : fs::directory_iterator(path)) {
    if (file.path().extension() == extension && file.file_size() > 0) files.push_back(file.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

fs::path Manifest(const std::string& path) {
  for (const auto& file : fs::directory_iterator(path)) {
    if (file.path().filename().string().starts_with("MANIFEST")) return file.path();
  }
  return {};
}

// A database as kill -9 leaves it: tables, and two files of the write-ahead log with records.
class LostFileTest : public testing::Test {
 protected:
  LostFileTest() {
    const std::string path = directory_.File("db");
    PowerLossEnv env;
    MakeStore(path, 10, {}, env.env());
    LiveGraphOptions options;
    options.env = env.env();
    options.write_buffer_bytes = size_t{512} << 10;
    {
      LiveGraph live(path, options);
      for (int i = 0; i < 3'000; ++i) Append(live);  // several flushes
    }
    LiveGraph live(path, options);  // with nothing in memory yet
    env.HoldTables(true);
    while (FilesOf(path, ".log").size() < 2) Append(live);
    Append(live);  // the newest file has acknowledged ones, too
    fs::copy(path, original_, fs::copy_options::recursive);
    env.HoldTables(false);
  }

  void Append(LiveGraph& live) {
    events_ = live.Append(
        MakeInteraction("u" + std::to_string(events_ % 7), "i" + std::to_string(events_ % 10)));
  }

  // Empty when everything is there; else why the database does not open.
  std::string WhyRefused(const std::string& path) const {
    try {
      LiveGraph live(path);
      EXPECT_EQ(live.log->end(), events_);
      const auto entries = live.log->Read(1, static_cast<size_t>(events_));
      EXPECT_TRUE(entries.ok()) << entries.status();
      ExpectCounts(live, events_);
      return "";
    } catch (const std::runtime_error& refused) {
      return refused.what();
    }
  }

  static void ExpectCounts(LiveGraph& live, Offset events) {
    live.ExpectVerified();
    Count total = 0;
    for (uint32_t i = 0; i < 10; ++i) total += live.graph->items().Total(ItemIndex{i});
    EXPECT_EQ(total, events);
  }

  // Damages a copy; then it is refused, and a repair makes of it what is whole of the log.
  void ExpectRefusedAndRepaired(const std::function<void(const std::string&)>& damage) {
    const std::string path = directory_.File("copy");
    fs::remove_all(path);
    fs::copy(original_, path, fs::copy_options::recursive);
    damage(path);
    const std::string why = WhyRefused(path);
    ASSERT_NE(why.find("repair"), std::string::npos) << "not refused: " << why;
    const auto looked = RepairDatabase(path, "default", /*accept_loss=*/false);
    ASSERT_TRUE(looked.ok()) << looked.status();
    EXPECT_FALSE(looked->damage.empty());
    const auto repaired = RepairDatabase(path, "default", /*accept_loss=*/true);
    ASSERT_TRUE(repaired.ok()) << repaired.status();
    EXPECT_EQ(repaired->kept_until, looked->kept_until);
    EXPECT_LT(repaired->kept_until, events_);
    EXPECT_EQ(repaired->lost_until, events_);
    EXPECT_EQ(repaired->continues_at, repaired->kept_until + 1);
    LiveGraph live(path);
    ExpectCounts(live, repaired->kept_until);
    EXPECT_EQ(live.Apply(MakeInteraction("u1", "i1")), repaired->continues_at);
    ExpectCounts(live, repaired->continues_at);
  }

  TemporaryDirectory directory_;
  const std::string original_ = directory_.File("original");
  Offset events_ = 0;
};

TEST_F(LostFileTest, NothingIsMissingWithoutDamage) { EXPECT_EQ(WhyRefused(original_), ""); }

TEST_F(LostFileTest, AnOlderLogFileThatIsCutOffIsNoticed) {
  for (const uint64_t cut : {1, 50, 500, 5'000}) {
    SCOPED_TRACE(cut);
    ExpectRefusedAndRepaired([&](const std::string& path) {
      const fs::path log = FilesOf(path, ".log").front();
      fs::resize_file(log, fs::file_size(log) - cut);
    });
  }
}

TEST_F(LostFileTest, AnOlderLogFileThatIsEmptyOrGoneIsNoticed) {
  ExpectRefusedAndRepaired(
      [](const std::string& path) { fs::resize_file(FilesOf(path, ".log").front(), 0); });
  ExpectRefusedAndRepaired([](const std::string& path) { fs::remove(FilesOf(path, ".log")[0]); });
}

TEST_F(LostFileTest, TheNewestLogFileThatIsGoneIsNoticed) {
  ExpectRefusedAndRepaired(
      [](const std::string& path) { fs::remove(FilesOf(path, ".log").back()); });
}

// A manifest that ends early does not know the newest tables, whose log files are gone.
TEST_F(LostFileTest, AManifestThatIsCutOffIsNoticed) {
  for (const uint64_t cut : {1, 100, 1'000}) {
    SCOPED_TRACE(cut);
    const std::string path = directory_.File("copy");
    fs::remove_all(path);
    fs::copy(original_, path, fs::copy_options::recursive);
    fs::resize_file(Manifest(path), fs::file_size(Manifest(path)) - cut);
    const std::string why = WhyRefused(path);  // that nothing is missing, it checks itself
    EXPECT_TRUE(why.empty() || why.find("repair") != std::string::npos) << why;
    EXPECT_TRUE(!why.empty() || cut < 1'000);
  }
}

}  // namespace
}  // namespace groundswell
