#include "tests/support/power_loss_env.h"

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

namespace groundswell {

using rocksdb::FileOptions;
using rocksdb::FSDirectory;
using rocksdb::FSWritableFile;
using rocksdb::FSWritableFileOwnerWrapper;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

namespace fs = std::filesystem;

namespace {

IOStatus Full() { return IOStatus::NoSpace("the disk is full"); }

// As RocksDB makes it of an errno of the system.
IOStatus ErrorOf(int error) {
  if (error == ENOSPC) return Full();
  if (error == ESTALE) return IOStatus::IOError(IOStatus::kStaleFile);
  return IOStatus::IOError("on purpose", std::strerror(error));
}

std::string DirectoryOf(const std::string& name) {
  return fs::path(name).lexically_normal().parent_path().string();
}

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
  IOStatus NewDirectory(const std::string& name, const IOOptions& options,
                        std::unique_ptr<FSDirectory>* result, IODebugContext* debug) override;
  IOStatus RenameFile(const std::string& from, const std::string& to, const IOOptions& options,
                      IODebugContext* debug) override;
  IOStatus DeleteFile(const std::string& name, const IOOptions& options,
                      IODebugContext* debug) override;

  // One more thing is about to be done to the disk.
  void CountOperation() {
    if (operations_left_.fetch_sub(1) == 1) CutPower();
  }
  // One more call of its kind; it must not be done when it fails.
  IOStatus Meet(DiskCall call);
  void FailCalls(DiskCall call, int64_t first, int64_t last, int error);
  int64_t calls(DiskCall call) const { return calls_[static_cast<size_t>(call)]; }
  bool off() const { return off_; }
  void CutPowerAfter(int64_t operations) { operations_left_ = operations; }
  void CutPower();
  void RestoreAtLoss(std::string path) { beside_ = std::move(path); }
  bool full() const { return full_; }
  void FillDisk(bool full) { full_ = full; }
  void HoldTables(bool hold) {
    holds_tables_ = hold;
    holds_tables_.notify_all();
  }
  void Written(const std::string& name, uint64_t size) {
    const Lock lock(mutex_);
    if (!off_) lengths_[name].written = size;
  }
  void Synced(const std::string& name, uint64_t size) {
    const Lock lock(mutex_);
    if (!off_) lengths_[name].synced = size;
  }
  void DirectorySynced(const std::string& directory);
  void DropUnsynced(std::mt19937_64& random);

 private:
  using Lock = std::lock_guard<std::mutex>;
  // Of a file, before the power was cut.
  struct Lengths {
    uint64_t written = 0;
    uint64_t synced = 0;
  };
  // What happened to a name since its directory was synced.
  struct NameChange {
    std::string made;      // this name came to be; may be empty
    std::string was;       // under this name before; empty: it is a new file
    std::string replaced;  // this name's file ...
    std::string kept_at;   // ... is kept here; may be empty
    bool after_loss = false;
  };

  // mutex_ is held:
  void Note(const std::string& name, NameChange change);
  std::string KeepAside(const std::string& name);
  void Move(const std::string& from, const std::string& to);
  void Undo(const NameChange& change);
  static void DropEnd(const std::string& name, Lengths& lengths, std::mt19937_64& random);

  // The calls of a kind that fail.
  struct Fault {
    DiskCall call = DiskCall::kCount;
    int64_t first = 0;
    int64_t last = 0;
    int error = 0;
  };

  std::array<std::atomic<int64_t>, static_cast<size_t>(DiskCall::kCount)> calls_{};
  std::mutex fault_mutex_;
  Fault fault_;  // guarded by fault_mutex_
  std::atomic<bool> off_{false};
  std::atomic<bool> full_{false};
  std::atomic<bool> holds_tables_{false};
  std::atomic<int64_t> operations_left_{std::numeric_limits<int64_t>::max()};
  std::mutex mutex_;                                         // guards what follows
  std::map<std::string, Lengths> lengths_;                   // by file
  std::map<std::string, std::vector<NameChange>> unsynced_;  // by directory
  int kept_ = 0;
  std::string beside_;
};

IOStatus PowerLossFileSystem::Meet(DiskCall call) {
  CountOperation();
  const int64_t number = ++calls_[static_cast<size_t>(call)];
  const Lock lock(fault_mutex_);
  const bool fails = fault_.call == call && fault_.first <= number && number <= fault_.last;
  return fails ? ErrorOf(fault_.error) : IOStatus::OK();
}

void PowerLossFileSystem::FailCalls(DiskCall call, int64_t first, int64_t last, int error) {
  const Lock lock(fault_mutex_);
  for (std::atomic<int64_t>& calls : calls_) calls = 0;
  fault_ = {.call = call, .first = first, .last = last, .error = error};
}

void PowerLossFileSystem::CutPower() {
  const Lock lock(mutex_);
  if (off_) return;
  off_ = true;
  std::error_code error;
  fs::remove(beside_ + ".at_loss", error);
  fs::copy_file(beside_, beside_ + ".at_loss", error);
}

void PowerLossFileSystem::Note(const std::string& name, NameChange change) {
  change.after_loss = off_;
  unsynced_[DirectoryOf(name)].push_back(std::move(change));
}

void PowerLossFileSystem::Move(const std::string& from, const std::string& to) {
  std::error_code error;
  fs::rename(from, to, error);
  if (const auto at = lengths_.find(from); at != lengths_.end()) {
    const Lengths lengths = at->second;
    lengths_.erase(at);
    lengths_[to] = lengths;
  }
}

// Beside the directory, so that it is on the same disk and no database file.
std::string PowerLossFileSystem::KeepAside(const std::string& name) {
  const std::string aside = DirectoryOf(name) + ".unsynced";
  std::error_code error;
  fs::create_directory(aside, error);
  std::string kept = aside + "/" + std::to_string(++kept_);
  Move(name, kept);
  return kept;
}

IOStatus PowerLossFileSystem::RenameFile(const std::string& from, const std::string& to,
                                         const IOOptions& /*options*/, IODebugContext* /*debug*/) {
  if (IOStatus s = Meet(DiskCall::kRename); !s.ok()) return s;
  const Lock lock(mutex_);
  if (!fs::exists(from)) return IOStatus::NotFound(from);
  NameChange change;
  change.made = to;
  change.was = from;
  if (fs::exists(to)) {
    change.replaced = to;
    change.kept_at = KeepAside(to);
  }
  Move(from, to);
  Note(to, std::move(change));
  return IOStatus::OK();
}

IOStatus PowerLossFileSystem::DeleteFile(const std::string& name, const IOOptions& /*options*/,
                                         IODebugContext* /*debug*/) {
  CountOperation();
  const Lock lock(mutex_);
  if (!fs::exists(name)) return IOStatus::NotFound(name);
  NameChange change;
  change.replaced = name;
  change.kept_at = KeepAside(name);
  Note(name, std::move(change));
  return IOStatus::OK();
}

void PowerLossFileSystem::DirectorySynced(const std::string& directory) {
  const Lock lock(mutex_);
  if (off_) return;
  for (const NameChange& change : unsynced_[directory]) {
    if (change.kept_at.empty()) continue;
    std::error_code error;
    fs::remove(change.kept_at, error);
    lengths_.erase(change.kept_at);
  }
  unsynced_.erase(directory);
}

void PowerLossFileSystem::Undo(const NameChange& change) {
  std::error_code error;
  if (!change.made.empty() && !change.was.empty()) Move(change.made, change.was);
  if (!change.made.empty() && change.was.empty()) {
    fs::remove(change.made, error);
    lengths_.erase(change.made);
  }
  if (!change.kept_at.empty()) Move(change.kept_at, change.replaced);
}

void PowerLossFileSystem::DropEnd(const std::string& name, Lengths& lengths,
                                  std::mt19937_64& random) {
  const auto [written, synced] = lengths;
  const uint64_t kept = random() % 2 == 0 ? synced : synced + random() % (written - synced + 1);
  lengths = {.written = kept, .synced = kept};
  std::error_code error;
  if (fs::file_size(name, error) <= kept || error) return;
  fs::resize_file(name, kept, error);
  const uint64_t kind = random() % 4;  // 0: garbage at the end; 1: zeros; else neither
  // RocksDB does not open with garbage at the end of a manifest, and no repair mends that; a file
  // system that writes the bytes of a file before its size (ext4, XFS) leaves none.
  if (kept == synced || kind >= 2 || fs::path(name).extension() != ".log") return;
  const auto spoilt = std::min<uint64_t>(1 + random() % 64, kept - synced);
  std::fstream file(name, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(kept - spoilt));
  for (uint64_t i = 0; i < spoilt; ++i) file.put(static_cast<char>(kind == 0 ? random() : 0));
}

void PowerLossFileSystem::DropUnsynced(std::mt19937_64& random) {
  const Lock lock(mutex_);
  std::error_code error;
  for (auto& [directory, changes] : unsynced_) {
    while (!changes.empty() && changes.back().after_loss) {
      Undo(changes.back());
      changes.pop_back();
    }
    // A file system with a journal keeps the order.
    const size_t kept = random() % 2 == 0 ? 0 : random() % (changes.size() + 1);
    for (size_t i = changes.size(); i > kept; --i) Undo(changes[i - 1]);
    fs::remove_all(directory + ".unsynced", error);
  }
  unsynced_.clear();
  for (auto& [name, lengths] : lengths_) DropEnd(name, lengths, random);
  if (!beside_.empty()) fs::remove(beside_, error);
  fs::rename(beside_ + ".at_loss", beside_, error);
  operations_left_ = std::numeric_limits<int64_t>::max();
  off_ = false;
}

namespace {

class TrackedDirectory final : public rocksdb::FSDirectoryWrapper {
 public:
  TrackedDirectory(std::unique_ptr<FSDirectory> directory, std::string name,
                   PowerLossFileSystem& owner)
      : FSDirectoryWrapper(std::move(directory)), name_(std::move(name)), owner_(owner) {}

  IOStatus Fsync(const IOOptions&, IODebugContext*) override { return Synced(); }
  IOStatus FsyncWithDirOptions(const IOOptions&, IODebugContext*,
                               const rocksdb::DirFsyncOptions&) override {
    return Synced();
  }

 private:
  IOStatus Synced() {
    if (IOStatus s = owner_.Meet(DiskCall::kSyncDirectory); !s.ok()) return s;
    owner_.DirectorySynced(name_);
    return IOStatus::OK();
  }

  const std::string name_;
  PowerLossFileSystem& owner_;
};

class TrackedFile final : public FSWritableFileOwnerWrapper {
 public:
  TrackedFile(std::unique_ptr<FSWritableFile> file, std::string name, uint64_t size,
              PowerLossFileSystem& owner)
      : FSWritableFileOwnerWrapper(std::move(file)),
        name_(std::move(name)),
        size_(size),
        owner_(owner) {}

  IOStatus Append(const Slice& data, const IOOptions& options, IODebugContext* debug) override {
    if (IOStatus s = owner_.Meet(DiskCall::kWrite); !s.ok()) return s;
    if (owner_.full()) return Full();
    IOStatus status = FSWritableFileOwnerWrapper::Append(data, options, debug);
    owner_.Written(name_, size_ += data.size());
    return status;
  }
  IOStatus Append(const Slice& data, const IOOptions& options,
                  const rocksdb::DataVerificationInfo& info, IODebugContext* debug) override {
    if (IOStatus s = owner_.Meet(DiskCall::kWrite); !s.ok()) return s;
    if (owner_.full()) return Full();
    IOStatus status = FSWritableFileOwnerWrapper::Append(data, options, info, debug);
    owner_.Written(name_, size_ += data.size());
    return status;
  }
  IOStatus PositionedAppend(const Slice&, uint64_t, const IOOptions&, IODebugContext*) override {
    return IOStatus::NotSupported("not used without direct I/O");
  }
  // A sync promises what was appended before it began. It takes as long as one of a memory disk:
  // the power is lost in this program alone.
  IOStatus Sync(const IOOptions&, IODebugContext*) override { return Synced(); }
  IOStatus Fsync(const IOOptions&, IODebugContext*) override { return Synced(); }
  // Starts writing back early; promises nothing.
  IOStatus RangeSync(uint64_t, uint64_t, const IOOptions&, IODebugContext*) override {
    return IOStatus::OK();
  }

 private:
  IOStatus Synced() {
    const uint64_t size = size_;
    if (IOStatus s = owner_.Meet(DiskCall::kSync); !s.ok()) return s;
    owner_.Synced(name_, size);
    return IOStatus::OK();
  }

  const std::string name_;
  std::atomic<uint64_t> size_;
  PowerLossFileSystem& owner_;
};

}  // namespace

IOStatus PowerLossFileSystem::NewWritableFile(const std::string& name, const FileOptions& options,
                                              std::unique_ptr<FSWritableFile>* result,
                                              IODebugContext* debug) {
  if (IOStatus s = Meet(DiskCall::kOpen); !s.ok()) return s;
  if (fs::path(name).extension() == ".sst") holds_tables_.wait(true);
  {
    const Lock lock(mutex_);
    NameChange change;
    change.made = name;
    if (fs::exists(name)) {
      change.replaced = name;
      change.kept_at = KeepAside(name);
    }
    Note(name, std::move(change));
    lengths_[name] = {};
  }
  std::unique_ptr<FSWritableFile> file;
  IOStatus status = FileSystemWrapper::NewWritableFile(name, options, &file, debug);
  if (!status.ok()) return status;
  *result = std::make_unique<TrackedFile>(std::move(file), name, 0, *this);
  return status;
}

IOStatus PowerLossFileSystem::ReopenWritableFile(const std::string& name,
                                                 const FileOptions& options,
                                                 std::unique_ptr<FSWritableFile>* result,
                                                 IODebugContext* debug) {
  if (IOStatus s = Meet(DiskCall::kOpen); !s.ok()) return s;
  std::error_code error;
  const uint64_t size = fs::file_size(name, error);
  std::unique_ptr<FSWritableFile> file;
  IOStatus status = FileSystemWrapper::ReopenWritableFile(name, options, &file, debug);
  if (!status.ok()) return status;
  *result = std::make_unique<TrackedFile>(std::move(file), name, error ? 0 : size, *this);
  return status;
}

IOStatus PowerLossFileSystem::NewDirectory(const std::string& name, const IOOptions& options,
                                           std::unique_ptr<FSDirectory>* result,
                                           IODebugContext* debug) {
  std::unique_ptr<FSDirectory> directory;
  IOStatus status = FileSystemWrapper::NewDirectory(name, options, &directory, debug);
  if (!status.ok()) return status;
  *result =
      std::make_unique<TrackedDirectory>(std::move(directory), DirectoryOf(name + "/x"), *this);
  return status;
}

PowerLossEnv::PowerLossEnv()
    : file_system_(std::make_shared<PowerLossFileSystem>()),
      env_(rocksdb::NewCompositeEnv(file_system_)) {}
PowerLossEnv::~PowerLossEnv() = default;

void PowerLossEnv::CutPower() { file_system_->CutPower(); }
void PowerLossEnv::RestoreAtLoss(const std::string& path) { file_system_->RestoreAtLoss(path); }
void PowerLossEnv::FillDisk(bool full) { file_system_->FillDisk(full); }
void PowerLossEnv::FailCalls(DiskCall call, int64_t first, int64_t last, int error) {
  file_system_->FailCalls(call, first, last, error);
}
int64_t PowerLossEnv::calls(DiskCall call) const { return file_system_->calls(call); }
void PowerLossEnv::HoldTables(bool hold) { file_system_->HoldTables(hold); }
void PowerLossEnv::CutPowerAfter(int64_t operations) { file_system_->CutPowerAfter(operations); }
bool PowerLossEnv::off() const { return file_system_->off(); }
void PowerLossEnv::DropUnsynced(std::mt19937_64& random) { file_system_->DropUnsynced(random); }

}  // namespace groundswell
