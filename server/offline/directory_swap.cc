#include "server/offline/directory_swap.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string_view>
#include <system_error>

#include "program/symbolic_links.h"

namespace groundswell {
namespace {

namespace fs = std::filesystem;

absl::Status SwapError(std::string_view doing, const std::string& path) {
  return absl::UnavailableError(fmt::format("cannot {} \"{}\": {}", doing, path, strerror(errno)));
}

// In a staging directory, as long as it is one: says that it is ours to remove.
constexpr const char* kMarker = "STAGED_BY_GROUNDSWELL";

absl::Status FileError(std::string_view doing, const std::string& path,
                       const std::error_code& error) {
  return absl::UnavailableError(fmt::format("cannot {} \"{}\": {}", doing, path, error.message()));
}

bool IsDigits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == text.npos;
}

// Whether RocksDB or the server keeps a file of this name in a database.
bool IsDatabaseFile(std::string_view name) {
  for (const std::string_view own :
       {"CURRENT", "IDENTITY", "LOCK", "LOG", "ACKNOWLEDGED", "PROBE", kMarker}) {
    if (name == own) return true;
  }
  for (const std::string_view prefix : {"MANIFEST-", "OPTIONS-", "LOG.old."}) {
    if (name.starts_with(prefix)) return true;
  }
  const size_t dot = name.find('.');
  return dot != name.npos && IsDigits(name.substr(0, dot)) &&
         (name.substr(dot) == ".sst" || name.substr(dot) == ".log" || name.substr(dot) == ".blob" ||
          name.substr(dot) == ".dbtmp");
}

// Of a disk or a bind mount, such as a container's volume.
bool IsMountPoint(const std::string& directory) {
  struct statx found {};
  return ::statx(AT_FDCWD, directory.c_str(), 0, STATX_TYPE, &found) == 0 &&
         (found.stx_attributes_mask & found.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

absl::Status Remove(const std::string& path) {
  std::error_code error;
  fs::remove_all(path, error);
  return error ? FileError("remove", path, error) : absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> ResolveDatabasePath(const std::string& path) {
  std::string name = path;
  if (name.empty()) {
    return absl::InvalidArgumentError("the directory of the database is \"\"; name one");
  }
  while (name.size() > 1 && name.back() == '/') name.pop_back();
  std::error_code error;
  // First the last link, which may lead to what is not there yet.
  const fs::path resolved = fs::weakly_canonical(FollowLinks(name), error);
  if (error) return FileError("look at", name, error);
  return resolved.string();
}

absl::Status CheckMovable(const std::string& directory) {
  if (!IsMountPoint(directory)) return absl::OkStatus();
  return absl::FailedPreconditionError(
      fmt::format("\"{}\" is where a disk is mounted, which nothing can be moved to; name a "
                  "directory in it, such as \"{}\"",
                  directory, (fs::path(directory) / "db").string()));
}

absl::Status CheckReplaceable(const std::string& directory) {
  std::error_code error;
  if (!fs::exists(directory, error)) {
    return error ? FileError("look at", directory, error) : absl::OkStatus();
  }
  if (!fs::is_directory(directory, error)) {
    return absl::FailedPreconditionError(fmt::format("\"{}\" is not a directory", directory));
  }
  const bool is_database = fs::exists(fs::path(directory) / "CURRENT", error);
  if (!is_database) {  // a database may turn out to be what is wanted already
    if (absl::Status s = CheckMovable(directory); !s.ok()) return s;
  }
  for (auto entry = fs::directory_iterator(directory, error);
       !error && entry != fs::directory_iterator(); entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (is_database && IsDatabaseFile(name) && !entry->is_directory(error)) continue;
    return absl::FailedPreconditionError(
        fmt::format("\"{}\" holds \"{}\", which is not part of a Groundswell database and would be "
                    "deleted with it; move it away, or choose an empty or new directory",
                    directory, name));
  }
  return error ? FileError("read", directory, error) : absl::OkStatus();
}

absl::StatusOr<std::string> MakeStagingDirectory(const std::string& target,
                                                 const std::string& suffix) {
  const std::string staged = target + suffix;
  std::error_code error;
  if (fs::exists(staged, error)) {
    if (!fs::exists(fs::path(staged) / kMarker, error)) {
      return absl::FailedPreconditionError(
          fmt::format("\"{}\" is needed for a while and is there already; move it away", staged));
    }
    if (absl::Status s = Remove(staged); !s.ok()) return s;
  }
  fs::create_directories(staged, error);
  if (error) return FileError("create", staged, error);
  const int marker =
      ::open((fs::path(staged) / kMarker).c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
  if (marker < 0) return SwapError("write to", staged);
  ::close(marker);
  return staged;
}

absl::Status RemoveStagingDirectory(const std::string& staged) { return Remove(staged); }

absl::StatusOr<FileLock> LockDatabase(const std::string& directory) {
  std::optional<FileLock> lock = FileLock::Take((fs::path(directory) / "LOCK").string());
  if (lock.has_value()) return *std::move(lock);
  if (errno != EAGAIN) return SwapError("lock the database", directory);
  return InUse(directory, "stop it first");
}

absl::Status InUse(const std::string& directory, std::string_view remedy) {
  const std::string lock = (fs::path(directory) / "LOCK").string();
  std::error_code error;
  std::string shared;
  if (fs::is_symlink(lock, error)) {
    shared = fmt::format("a symbolic link to \"{}\"", fs::read_symlink(lock, error).string());
  } else if (const uintmax_t names = fs::hard_link_count(lock, error); !error && names > 1) {
    shared = fmt::format("one file with {} names (hard links)", names);
  }
  if (shared.empty()) {
    return absl::UnavailableError(
        fmt::format("database \"{}\" is in use by another process, perhaps the server that serves "
                    "it; {}",
                    directory, remedy));
  }
  return absl::UnavailableError(
      fmt::format("\"{}\" is {}, and is locked: by whoever has this database open, or the one of "
                  "another directory that has this file too. Every database needs a LOCK of its "
                  "own: stop what serves this one, if anything does, and remove \"{}\"; it is "
                  "made anew",
                  lock, shared, lock));
}

absl::Status SwapDirectories(const std::string& staged, const std::string& target,
                             const FileLock* replaced) {
  if (replaced != nullptr) {
    if (absl::Status s = CheckReplaceable(target); !s.ok()) return s;
  }
  // Without an exchange only what is not there or an empty directory gives way.
  const unsigned flags = replaced != nullptr ? RENAME_EXCHANGE : 0;
  if (::renameat2(AT_FDCWD, staged.c_str(), AT_FDCWD, target.c_str(), flags) != 0) {
    if (errno != ENOTEMPTY && errno != EEXIST) {
      return SwapError("move the finished database to", target);
    }
    return absl::FailedPreconditionError(
        fmt::format("\"{}\" was empty at first and now holds something, perhaps the database of a "
                    "server that was started on it meanwhile; nothing was changed. Stop it, and "
                    "choose what is to be kept",
                    target));
  }
  fs::path parent = fs::path(target).parent_path();
  if (parent.empty()) parent = ".";
  const int directory = ::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return SwapError("open", parent);
  const int synced = ::fsync(directory);
  ::close(directory);
  if (synced != 0) return SwapError("sync", parent);
  // Only now: until here the old database could have been the staged one.
  std::error_code ignored;
  if (replaced != nullptr) std::ofstream(fs::path(staged) / kMarker).put('\n');
  fs::remove(fs::path(target) / kMarker, ignored);
  return absl::OkStatus();
}

}  // namespace groundswell
