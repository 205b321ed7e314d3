#include "tests/support/power_loss_env.h"

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <utility>

namespace groundswell {

using rocksdb::FileOptions;
using rocksdb::FSWritableFile;
using rocksdb::FSWritableFileOwnerWrapper;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

namespace {

IOStatus Off() { return IOStatus::IOError("the power is off"); }

}  // namespace

class PowerLossFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  PowerLossFileSystem() : FileSystemWrapper(rocksdb::FileSystem::Default()) {}
  const char* Name() const override { return "PowerLossFileSystem"; }

  IOStatus NewWritableFile(const std::string& name, const FileOptions& options,
                           std::unique_ptr<FSWritableFile>* result, IODebugContext* debug) override;
  IOStatus ReopenWritableFile(const std::string& name, const FileOptions& options,
                              std::unique_ptr<FSWritableFile>* result,
                              IODebugContext* debug) override;
  // A recycled file would hold old bytes behind the new ones; RocksDB need not recycle.
  IOStatus ReuseWritableFile(const std::string& name, const std::string&,
                             const FileOptions& options, std::unique_ptr<FSWritableFile>* result,
                             IODebugContext* debug) override {
    return NewWritableFile(name, options, result, debug);
  }
  IOStatus RenameFile(const std::string& from, const std::string& to, const IOOptions& options,
                      IODebugContext* debug) override {
    if (off_) return Off();
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto at = synced_.find(from);
    if (at != synced_.end()) {
      synced_[to] = at->second;
      synced_.erase(from);
    }
    return FileSystemWrapper::RenameFile(from, to, options, debug);
  }
  IOStatus DeleteFile(const std::string& name, const IOOptions& options,
                      IODebugContext* debug) override {
    if (off_) return Off();
    const std::lock_guard<std::mutex> lock(mutex_);
    synced_.erase(name);
    return FileSystemWrapper::DeleteFile(name, options, debug);
  }

  bool off() const { return off_; }
  void CutPower() { off_ = true; }

  void Synced(const std::string& name, uint64_t size) {
    const std::lock_guard<std::mutex> lock(mutex_);
    synced_[name] = size;
  }

  void DropUnsynced(std::mt19937_64& random) {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (auto& [name, synced] : synced_) {
      std::error_code error;
      const uint64_t size = std::filesystem::file_size(name, error);
      if (error || size <= synced) continue;
      const uint64_t kept = random() % 2 == 0 ? synced : synced + random() % (size - synced + 1);
      std::filesystem::resize_file(name, kept, error);
      const uint64_t garbage = kept > synced && random() % 3 == 0
                                   ? std::min<uint64_t>(1 + random() % 64, kept - synced)
                                   : 0;
      std::fstream file(name, std::ios::in | std::ios::out | std::ios::binary);
      file.seekp(static_cast<std::streamoff>(kept - garbage));
      for (uint64_t i = 0; i < garbage; ++i) file.put(static_cast<char>(random()));
      synced = kept;
    }
    off_ = false;
  }

 private:
  std::atomic<bool> off_{false};
  std::mutex mutex_;
  std::map<std::string, uint64_t> synced_;  // by file; guarded by mutex_
};

namespace {

class TrackedFile final : public FSWritableFileOwnerWrapper {
 public:
  TrackedFile(std::unique_ptr<FSWritableFile> file, std::string name, uint64_t size,
              PowerLossFileSystem& owner)
      : FSWritableFileOwnerWrapper(std::move(file)),
        name_(std::move(name)),
        size_(size),
        owner_(owner) {}

  IOStatus Append(const Slice& data, const IOOptions& options, IODebugContext* debug) override {
    if (owner_.off()) return Off();
    size_ += data.size();
    return FSWritableFileOwnerWrapper::Append(data, options, debug);
  }
  IOStatus Append(const Slice& data, const IOOptions& options,
                  const rocksdb::DataVerificationInfo& info, IODebugContext* debug) override {
    if (owner_.off()) return Off();
    size_ += data.size();
    return FSWritableFileOwnerWrapper::Append(data, options, info, debug);
  }
  IOStatus PositionedAppend(const Slice&, uint64_t, const IOOptions&, IODebugContext*) override {
    return IOStatus::NotSupported("not used without direct I/O");
  }
  IOStatus Sync(const IOOptions& options, IODebugContext* debug) override {
    if (owner_.off()) return Off();
    IOStatus status = FSWritableFileOwnerWrapper::Sync(options, debug);
    if (status.ok()) owner_.Synced(name_, size_);
    return status;
  }
  IOStatus Fsync(const IOOptions& options, IODebugContext* debug) override {
    if (owner_.off()) return Off();
    IOStatus status = FSWritableFileOwnerWrapper::Fsync(options, debug);
    if (status.ok()) owner_.Synced(name_, size_);
    return status;
  }
  // Starts writing back early; promises nothing.
  IOStatus RangeSync(uint64_t offset, uint64_t bytes, const IOOptions& options,
                     IODebugContext* debug) override {
    if (owner_.off()) return Off();
    return FSWritableFileOwnerWrapper::RangeSync(offset, bytes, options, debug);
  }
  IOStatus Close(const IOOptions& options, IODebugContext* debug) override {
    return FSWritableFileOwnerWrapper::Close(options, debug);
  }

 private:
  const std::string name_;
  std::atomic<uint64_t> size_;
  PowerLossFileSystem& owner_;
};

}  // namespace

IOStatus PowerLossFileSystem::NewWritableFile(const std::string& name, const FileOptions& options,
                                              std::unique_ptr<FSWritableFile>* result,
                                              IODebugContext* debug) {
  if (off_) return Off();
  std::unique_ptr<FSWritableFile> file;
  IOStatus status = FileSystemWrapper::NewWritableFile(name, options, &file, debug);
  if (!status.ok()) return status;
  Synced(name, 0);
  *result = std::make_unique<TrackedFile>(std::move(file), name, 0, *this);
  return status;
}

IOStatus PowerLossFileSystem::ReopenWritableFile(const std::string& name,
                                                 const FileOptions& options,
                                                 std::unique_ptr<FSWritableFile>* result,
                                                 IODebugContext* debug) {
  if (off_) return Off();
  std::error_code error;
  const uint64_t size = std::filesystem::file_size(name, error);
  std::unique_ptr<FSWritableFile> file;
  IOStatus status = FileSystemWrapper::ReopenWritableFile(name, options, &file, debug);
  if (!status.ok()) return status;
  *result = std::make_unique<TrackedFile>(std::move(file), name, error ? 0 : size, *this);
  return status;
}

PowerLossEnv::PowerLossEnv()
    : file_system_(std::make_shared<PowerLossFileSystem>()),
      env_(rocksdb::NewCompositeEnv(file_system_)) {}
PowerLossEnv::~PowerLossEnv() = default;

void PowerLossEnv::CutPower() { file_system_->CutPower(); }
void PowerLossEnv::DropUnsynced(std::mt19937_64& random) { file_system_->DropUnsynced(random); }

}  // namespace groundswell
