/* Makes the disk full without filling it, for a program that loads this library with LD_PRELOAD: while
 * the file $FULL_DISK_SWITCH exists, writes to files below $FULL_DISK_DIRECTORY fail with ENOSPC. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static int disk_is_full(int descriptor) {
  const char* directory = getenv("FULL_DISK_DIRECTORY");
  const char* switch_file = getenv("FULL_DISK_SWITCH");
  if (directory == NULL || switch_file == NULL || access(switch_file, F_OK) != 0) return 0;
  char link[64];
  char path[4096];
  snprintf(link, sizeof(link), "/proc/self/fd/%d", descriptor);
  const ssize_t size = readlink(link, path, sizeof(path) - 1);
  if (size <= 0) return 0;
  path[size] = '\0';
  return strncmp(path, directory, strlen(directory)) == 0;
}

#define FAIL_WHEN_FULL(descriptor) \
  if (disk_is_full(descriptor)) {  \
    errno = ENOSPC;                \
    return -1;                     \
  }

ssize_t write(int fd, const void* data, size_t size) {
  FAIL_WHEN_FULL(fd)
  ssize_t (*real)(int, const void*, size_t) = dlsym(RTLD_NEXT, "write");
  return real(fd, data, size);
}

ssize_t pwrite(int fd, const void* data, size_t size, off_t at) {
  FAIL_WHEN_FULL(fd)
  ssize_t (*real)(int, const void*, size_t, off_t) = dlsym(RTLD_NEXT, "pwrite");
  return real(fd, data, size, at);
}

ssize_t pwrite64(int fd, const void* data, size_t size, off64_t at) {
  FAIL_WHEN_FULL(fd)
  ssize_t (*real)(int, const void*, size_t, off64_t) = dlsym(RTLD_NEXT, "pwrite64");
  return real(fd, data, size, at);
}

ssize_t writev(int fd, const struct iovec* parts, int count) {
  FAIL_WHEN_FULL(fd)
  ssize_t (*real)(int, const struct iovec*, int) = dlsym(RTLD_NEXT, "writev");
  return real(fd, parts, count);
}

ssize_t pwritev(int fd, const struct iovec* parts, int count, off_t at) {
  FAIL_WHEN_FULL(fd)
  ssize_t (*real)(int, const struct iovec*, int, off_t) = dlsym(RTLD_NEXT, "pwritev");
  return real(fd, parts, count, at);
}

ssize_t pwritev64(int fd, const struct iovec* parts, int count, off64_t at) {
  FAIL_WHEN_FULL(fd)
  ssize_t (*real)(int, const struct iovec*, int, off64_t) = dlsym(RTLD_NEXT, "pwritev64");
  return real(fd, parts, count, at);
}

int fallocate(int fd, int mode, off_t at, off_t size) {
  FAIL_WHEN_FULL(fd)
  int (*real)(int, int, off_t, off_t) = dlsym(RTLD_NEXT, "fallocate");
  return real(fd, mode, at, size);
}

int fallocate64(int fd, int mode, off64_t at, off64_t size) {
  FAIL_WHEN_FULL(fd)
  int (*real)(int, int, off64_t, off64_t) = dlsym(RTLD_NEXT, "fallocate64");
  return real(fd, mode, at, size);
}

/* These two return the error and leave errno alone. */
int posix_fallocate(int fd, off_t at, off_t size) {
  if (disk_is_full(fd)) return ENOSPC;
  int (*real)(int, off_t, off_t) = dlsym(RTLD_NEXT, "posix_fallocate");
  return real(fd, at, size);
}

int posix_fallocate64(int fd, off64_t at, off64_t size) {
  if (disk_is_full(fd)) return ENOSPC;
  int (*real)(int, off64_t, off64_t) = dlsym(RTLD_NEXT, "posix_fallocate64");
  return real(fd, at, size);
}
