#include "graph/store/recoverable_files.h"

#include <gtest/gtest.h>
#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "graph/store/store.h"
#include "tests/support/graph_fixture.h"
#include "tests/support/temporary_directory.h"

namespace groundswell {
namespace {

using rocksdb::IOStatus;

// Where a fault is put, in the machine's files.
enum class Fault { kNone, kAppend, kSync, kOpen };

class FaultyFile final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  FaultyFile(std::unique_ptr<rocksdb::FSWritableFile> file, const std::atomic<Fault>& fault)
      : FSWritableFileOwnerWrapper(std::move(file)), fault_(fault) {}

  IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                  rocksdb::IODebugContext* debug) override {
    if (fault_ == Fault::kAppend) return IOStatus::IOError("Input/output error");
    return FSWritableFileOwnerWrapper::Append(data, options, debug);
  }
  IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                  const rocksdb::DataVerificationInfo&, rocksdb::IODebugContext* debug) override {
    return Append(data, options, debug);
  }
  IOStatus Sync(const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug) override {
    if (fault_ == Fault::kSync) return IOStatus::IOError("Stale file handle");
    return FSWritableFileOwnerWrapper::Sync(options, debug);
  }

 private:
  const std::atomic<Fault>& fault_;
};

class FaultyFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  FaultyFileSystem() : FileSystemWrapper(rocksdb::FileSystem::Default()) {}
  const char* Name() const override { return "FaultyFiles"; }

  IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                           std::unique_ptr<rocksdb::FSWritableFile>* file,
                           rocksdb::IODebugContext* debug) override {
    if (fault == Fault::kOpen) return IOStatus::IOError("Too many open files");
    IOStatus status = FileSystemWrapper::NewWritableFile(name, options, file, debug);
    if (status.ok()) *file = std::make_unique<FaultyFile>(std::move(*file), fault);
    return status;
  }

  std::atomic<Fault> fault{Fault::kNone};
};

class RecoverableFilesTest : public testing::TestWithParam<Fault> {};

absl::Status PutSetting(GraphStore& store, const std::string& name) {
  GraphStore::Batch batch(store);
  batch.PutSetting(name, "value");
  return store.Commit(batch, /*sync=*/true);
}

// As the log and the applier do: until RocksDB has recovered.
absl::Status PutStubbornly(GraphStore& store, const std::string& name) {
  const auto patience = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  absl::Status status = PutSetting(store, name);
  while (!status.ok() && std::chrono::steady_clock::now() < patience) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    status = store.Resume();
    if (status.ok()) status = PutSetting(store, name);
  }
  return status;
}

TEST_P(RecoverableFilesTest, WritesWorkAgainOnceTheErrorHasPassedAndNothingIsLost) {
  TemporaryDirectory directory;
  const auto files = std::make_shared<FaultyFileSystem>();
  const std::unique_ptr<rocksdb::Env> env = rocksdb::NewCompositeEnv(files);
  const std::string path = directory.File("db");
  MakeStore(path, 1);
  {
    const auto store = *GraphStore::Open({.path = path, .env = env.get()});
    ASSERT_TRUE(PutSetting(*store, "before").ok());
    files->fault = GetParam();
    const absl::Status failed = GetParam() == Fault::kOpen ? store->Backup(directory.File("backup"))
                                                           : PutSetting(*store, "x");
    EXPECT_FALSE(failed.ok());
    files->fault = Fault::kNone;
    const absl::Status after = PutStubbornly(*store, "after");
    EXPECT_TRUE(after.ok()) << after;
  }
  const auto store = OpenStore(path);
  EXPECT_EQ(*store->ReadSetting("before"), "value");
  EXPECT_EQ(*store->ReadSetting("after"), "value");
}

INSTANTIATE_TEST_SUITE_P(EveryFault, RecoverableFilesTest,
                         testing::Values(Fault::kAppend, Fault::kSync, Fault::kOpen));

// The errors as RocksDB makes them of the machine's.
IOStatus ErrorOf(int number) {
  if (number == ENOSPC) return IOStatus::NoSpace("While appending", std::strerror(number));
  if (number == ESTALE) return IOStatus::IOError(IOStatus::kStaleFile);
  if (number == ENOENT) return IOStatus::PathNotFound("While opening", std::strerror(number));
  return IOStatus::IOError("While renaming", std::strerror(number));
}

class RefusingFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  explicit RefusingFileSystem(int number)
      : FileSystemWrapper(rocksdb::FileSystem::Default()), number_(number) {}
  const char* Name() const override { return "RefusingFiles"; }
  IOStatus RenameFile(const std::string&, const std::string&, const rocksdb::IOOptions&,
                      rocksdb::IODebugContext*) override {
    return ErrorOf(number_);
  }

 private:
  const int number_;
};

TEST(RecoverableFilesKindTest, EachErrorIsToldByItsKind) {
  using enum WriteErrorKind;
  const std::vector<std::pair<int, std::vector<WriteErrorKind>>> expected = {
      {EIO, {kIo}},
      {ENOSPC, {kNoSpace}},
      {EDQUOT, {kQuota}},
      {EMFILE, {kDescriptors}},
      {ENFILE, {kDescriptors}},
      {ESTALE, {kStale}},
      {EROFS, {kOther}},
      {ENOENT, {}}};  // what is not there, the database asks for and does without
  for (const auto& [number, kinds] : expected) {
    const std::unique_ptr<rocksdb::Env> base =
        rocksdb::NewCompositeEnv(std::make_shared<RefusingFileSystem>(number));
    std::vector<WriteErrorKind> told;
    const auto files =
        MakeRecoverableFiles(*base, [&told](WriteErrorKind kind) { told.push_back(kind); });
    EXPECT_FALSE(files->RenameFile("from", "to").ok());
    EXPECT_EQ(told, kinds) << std::strerror(number);
  }
}

}  // namespace
}  // namespace groundswell
