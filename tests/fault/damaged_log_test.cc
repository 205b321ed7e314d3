// Damage to the files of a database: cut off, flipped bits. Either everything acknowledged is
// there, or opening says what is wrong and which command goes on; never a quiet loss.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "graph/store/acknowledged_mark.h"
#include "server/offline/recovery.h"
#include "tests/support/live_graph.h"
#include "tests/support/sanitized.h"
#include "tests/support/temporary_directory.h"

namespace groundswell {
namespace {

namespace fs = std::filesystem;

constexpr int kEvents = 200;

class DamagedLogTest : public testing::Test {
 protected:
  DamagedLogTest() {
    MakeStore(original_, 10);
    LiveGraph live(original_);
    for (int i = 0; i < kEvents; ++i) {
      live.Append(MakeInteraction("u" + std::to_string(i % 7), "i" + std::to_string(i % 10)));
    }
    EXPECT_TRUE(live.WaitFor(kEvents));
  }

  // A fresh copy of the database.
  std::string Copy() {
    const std::string path = directory_.File("copy");
    fs::remove_all(path);
    fs::copy(original_, path, fs::copy_options::recursive);
    return path;
  }

  static std::vector<fs::path> FilesOf(const std::string& path, const std::string& extension) {
    std::vector<fs::path> files;
    for (const auto& file : fs::directory_iterator(path)) {
      if (file.path().extension() == extension && file.file_size() > 0)
        files.push_back(file.path());
    }
    std::sort(files.begin(), files.end());
    return files;
  }

  static void FlipBit(const fs::path& path, uint64_t bit) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(static_cast<std::streamoff>(bit / 8));
    const auto byte = static_cast<char>(file.get() ^ (1 << bit % 8));
    file.seekp(static_cast<std::streamoff>(bit / 8));
    file.put(byte);
  }

  // Empty when everything is there; else why the database does not open.
  static std::string WhyRefused(const std::string& path) {
    try {
      LiveGraph live(path);
      EXPECT_EQ(live.log->end(), kEvents);
      EXPECT_EQ(live.log->Read(1, kEvents)->size(), static_cast<size_t>(kEvents));
      live.ExpectVerified();
      return "";
    } catch (const std::runtime_error& refused) {
      return refused.what();
    }
  }

  static void ExpectRepairs(const std::string& path) {
    const auto looked = RepairDatabase(path, "default", /*accept_loss=*/false);
    ASSERT_TRUE(looked.ok()) << looked.status();
    EXPECT_FALSE(looked->damage.empty());
    EXPECT_NE(WhyRefused(path), "") << "looking changes nothing";
    const auto repaired = RepairDatabase(path, "default", /*accept_loss=*/true);
    ASSERT_TRUE(repaired.ok()) << repaired.status();
    EXPECT_EQ(repaired->kept_until, looked->kept_until);
    LiveGraph live(path);
    live.ExpectVerified();
    EXPECT_EQ(live.Apply(MakeInteraction("u1", "i1")), repaired->continues_at);
    live.ExpectVerified();
  }

  TemporaryDirectory directory_;
  const std::string original_ = directory_.File("original");
};

TEST_F(DamagedLogTest, AnUndamagedOneOpens) {
  EXPECT_EQ(WhyRefused(Copy()), "");
  const auto looked = RepairDatabase(Copy(), "default", false);
  ASSERT_TRUE(looked.ok()) << looked.status();
  EXPECT_EQ(looked->damage, "");
  EXPECT_EQ(looked->kept_until, kEvents);
}

// A record that was being written when the process was killed was never acknowledged: no help is
// needed. One that was is missed.
TEST_F(DamagedLogTest, ACutOffEndIsNoticed) {
  const uint64_t size = fs::file_size(FilesOf(original_, ".log").back());
  int refused = 0;
  // The longer ones also reach a record behind which the fold, where it was late, wrote all it had.
  for (const uint64_t cut : {uint64_t{1}, uint64_t{5}, uint64_t{7}, uint64_t{30}, uint64_t{100},
                             uint64_t{500}, size / 4, size / 2, size / 4 * 3}) {
    const std::string path = Copy();
    fs::resize_file(FilesOf(path, ".log").back(), size - cut);
    const std::string why = WhyRefused(path);
    if (why.empty()) continue;  // only what the fold wrote behind the last record was cut
    ++refused;
    EXPECT_NE(why.find("repair"), std::string::npos) << "cut " << cut << ": " << why;
    ExpectRepairs(path);
    if (HasFatalFailure()) return;
  }
  EXPECT_GE(refused, 1);
}

TEST_F(DamagedLogTest, AFlippedBitInTheWriteAheadLogIsNoticed) {
  std::mt19937_64 random(1);
  const uint64_t bits = 8 * fs::file_size(FilesOf(original_, ".log").back());
  constexpr int kBits = Rounds(60);
  int refused = 0;
  for (int i = 0; i < kBits; ++i) {
    const std::string path = Copy();
    // The last ones also hit the end.
    FlipBit(FilesOf(path, ".log").back(),
            i < kBits * 5 / 6 ? random() % bits : bits - 1 - random() % 200);
    const std::string why = WhyRefused(path);
    if (why.empty()) continue;
    ++refused;
    EXPECT_NE(why.find("repair"), std::string::npos) << why;
    if (i % 10 == 0) ExpectRepairs(path);
    if (HasFatalFailure()) return;
  }
  EXPECT_GE(refused, kBits * 2 / 3);
}

TEST_F(DamagedLogTest, AFlippedBitInATableIsNoticedByVerify) {
  {
    const auto store = OpenStore(original_);
    ASSERT_TRUE(store->EraseDeleted().ok());  // writes tables
  }
  std::mt19937_64 random(2);
  const auto tables = FilesOf(original_, ".sst");
  ASSERT_FALSE(tables.empty());
  for (int i = 0; i < Rounds(20); ++i) {
    const std::string path = Copy();
    const fs::path table = FilesOf(path, ".sst")[random() % tables.size()];
    // The data lies in front; what is behind it is read at once when the table is opened.
    FlipBit(table, random() % (8 * fs::file_size(table) / 2));
    const auto store = GraphStore::Open({.path = path});
    const absl::Status verified = store.ok() ? (*store)->VerifyFiles() : store.status();
    EXPECT_EQ(verified.code(), absl::StatusCode::kDataLoss) << verified;
  }
}

TEST_F(DamagedLogTest, ARepairDoesNotCallADatabaseWholeWhoseTablesAreDamaged) {
  {
    const auto store = OpenStore(original_);
    ASSERT_TRUE(store->EraseDeleted().ok());  // writes tables
  }
  for (const fs::path& original : FilesOf(original_, ".sst")) {
    const std::string path = Copy();
    FlipBit(fs::path(path) / original.filename(), 8 * 10);  // of the first block
    const auto looked = RepairDatabase(path, "default", /*accept_loss=*/false);
    EXPECT_TRUE(absl::IsDataLoss(looked.status()) || (looked.ok() && !looked->damage.empty()))
        << original << looked.status();
  }
}

TEST_F(DamagedLogTest, ADamagedRecordIsCutOffByARepairAndCountsWhenItIsSentAgain) {
  const std::string path = Copy();
  {
    const auto store = OpenStore(path);
    GraphStore::Batch batch(*store);
    batch.PutLogBytes(150, "garbage");
    ASSERT_TRUE(store->Commit(batch, true).ok());
  }
  const auto repaired = RepairDatabase(path, "default", /*accept_loss=*/true);
  ASSERT_TRUE(repaired.ok()) << repaired.status();
  EXPECT_EQ(repaired->kept_until, 149);
  EXPECT_EQ(repaired->lost_until, kEvents);
  EXPECT_EQ(repaired->continues_at, kEvents + 1) << "the graph contains them";
  LiveGraph live(path);
  live.ExpectVerified();
  EXPECT_EQ(live.log->begin(), kEvents + 1);
}

class AcknowledgedMarkTest : public testing::Test {
 protected:
  std::string Path() const { return directory_.path() + "/ACKNOWLEDGED"; }
  void Write(Offset offset) {
    auto mark = *AcknowledgedMark::Open(directory_.path());
    mark->Write({.offset = offset, .durability = Durability::kFlush});
  }
  TemporaryDirectory directory_;
};

TEST_F(AcknowledgedMarkTest, NoneIsFine) {
  EXPECT_FALSE(AcknowledgedMark::Read(directory_.path())->has_value());
}

TEST_F(AcknowledgedMarkTest, TheNewestIsReadAlsoAcrossOpenings) {
  for (Offset offset = 1; offset <= 5; ++offset) {
    Write(offset);
    const auto value = AcknowledgedMark::Read(directory_.path());
    ASSERT_TRUE(value.ok() && value->has_value());
    EXPECT_EQ((*value)->offset, offset);
    EXPECT_EQ((*value)->durability, Durability::kFlush);
  }
}

TEST_F(AcknowledgedMarkTest, ATornWriteLeavesTheOneBefore) {
  Write(7);
  Write(8);
  for (uint64_t byte = 0; byte < 64; ++byte) {
    std::fstream file(Path(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(static_cast<std::streamoff>(byte));
    const auto old = static_cast<char>(file.get());
    file.seekp(static_cast<std::streamoff>(byte));
    file.put(static_cast<char>(old ^ 0x55));
    file.flush();
    const auto value = AcknowledgedMark::Read(directory_.path());
    ASSERT_TRUE(value.ok()) << byte;
    EXPECT_TRUE((*value)->offset == 7 || (*value)->offset == 8);
    file.seekp(static_cast<std::streamoff>(byte));
    file.put(old);
  }
}

TEST_F(AcknowledgedMarkTest, OneWithoutAWholeSlotIsDataLoss) {
  std::ofstream(Path()) << std::string(64, 'x');
  EXPECT_EQ(AcknowledgedMark::Read(directory_.path()).status().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace groundswell
