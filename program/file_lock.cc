#include "program/file_lock.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace groundswell {

std::optional<FileLock> FileLock::Take(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (file < 0) return std::nullopt;
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  if (::fcntl(file, F_OFD_SETLK, &lock) == 0) return FileLock(file);
  const int why = errno == EACCES ? EAGAIN : errno;  // systems say either
  ::close(file);
  errno = why;
  return std::nullopt;
}

FileLock::~FileLock() {
  if (file_ >= 0) ::close(file_);
}

}  // namespace groundswell
