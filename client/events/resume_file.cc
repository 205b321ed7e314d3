#include "client/events/resume_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <istream>
#include <utility>

#include "program/symbolic_links.h"

namespace groundswell {
namespace {

constexpr std::chrono::milliseconds kResumeInterval{50};
constexpr size_t kHashLength = 32;

// The numbers that may be missing behind the hash.
bool ReadRest(std::istream& file, ResumePoint& point) {
  const auto has_more = [&file] { return static_cast<bool>(file >> std::ws) && !file.eof(); };
  if (has_more() && !(file >> point.refused && point.refused <= point.record)) return false;
  if (has_more() && !(file >> point.log_offset && point.log_offset >= 0)) return false;
  return !has_more();
}

}  // namespace

ResumeFile::ResumeFile(const std::string& path) : path_(FollowLinks(path)) {}

absl::StatusOr<ResumePoint> ResumeFile::Read() const {
  if (path_.empty() || !std::filesystem::exists(path_)) return ResumePoint{};
  if (std::filesystem::is_directory(path_)) {
    return absl::InvalidArgumentError(
        fmt::format("--resume-file \"{}\" is a directory; name a file", path_));
  }
  ResumePoint point;
  std::ifstream file(path_);
  const bool is_read = static_cast<bool>(file >> point.record);
  file >> point.chain_hash;
  const bool is_whole = ReadRest(file, point);
  if (!is_read || !is_whole || point.chain_hash.size() != (point.record == 0 ? 0 : kHashLength)) {
    return absl::InvalidArgumentError(
        fmt::format("--resume-file \"{}\" does not hold a record's number and hash; delete it to "
                    "begin anew",
                    path_));
  }
  return point;
}

void ResumeFile::Sending(ResumePoint point) {
  if (path_.empty()) return;
  const std::lock_guard<std::mutex> lock(mutex_);
  if (point.record < stays_before_) sent_.push_back(std::move(point));
}

void ResumeFile::StayBefore(uint64_t record) {
  const std::lock_guard<std::mutex> lock(mutex_);
  stays_before_ = std::min(stays_before_, record);
  while (!sent_.empty() && sent_.back().record >= stays_before_) sent_.pop_back();
}

ResumePoint ResumeFile::TakeUpTo(uint64_t record, uint64_t refused, int64_t log_offset) {
  while (sent_.size() > 1 && sent_[1].record <= record) sent_.pop_front();
  if (sent_.empty() || sent_.front().record > record) return {};
  sent_.front().refused = refused;
  sent_.front().log_offset = log_offset;
  return sent_.front();
}

void ResumeFile::Note(uint64_t record, uint64_t refused, int64_t log_offset) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto now = std::chrono::steady_clock::now();
  if (now < next_) return;
  next_ = now + kResumeInterval;
  status_.Update(Write(TakeUpTo(record, refused, log_offset)));
}

absl::Status ResumeFile::Finish(uint64_t record, uint64_t refused, int64_t log_offset) {
  const std::lock_guard<std::mutex> lock(mutex_);
  absl::Status status = Write(TakeUpTo(record, refused, log_offset));
  return status_.ok() ? status : status_;
}

// Written whole, on disk, and then put in the place of the old one: a crash or a full disk leaves
// the previous state.
absl::Status ResumeFile::Write(const ResumePoint& point) const {
  if (path_.empty() || point.record == 0) return absl::OkStatus();
  const std::string partial = path_ + ".partial";
  const std::string text =
      fmt::format("{} {} {} {}\n", point.record, point.chain_hash, point.refused, point.log_offset);
  const int file = ::open(partial.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  bool written = file >= 0 &&
                 ::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
                 ::fsync(file) == 0;
  if (file >= 0) written = ::close(file) == 0 && written;
  if (written && ::rename(partial.c_str(), path_.c_str()) == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(
      fmt::format("cannot write --resume-file \"{}\": {}", path_, std::strerror(errno)));
}

}  // namespace groundswell
