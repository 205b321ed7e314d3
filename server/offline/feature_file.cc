#include "server/offline/feature_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>

#include "program/symbolic_links.h"

namespace groundswell {
namespace {

constexpr size_t kAlignment = 64;

absl::Status FeatureFileError(std::string_view doing, const std::string& path) {
  const std::string message = fmt::format("cannot {} \"{}\": {}", doing, path, strerror(errno));
  return errno == ENOSPC ? absl::ResourceExhaustedError(message) : absl::UnavailableError(message);
}

size_t ColumnBytes(const FeatureFile::Column& column) {
  size_t bytes = column.is_int64 ? sizeof(int64_t) : sizeof(int32_t);
  for (const size_t dimension : column.shape) bytes *= dimension;
  return bytes;
}

}  // namespace

absl::StatusOr<std::unique_ptr<FeatureFile>> FeatureFile::Create(const std::string& path,
                                                                 const std::vector<Column>& columns,
                                                                 const Metadata& metadata) {
  nlohmann::ordered_json header;
  if (!metadata.empty()) header["__metadata__"] = metadata;
  size_t data_bytes = 0;
  for (const Column& column : columns) {
    const size_t end = data_bytes + ColumnBytes(column);
    header[column.name] = {{"dtype", column.is_int64 ? "I64" : "I32"},
                           {"shape", column.shape},
                           {"data_offsets", {data_bytes, end}}};
    data_bytes = end;
  }
  std::string text = header.dump();
  text.append((kAlignment - (sizeof(uint64_t) + text.size()) % kAlignment) % kAlignment, ' ');

  std::unique_ptr<FeatureFile> file(new FeatureFile);
  // The file takes the place of what the links lead to, not of a link.
  file->path_ = FollowLinks(path);
  std::error_code ignored;
  const auto there = std::filesystem::status(file->path_, ignored);
  if (std::filesystem::exists(there) && !std::filesystem::is_regular_file(there)) {
    return absl::InvalidArgumentError(fmt::format(
        "\"{}\" is no file that could be replaced, such as a directory or a device; name a file",
        path));
  }
  const std::string partial = file->path_ + ".partial";
  const size_t data_begin = sizeof(uint64_t) + text.size();
  const int descriptor = ::open(partial.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (descriptor < 0) return FeatureFileError("create", partial);
  // Space is reserved now, so that a full disk is an error here and not a signal while writing.
  const int reserved =
      ::posix_fallocate(descriptor, 0, static_cast<off_t>(data_begin + data_bytes));
  void* mapped = MAP_FAILED;
  if (reserved == 0) {
    mapped =
        ::mmap(nullptr, data_begin + data_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  } else {
    errno = reserved;
  }
  const int error = errno;
  ::close(descriptor);
  if (mapped == MAP_FAILED) {
    errno = error;
    return FeatureFileError("reserve space for", partial);
  }
  file->mapped_ = static_cast<std::byte*>(mapped);
  file->mapped_bytes_ = data_begin + data_bytes;
  const uint64_t header_bytes = text.size();
  std::memcpy(file->mapped_, &header_bytes, sizeof(header_bytes));
  std::memcpy(file->mapped_ + sizeof(header_bytes), text.data(), text.size());
  size_t at = data_begin;
  for (const Column& column : columns) {
    file->columns_.emplace(column.name, std::span(file->mapped_ + at, ColumnBytes(column)));
    at += ColumnBytes(column);
  }
  return file;
}

FeatureFile::~FeatureFile() {
  if (mapped_ == nullptr) return;
  ::munmap(mapped_, mapped_bytes_);
  ::unlink((path_ + ".partial").c_str());
}

std::span<int32_t> FeatureFile::Int32(std::string_view name) {
  const std::span<std::byte> bytes = columns_.find(name)->second;
  return {reinterpret_cast<int32_t*>(bytes.data()), bytes.size() / sizeof(int32_t)};
}

std::span<int64_t> FeatureFile::Int64(std::string_view name) {
  const std::span<std::byte> bytes = columns_.find(name)->second;
  return {reinterpret_cast<int64_t*>(bytes.data()), bytes.size() / sizeof(int64_t)};
}

absl::Status FeatureFile::Finish() {
  const std::string partial = path_ + ".partial";
  if (::munmap(mapped_, mapped_bytes_) != 0) return FeatureFileError("write", partial);
  mapped_ = nullptr;
  if (std::rename(partial.c_str(), path_.c_str()) != 0) return FeatureFileError("rename", partial);
  return absl::OkStatus();
}

}  // namespace groundswell
