#include "graph/store/store.h"

#include <gtest/gtest.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <map>
#include <memory>

#include "graph/log/entry_hash.h"
#include "graph/log/record.h"
#include "graph/store/write_error.h"
#include "tests/support/graph_fixture.h"
#include "tests/support/temporary_directory.h"

namespace groundswell {
namespace {

// The schema version, and of the first namespace the event ids, if any, as version 2 had them.
void WriteOldDatabase(const std::string& path, const std::string& version,
                      const std::map<std::string, Offset>& event_ids = {}) {
  std::vector<rocksdb::ColumnFamilyDescriptor> columns;
  std::vector<std::string> names;
  ASSERT_TRUE(rocksdb::DB::ListColumnFamilies({}, path, &names).ok());
  columns.reserve(names.size());
  for (const std::string& name : names) columns.emplace_back(name, rocksdb::ColumnFamilyOptions());
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* db = nullptr;
  ASSERT_TRUE(rocksdb::DB::Open({}, path, columns, &handles, &db).ok());
  const std::string name_space(4, '\0');
  ASSERT_TRUE(db->Put({}, "schema", version).ok());
  ASSERT_TRUE(db->Delete({}, name_space + "event_ids_begin").ok());
  const auto column = std::ranges::find(names, "event_ids") - names.begin();
  for (const auto& [id, offset] : event_ids) {
    std::string value;
    AppendKeyU64(value, static_cast<uint64_t>(offset));
    ASSERT_TRUE(db->Put({}, handles[static_cast<size_t>(column)], name_space + id, value).ok());
  }
  for (auto* handle : handles) ASSERT_TRUE(db->DestroyColumnFamilyHandle(handle).ok());
  delete db;
}

// The n-th opening of a file to be read fails, as a network file system's may.
class StaleReads final : public rocksdb::FileSystemWrapper {
 public:
  explicit StaleReads(int64_t nth)
      : FileSystemWrapper(rocksdb::FileSystem::Default()), until_(nth) {}
  const char* Name() const override { return "StaleReads"; }
  bool has_failed() const { return until_ <= 0; }

  rocksdb::IOStatus NewSequentialFile(const std::string& name, const rocksdb::FileOptions& options,
                                      std::unique_ptr<rocksdb::FSSequentialFile>* file,
                                      rocksdb::IODebugContext* debug) override {
    if (--until_ == 0) return Stale(name);
    return FileSystemWrapper::NewSequentialFile(name, options, file, debug);
  }
  rocksdb::IOStatus NewRandomAccessFile(const std::string& name,
                                        const rocksdb::FileOptions& options,
                                        std::unique_ptr<rocksdb::FSRandomAccessFile>* file,
                                        rocksdb::IODebugContext* debug) override {
    if (--until_ == 0) return Stale(name);
    return FileSystemWrapper::NewRandomAccessFile(name, options, file, debug);
  }

 private:
  static rocksdb::IOStatus Stale(const std::string& name) {
    return rocksdb::IOStatus::IOError(name, std::strerror(ESTALE));
  }

  std::atomic<int64_t> until_;
};

class StoreTest : public testing::Test {
 protected:
  TemporaryDirectory directory_;
  std::string path_ = directory_.File("db");
};

TEST_F(StoreTest, MissingDatabaseIsNotFoundAndIsNotMade) {
  const auto store = GraphStore::Open({.path = path_});
  EXPECT_EQ(store.status().code(), absl::StatusCode::kNotFound);
  EXPECT_FALSE(std::ifstream(path_ + "/CURRENT").good());
}

TEST_F(StoreTest, SomebodyElsesDatabaseIsRefused) {
  rocksdb::DB* db = nullptr;
  rocksdb::Options options;
  options.create_if_missing = true;
  ASSERT_TRUE(rocksdb::DB::Open(options, path_, &db).ok());
  delete db;
  EXPECT_EQ(GraphStore::Open({.path = path_}).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST_F(StoreTest, AFileThatCannotBeReadForAMomentIsNoOtherDatabase) {
  MakeStore(path_, 1);
  bool has_failed = true;
  for (int64_t nth = 1; has_failed; ++nth) {
    const auto files = std::make_shared<StaleReads>(nth);
    const std::unique_ptr<rocksdb::Env> env = rocksdb::NewCompositeEnv(files);
    const absl::Status opened = GraphStore::Open({.path = path_, .env = env.get()}).status();
    has_failed = files->has_failed();
    EXPECT_TRUE(opened.ok() || (has_failed && IsPassing(opened))) << nth << ": " << opened;
  }
}

TEST_F(StoreTest, OtherSchemaVersionIsRefusedWithBothVersions) {
  MakeStore(path_, 1);
  WriteOldDatabase(path_, "99");
  const auto store = GraphStore::Open({.path = path_});
  EXPECT_EQ(store.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(store.status().message().find("99"), absl::string_view::npos);
}

TEST_F(StoreTest, EventIdsOfTheOlderSchemaAreRewrittenOnce) {
  MakeStore(path_, 1);
  const Interaction kept = MakeInteraction("u", "i0", 1, 1, "kept");
  {
    const auto store = OpenStore(path_);
    GraphStore::Batch batch(*store);
    batch.PutLogEntry(6, Redacted{.event_time_us = 1});
    batch.PutLogEntry(7, kept);
    batch.PutLogBytes(8, "damaged");
    ASSERT_TRUE(store->Commit(batch, /*sync=*/true).ok());
  }
  WriteOldDatabase(path_, "2", {{"kept", 7}, {"of a damaged record", 8}, {"without a record", 9}});
  for (int opening = 0; opening < 2; ++opening) {
    const auto store = OpenStore(path_);
    EXPECT_EQ(*store->EventIdsBegin(), 7);
    EXPECT_EQ((*store->FindEventId(HashEventId("kept")))->offset, 7);
    EXPECT_EQ((*store->FindEventId(HashEventId("kept")))->content_hash, ContentHashOf(kept));
    EXPECT_EQ((*store->FindEventId(HashEventId("of a damaged record")))->offset, 8);
    EXPECT_EQ((*store->FindEventId(HashEventId("without a record")))->offset, 9);
    auto ids = store->database().Read(Column::kEventIds, store->database().Key());
    int count = 0;
    for (; ids.Valid(); ids.Next()) ++count;
    EXPECT_EQ(count, 3) << "the old keys are gone";
  }
  // As an upgrade that was cut off left it.
  WriteOldDatabase(path_, "3", {{"not yet", 6}});
  const auto store = OpenStore(path_);
  EXPECT_EQ(*store->EventIdsBegin(), 6);
  EXPECT_EQ((*store->FindEventId(HashEventId("kept")))->content_hash, ContentHashOf(kept));
  EXPECT_EQ((*store->FindEventId(HashEventId("not yet")))->offset, 6);
}

TEST_F(StoreTest, TruncatedManifestOfRocksDbIsAnErrorNotACrash) {
  MakeStore(path_, 1);
  std::ofstream(path_ + "/CURRENT", std::ios::trunc) << "MANIFEST-999999\n";
  EXPECT_FALSE(GraphStore::Open({.path = path_}).ok());
}

TEST_F(StoreTest, SecondProcessIsToldThatTheDatabaseIsHeld) {
  MakeStore(path_, 1);
  const auto first = OpenStore(path_);
  EXPECT_EQ(GraphStore::Open({.path = path_}).status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(StoreTest, UnknownNamespaceIsNotFound) {
  MakeStore(path_, 1);
  const auto store = GraphStore::Open({.path = path_, .name_space = "other"});
  EXPECT_EQ(store.status().code(), absl::StatusCode::kNotFound);
}

TEST_F(StoreTest, NamespacesDoNotSeeEachOther) {
  MakeStore(path_, 2);
  {
    const auto other = GraphStore::Open({.path = path_, .name_space = "other", .create = true});
    ASSERT_TRUE(other.ok()) << other.status();
    EXPECT_EQ(Generation::OpenCurrent(**other).status().code(), absl::StatusCode::kNotFound);
    EXPECT_EQ(Generation(**other, 1).ReadItems()->size(), 0u);
    GraphStore::Batch batch(**other);
    batch.PutLogEntry(7, MakeInteraction("u", "i0"));
    ASSERT_TRUE((*other)->Commit(batch, false).ok());
    EXPECT_EQ(*(*other)->LastLogOffset(), 7);
  }
  const auto store = OpenStore(path_);
  EXPECT_EQ(Generation::OpenCurrent(*store)->ReadItems()->size(), 2u);
  EXPECT_EQ(*store->LastLogOffset(), 0);
}

TEST_F(StoreTest, AGapInTheLogIsDataLoss) {
  MakeStore(path_, 1);
  const auto store = OpenStore(path_);
  GraphStore::Batch batch(*store);
  batch.PutLogEntry(1, MakeInteraction("u", "i0"));
  batch.PutLogEntry(3, MakeInteraction("u", "i0"));
  ASSERT_TRUE(store->Commit(batch, false).ok());
  EXPECT_EQ(store->ReadLog(1, 10).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(store->ReadLog(1, 1)->size(), 1u);
}

TEST_F(StoreTest, ADamagedLogRecordIsDataLossWithItsOffset) {
  MakeStore(path_, 1);
  const auto store = OpenStore(path_);
  GraphStore::Batch batch(*store);
  batch.PutLogBytes(1, "garbage");
  ASSERT_TRUE(store->Commit(batch, false).ok());
  const auto read = store->ReadLog(1, 10);
  EXPECT_EQ(read.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_NE(read.status().message().find("offset 1"), absl::string_view::npos);
}

TEST_F(StoreTest, SnapshotFilesAreJoinedFromTheirChunks) {
  MakeStore(path_, 1);
  const auto store = OpenStore(path_);
  const Generation generation(*store, 1);
  GraphStore::Batch batch(*store);
  generation.PutSnapshotFileChunk(batch, "a", 0, "hello ");
  generation.PutSnapshotFileChunk(batch, "a", 1, "world");
  generation.PutSnapshotFileChunk(batch, "ab", 0, "!");
  ASSERT_TRUE(store->Commit(batch, false).ok());
  EXPECT_EQ(*generation.ListSnapshotFiles(), (std::vector<std::string>{"a", "ab"}));
  ASSERT_EQ(*generation.SnapshotFileBytes("a"), 11u);
  std::string text(11, ' ');
  ASSERT_TRUE(generation.ReadSnapshotFile("a", std::as_writable_bytes(std::span(text))).ok());
  EXPECT_EQ(text, "hello world");
  std::string longer(12, ' ');
  EXPECT_EQ(generation.ReadSnapshotFile("a", std::as_writable_bytes(std::span(longer))).code(),
            absl::StatusCode::kDataLoss);
}

TEST_F(StoreTest, UsersAreReadBackAndVisitedInKeyOrder) {
  MakeStore(path_, 1);
  const auto store = OpenStore(path_);
  const Generation generation(*store, 1);
  GraphStore::Batch batch(*store);
  generation.PutUser(batch, "zoe", {.index = UserIndex{1}, .cluster = 0, .edges = {}});
  generation.PutUser(batch, "ann", {.index = UserIndex{2}, .cluster = 0, .edges = {}});
  ASSERT_TRUE(store->Commit(batch, false).ok());
  EXPECT_EQ((*generation.ReadUser("zoe"))->index, UserIndex{1});
  EXPECT_FALSE(generation.ReadUser("bob")->has_value());
  std::vector<std::string> visited;
  ASSERT_TRUE(generation
                  .ForEachUser([&](std::string_view id, const UserState&) {
                    visited.emplace_back(id);
                    return absl::OkStatus();
                  })
                  .ok());
  EXPECT_EQ(visited, (std::vector<std::string>{"ann", "zoe"}));
}

TEST_F(StoreTest, ABeginningCutOffTheLogStaysOff) {
  MakeStore(path_, 1);
  {
    const auto store = OpenStore(path_);
    EXPECT_EQ(*store->LogBegin(), 0);
    GraphStore::Batch batch(*store);
    for (Offset offset = 1; offset <= 5; ++offset) {
      batch.PutLogEntry(offset, MakeInteraction("u", "i0"));
    }
    batch.TruncateLogBefore(4);
    ASSERT_TRUE(store->Commit(batch, true).ok());
  }
  const auto store = OpenStore(path_);
  EXPECT_EQ(*store->LogBegin(), 4);
  EXPECT_EQ(store->ReadLog(4, 10)->size(), 2u);
  EXPECT_EQ(store->ReadLog(3, 10).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(StoreTest, ABackupIsADatabaseOfItsMoment) {
  MakeStore(path_, 3);
  const auto store = OpenStore(path_);
  const auto put = [&](Offset offset) {
    GraphStore::Batch batch(*store);
    batch.PutLogEntry(offset, MakeInteraction("u", "i0"));
    ASSERT_TRUE(store->Commit(batch, false).ok());
  };
  put(1);
  ASSERT_TRUE(store->Backup(directory_.File("backup")).ok());
  put(2);
  EXPECT_FALSE(store->Backup(directory_.File("backup")).ok()) << "it is there already";
  const absl::Status nowhere = store->Backup(directory_.File("none/backup"));
  EXPECT_EQ(nowhere.code(), absl::StatusCode::kFailedPrecondition) << "no fault of its own disk";
  EXPECT_NE(nowhere.message().find("none/backup"), absl::string_view::npos) << nowhere;
  const auto backup = OpenStore(directory_.File("backup"));
  EXPECT_EQ(*backup->LastLogOffset(), 1);
  EXPECT_EQ(*store->LastLogOffset(), 2);
}

TEST_F(StoreTest, OtherGenerationsAreDeletedWhole) {
  MakeStore(path_, 3);
  const auto store = OpenStore(path_);
  const Generation other(*store, 2);
  GraphStore::Batch batch(*store);
  other.PutNewUser(batch, "u", {.index = UserIndex{0}});
  other.PutItem(batch, ItemIndex{0}, {.id = "x"});
  ASSERT_TRUE(store->Commit(batch, false).ok());
  ASSERT_TRUE(Generation(*store, 1).KeepOnlyThis().ok());
  EXPECT_FALSE(other.ReadUser("u")->has_value());
  EXPECT_TRUE(other.ReadItems()->empty());
  EXPECT_EQ(Generation(*store, 1).ReadItems()->size(), 3u);
}

TEST_F(StoreTest, TheCacheThatAllColumnsShareIsCountedOnce) {
  constexpr size_t kCacheBytes = size_t{1} << 20;
  {
    const auto store = GraphStore::Open({.path = path_, .create = true});
    ASSERT_TRUE(store.ok()) << store.status();
    GraphStore::Batch batch(**store);
    for (int i = 0; i < 3'000; ++i) {
      const std::string value(1'000, static_cast<char>(i * 7 + i / 11));
      batch.PutSetting(std::to_string(i), value + std::to_string(i * 7919));
    }
    ASSERT_TRUE((*store)->Commit(batch, /*sync=*/true).ok());
  }
  // Written out by the second opening, and then read from the files.
  for (int opening = 0; opening < 2; ++opening) {
    const auto store = GraphStore::Open({.path = path_, .block_cache_bytes = kCacheBytes});
    ASSERT_TRUE(store.ok()) << store.status();
    for (int i = 0; i < 3'000; ++i) {
      ASSERT_FALSE((*store)->ReadSetting(std::to_string(i))->empty());
    }
    const auto figures = (*store)->Figures();
    const auto found = std::ranges::find(figures, "block_cache_bytes",
                                         [](const auto& figure) { return figure.first; });
    ASSERT_NE(found, figures.end());
    EXPECT_LE(found->second, kCacheBytes * 1.1);
    if (opening == 1) {
      EXPECT_GE(found->second, kCacheBytes / 4.0);
    }
  }
}

}  // namespace
}  // namespace groundswell
