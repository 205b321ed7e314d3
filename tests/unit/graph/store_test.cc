#include "graph/store.h"

#include <gtest/gtest.h>
#include <rocksdb/db.h>

#include <fstream>
#include <memory>

#include "tests/support/graph_fixture.h"
#include "tests/support/temporary_directory.h"

namespace groundswell {
namespace {

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

TEST_F(StoreTest, OtherSchemaVersionIsRefusedWithBothVersions) {
  MakeStore(path_, 1);
  {
    std::vector<rocksdb::ColumnFamilyDescriptor> columns;
    std::vector<std::string> names;
    ASSERT_TRUE(rocksdb::DB::ListColumnFamilies({}, path_, &names).ok());
    for (const std::string& name : names) columns.push_back({name, {}});
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
    rocksdb::DB* db = nullptr;
    ASSERT_TRUE(rocksdb::DB::Open({}, path_, columns, &handles, &db).ok());
    ASSERT_TRUE(db->Put({}, "schema", "99").ok());
    for (auto* handle : handles) ASSERT_TRUE(db->DestroyColumnFamilyHandle(handle).ok());
    delete db;
  }
  const auto store = GraphStore::Open({.path = path_});
  EXPECT_EQ(store.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(store.status().message().find("99"), absl::string_view::npos);
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
    EXPECT_EQ((*other)->ReadState().status().code(), absl::StatusCode::kNotFound);
    EXPECT_EQ((*other)->ReadCatalogue()->size(), 0u);
    GraphStore::Batch batch(**other);
    batch.PutLogRecord(7, MakeInteraction("u", "i0"));
    ASSERT_TRUE((*other)->Commit(batch, false).ok());
    EXPECT_EQ(*(*other)->LastLogOffset(), 7);
  }
  const auto store = OpenStore(path_);
  EXPECT_EQ(store->ReadCatalogue()->size(), 2u);
  EXPECT_EQ(*store->LastLogOffset(), 0);
}

TEST_F(StoreTest, AGapInTheLogIsDataLoss) {
  MakeStore(path_, 1);
  const auto store = OpenStore(path_);
  GraphStore::Batch batch(*store);
  batch.PutLogRecord(1, MakeInteraction("u", "i0"));
  batch.PutLogRecord(3, MakeInteraction("u", "i0"));
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
  GraphStore::Batch batch(*store);
  batch.PutSnapshotFileChunk("a", 0, "hello ");
  batch.PutSnapshotFileChunk("a", 1, "world");
  batch.PutSnapshotFileChunk("ab", 0, "!");
  ASSERT_TRUE(store->Commit(batch, false).ok());
  EXPECT_EQ(*store->ListSnapshotFiles(), (std::vector<std::string>{"a", "ab"}));
  ASSERT_EQ(*store->SnapshotFileBytes("a"), 11u);
  std::string text(11, ' ');
  ASSERT_TRUE(store->ReadSnapshotFile("a", std::as_writable_bytes(std::span(text))).ok());
  EXPECT_EQ(text, "hello world");
  std::string longer(12, ' ');
  EXPECT_EQ(store->ReadSnapshotFile("a", std::as_writable_bytes(std::span(longer))).code(),
            absl::StatusCode::kDataLoss);
}

TEST_F(StoreTest, UsersAreReadBackAndVisitedInKeyOrder) {
  MakeStore(path_, 1);
  const auto store = OpenStore(path_);
  GraphStore::Batch batch(*store);
  batch.PutUser("zoe", {.index = UserIndex{1}, .cluster = 0, .edges = {}});
  batch.PutUser("ann", {.index = UserIndex{2}, .cluster = 0, .edges = {}});
  ASSERT_TRUE(store->Commit(batch, false).ok());
  EXPECT_EQ((*store->ReadUser("zoe"))->index, UserIndex{1});
  EXPECT_FALSE(store->ReadUser("bob")->has_value());
  std::vector<std::string> visited;
  ASSERT_TRUE(store
                  ->ForEachUser([&](std::string_view id, const UserState&) {
                    visited.emplace_back(id);
                    return absl::OkStatus();
                  })
                  .ok());
  EXPECT_EQ(visited, (std::vector<std::string>{"ann", "zoe"}));
}

}  // namespace
}  // namespace groundswell
