// ResumeFile: remembers, in a file, up to which record of a source everything is dealt with, and
// what those records were: another source is not taken for the same one.
#ifndef GROUNDSWELL_CLIENT_EVENTS_RESUME_FILE_H_
#define GROUNDSWELL_CLIENT_EVENTS_RESUME_FILE_H_

#include <chrono>
#include <cstdint>
#include <deque>
#include <limits>
#include <mutex>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace groundswell {

// A record of a source, and all before it.
struct ResumePoint {
  uint64_t record = 0;
  std::string chain_hash;  // see ChainHash; empty at the beginning
  uint64_t refused = 0;    // of these, by the server
  int64_t log_offset = 0;  // the highest at which the server's log has one of these; 0: not known
};

// Thread-safe. The file holds the record's number, the hash, how many were refused, and the log's
// offset, with blanks between them; the last, or the last two, may be missing, and are then 0.
class ResumeFile {
 public:
  // An empty path: nothing is remembered. A symbolic link is followed and stays one.
  explicit ResumeFile(const std::string& path);

  // The beginning when there is no file yet; InvalidArgument when it holds something else.
  absl::StatusOr<ResumePoint> Read() const;

  // Before the record is sent, in order: what it is.
  void Sending(ResumePoint point);
  // The file stays before this record, which is to be read again, whatever is dealt with behind it.
  void StayBefore(uint64_t record);
  // Every record up to this one is dealt with, `refused` of them by a refusal, the others by an
  // entry in the log up to `log_offset`. Written now and then; the first error stays.
  void Note(uint64_t record, uint64_t refused, int64_t log_offset);
  // As Note, written at once; returns the first error.
  absl::Status Finish(uint64_t record, uint64_t refused, int64_t log_offset);

 private:
  ResumePoint TakeUpTo(uint64_t record, uint64_t refused, int64_t log_offset);
  absl::Status Write(const ResumePoint& point) const;

  const std::string path_;
  std::mutex mutex_;
  std::deque<ResumePoint> sent_;  // in order; the first may be dealt with
  uint64_t stays_before_ = std::numeric_limits<uint64_t>::max();
  absl::Status status_;
  std::chrono::steady_clock::time_point next_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_CLIENT_EVENTS_RESUME_FILE_H_
