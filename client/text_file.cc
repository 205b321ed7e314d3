#include "client/text_file.h"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "csv/csv_reader.h"

namespace groundswell {

absl::StatusOr<std::string> ReadTextFile(std::string_view name, const std::string& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    return absl::InvalidArgumentError(
        fmt::format("{} \"{}\" is a directory; give a file", name, path));
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return absl::NotFoundError(
        fmt::format("{} \"{}\" cannot be opened: {}", name, path, strerror(errno)));
  }
  std::string text;
  std::array<char, size_t{1} << 16> piece{};
  while (text.size() <= kTextFileBytesMax && file) {
    file.read(piece.data(), std::ssize(piece));
    text.append(piece.data(), static_cast<size_t>(file.gcount()));
  }
  if (file.bad()) {
    return absl::InvalidArgumentError(fmt::format("{} \"{}\" cannot be read", name, path));
  }
  if (text.size() > kTextFileBytesMax) {
    return absl::InvalidArgumentError(fmt::format(
        "{} \"{}\" has more than {} bytes; is it the right file?", name, path, kTextFileBytesMax));
  }
  if (text.starts_with(kByteOrderMark)) text.erase(0, kByteOrderMark.size());
  return text;
}

}  // namespace groundswell
