#include "server/process/write_watch.h"

#include <fmt/format.h>

namespace groundswell {
namespace {

using std::chrono::milliseconds;

int64_t SecondsOf(milliseconds duration) {
  return std::chrono::duration_cast<std::chrono::seconds>(duration).count();
}

}  // namespace

void WriteWatch::Look(milliseconds passed) {
  const uint64_t write = health_.oldest_write();
  const bool is_stuck = health_.stuck();
  const MutexLock lock(mutex_);
  stalled_ = write != 0 && write == write_ ? stalled_ + passed : milliseconds(0);
  write_ = write;
  stuck_ = is_stuck ? stuck_ + passed : milliseconds(0);
}

std::string WriteWatch::StalledBecause() const {
  const MutexLock lock(mutex_);
  if (stalled_ < limits_.stall_max) return "";
  return fmt::format("a write to the database has not come back for {} s", SecondsOf(stalled_));
}

std::string WriteWatch::HopelessBecause() const {
  const MutexLock lock(mutex_);
  if (limits_.recovery_max == milliseconds(0)) return "";
  if (stalled_ >= limits_.recovery_max) {
    return fmt::format("a write to the database has not come back for {} s", SecondsOf(stalled_));
  }
  if (stuck_ >= limits_.recovery_max) {
    return fmt::format(
        "the database has not recovered from a write error for {} s although the disk takes writes",
        SecondsOf(stuck_));
  }
  return "";
}

}  // namespace groundswell
