#include "program/symbolic_links.h"

#include <filesystem>
#include <system_error>

namespace groundswell {
namespace {

constexpr int kLinksMax = 40;  // as the system follows at most

}  // namespace

std::string FollowLinks(const std::string& path) {
  std::error_code error;
  std::filesystem::path at = path;
  for (int links = 0; links < kLinksMax && std::filesystem::is_symlink(at, error); ++links) {
    at = at.parent_path() / std::filesystem::read_symlink(at, error);
  }
  return at.string();
}

}  // namespace groundswell
