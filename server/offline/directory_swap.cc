#include "server/offline/directory_swap.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdio.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string_view>

namespace groundswell {
namespace {

namespace fs = std::filesystem;

absl::Status SystemError(std::string_view doing, const std::string& path) {
  return absl::UnavailableError(fmt::format("cannot {} \"{}\": {}", doing, path, strerror(errno)));
}

}  // namespace

absl::Status SwapDirectories(const std::string& staged, const std::string& target) {
  std::error_code error;
  const bool replaces = fs::exists(fs::path(target) / "CURRENT", error);
  const unsigned flags = replaces ? RENAME_EXCHANGE : 0;
  if (::renameat2(AT_FDCWD, staged.c_str(), AT_FDCWD, target.c_str(), flags) != 0) {
    return SystemError("move the finished database to", target);
  }
  fs::path parent = fs::path(target).parent_path();
  if (parent.empty()) parent = ".";
  const int directory = ::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return SystemError("open", parent);
  const int synced = ::fsync(directory);
  ::close(directory);
  return synced == 0 ? absl::OkStatus() : SystemError("sync", parent);
}

}  // namespace groundswell
