// FileLock: keeps other processes from what a file stands for, such as the database of its LOCK.
#ifndef GROUNDSWELL_PROGRAM_FILE_LOCK_H_
#define GROUNDSWELL_PROGRAM_FILE_LOCK_H_

#include <optional>
#include <string>
#include <utility>

namespace groundswell {

// A write lock on a whole file, as long as it is there. It excludes the POSIX locks that RocksDB
// takes on LOCK, those of this process too: a database cannot be opened while it is held. Opening
// and closing the file elsewhere in this process does not release it.
class FileLock {
 public:
  // Makes the file when it is not there. Nothing, and errno says why, when another holds it
  // (EAGAIN) or it cannot be opened.
  static std::optional<FileLock> Take(const std::string& path);

  FileLock(FileLock&& other) noexcept : file_(std::exchange(other.file_, -1)) {}
  FileLock& operator=(FileLock&&) = delete;
  ~FileLock();

 private:
  explicit FileLock(int file) : file_(file) {}

  int file_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_PROGRAM_FILE_LOCK_H_
