// FaultyDisk: a real program's disk, whose calls fail or hang when a test says so, without any
// privilege: a library that the program loads stands before the C library's calls (faulty_disk.c).
#ifndef GROUNDSWELL_TESTS_INTEGRATION_FAULTY_DISK_H_
#define GROUNDSWELL_TESTS_INTEGRATION_FAULTY_DISK_H_

#include <cstdint>
#include <limits>
#include <string>

#include "tests/integration/server_process.h"

struct FaultyDiskControl;

namespace groundswell {

// What is asked of a disk; in the order of faulty_disk_control.h.
enum class FaultyCall { kWrite, kSync, kOpen, kRename, kSyncDirectory, kCount };
const char* NameOf(FaultyCall call);

class FaultyDisk {
 public:
  static constexpr int64_t kForEver = std::numeric_limits<int64_t>::max();

  // Of the files whose paths begin with `path`. `control_file` is made, and must be elsewhere.
  FaultyDisk(std::string path, std::string control_file);
  ~FaultyDisk();
  FaultyDisk(const FaultyDisk&) = delete;
  FaultyDisk& operator=(const FaultyDisk&) = delete;

  // For the program that is to have this disk.
  Environment environment() const;

  // From now on, of calls of this kind `passing` pass, and `count` fail with this errno.
  void Fail(FaultyCall call, int error, int64_t passing = 0, int64_t count = kForEver);
  // From now on no call of this kind comes back until Heal.
  void Hang(FaultyCall call);
  void Heal();

  // Of one kind, since this object is there.
  int64_t calls(FaultyCall call) const;
  // Since the last Fail.
  int64_t failed() const;
  // Whether a call has hung since the last Hang.
  bool hung() const;

 private:
  const std::string path_;
  const std::string control_file_;
  FaultyDiskControl* control_ = nullptr;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_TESTS_INTEGRATION_FAULTY_DISK_H_
