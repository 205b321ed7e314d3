#include "graph/store/recoverable_files.h"

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <chrono>
#include <string>
#include <thread>
#include <utility>

namespace groundswell {
namespace {

using rocksdb::DataVerificationInfo;
using rocksdb::FileOptions;
using rocksdb::FSDirectory;
using rocksdb::FSWritableFile;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

constexpr int kDirectoryTries = 20;
constexpr std::chrono::milliseconds kDirectoryPause{50};

// What becomes of the errors.
class Errors {
 public:
  explicit Errors(OnWriteError on_error) : on_error_(std::move(on_error)) {}

  IOStatus MayPass(IOStatus status) const {
    // A file that is not there, the caller asks for and does without.
    if (on_error_ && status.IsIOError() && !status.IsPathNotFound())
      on_error_(KindOfWriteError(status.ToString()));
    // A full disk RocksDB looks after itself.
    if (status.IsIOError() && !status.IsNoSpace()) status.SetRetryable(true);
    return status;
  }

 private:
  const OnWriteError on_error_;
};

using SharedErrors = std::shared_ptr<const Errors>;

class RecoverableFile final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  RecoverableFile(std::unique_ptr<FSWritableFile>&& file, SharedErrors errors)
      : FSWritableFileOwnerWrapper(std::move(file)), errors_(std::move(errors)) {}

  IOStatus Append(const Slice& data, const IOOptions& options, IODebugContext* debug) override {
    return errors_->MayPass(FSWritableFileOwnerWrapper::Append(data, options, debug));
  }
  IOStatus Append(const Slice& data, const IOOptions& options, const DataVerificationInfo& info,
                  IODebugContext* debug) override {
    return errors_->MayPass(FSWritableFileOwnerWrapper::Append(data, options, info, debug));
  }
  IOStatus Truncate(uint64_t size, const IOOptions& options, IODebugContext* debug) override {
    return errors_->MayPass(FSWritableFileOwnerWrapper::Truncate(size, options, debug));
  }
  IOStatus Close(const IOOptions& options, IODebugContext* debug) override {
    return errors_->MayPass(FSWritableFileOwnerWrapper::Close(options, debug));
  }
  IOStatus Flush(const IOOptions& options, IODebugContext* debug) override {
    return errors_->MayPass(FSWritableFileOwnerWrapper::Flush(options, debug));
  }
  IOStatus Sync(const IOOptions& options, IODebugContext* debug) override {
    return errors_->MayPass(FSWritableFileOwnerWrapper::Sync(options, debug));
  }
  IOStatus Fsync(const IOOptions& options, IODebugContext* debug) override {
    return errors_->MayPass(FSWritableFileOwnerWrapper::Fsync(options, debug));
  }
  IOStatus RangeSync(uint64_t offset, uint64_t bytes, const IOOptions& options,
                     IODebugContext* debug) override {
    return errors_->MayPass(FSWritableFileOwnerWrapper::RangeSync(offset, bytes, options, debug));
  }

 private:
  const SharedErrors errors_;
};

// A directory's sync may be repeated. RocksDB does it when a new write-ahead log file has its first
// records: after an error there it would give their sequence numbers to others, and not open again.
template <typename Sync>
IOStatus SyncStubbornly(const Errors& errors, const Sync& sync) {
  IOStatus status = errors.MayPass(sync());
  for (int i = 0; i < kDirectoryTries && status.IsIOError(); ++i) {
    std::this_thread::sleep_for(kDirectoryPause);
    status = errors.MayPass(sync());
  }
  return status;
}

class RecoverableDirectory final : public rocksdb::FSDirectoryWrapper {
 public:
  RecoverableDirectory(std::unique_ptr<FSDirectory>&& directory, SharedErrors errors)
      : FSDirectoryWrapper(std::move(directory)), errors_(std::move(errors)) {}

  IOStatus Fsync(const IOOptions& options, IODebugContext* debug) override {
    return SyncStubbornly(*errors_, [&] { return FSDirectoryWrapper::Fsync(options, debug); });
  }
  IOStatus FsyncWithDirOptions(const IOOptions& options, IODebugContext* debug,
                               const rocksdb::DirFsyncOptions& what) override {
    return SyncStubbornly(
        *errors_, [&] { return FSDirectoryWrapper::FsyncWithDirOptions(options, debug, what); });
  }

 private:
  const SharedErrors errors_;
};

class RecoverableFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  RecoverableFileSystem(std::shared_ptr<rocksdb::FileSystem> base, OnWriteError on_error)
      : FileSystemWrapper(std::move(base)),
        errors_(std::make_shared<const Errors>(std::move(on_error))) {}
  const char* Name() const override { return "RecoverableFiles"; }

  IOStatus NewWritableFile(const std::string& name, const FileOptions& options,
                           std::unique_ptr<FSWritableFile>* file, IODebugContext* debug) override {
    return Wrap(FileSystemWrapper::NewWritableFile(name, options, file, debug), file);
  }
  IOStatus ReopenWritableFile(const std::string& name, const FileOptions& options,
                              std::unique_ptr<FSWritableFile>* file,
                              IODebugContext* debug) override {
    return Wrap(FileSystemWrapper::ReopenWritableFile(name, options, file, debug), file);
  }
  IOStatus ReuseWritableFile(const std::string& name, const std::string& old_name,
                             const FileOptions& options, std::unique_ptr<FSWritableFile>* file,
                             IODebugContext* debug) override {
    return Wrap(FileSystemWrapper::ReuseWritableFile(name, old_name, options, file, debug), file);
  }
  IOStatus NewDirectory(const std::string& name, const IOOptions& options,
                        std::unique_ptr<FSDirectory>* directory, IODebugContext* debug) override {
    IOStatus status = FileSystemWrapper::NewDirectory(name, options, directory, debug);
    if (status.ok()) {
      *directory = std::make_unique<RecoverableDirectory>(std::move(*directory), errors_);
    }
    return errors_->MayPass(std::move(status));
  }
  // Opened for reading by what writes: a table is looked at when it is finished.
  IOStatus NewRandomAccessFile(const std::string& name, const FileOptions& options,
                               std::unique_ptr<rocksdb::FSRandomAccessFile>* file,
                               IODebugContext* debug) override {
    return errors_->MayPass(FileSystemWrapper::NewRandomAccessFile(name, options, file, debug));
  }
  IOStatus RenameFile(const std::string& from, const std::string& to, const IOOptions& options,
                      IODebugContext* debug) override {
    return errors_->MayPass(FileSystemWrapper::RenameFile(from, to, options, debug));
  }

 private:
  IOStatus Wrap(IOStatus status, std::unique_ptr<FSWritableFile>* file) const {
    if (status.ok()) *file = std::make_unique<RecoverableFile>(std::move(*file), errors_);
    return errors_->MayPass(std::move(status));
  }

  const SharedErrors errors_;
};

}  // namespace

std::unique_ptr<rocksdb::Env> MakeRecoverableFiles(rocksdb::Env& base, OnWriteError on_error) {
  return rocksdb::NewCompositeEnv(
      std::make_shared<RecoverableFileSystem>(base.GetFileSystem(), std::move(on_error)));
}

}  // namespace groundswell
