/* A disk that fails, for a program that loads this library with LD_PRELOAD: calls of one kind, for
 * files below $FAULTY_DISK_DIRECTORY, fail or hang as the file $FAULTY_DISK_CONTROL says, which
 * whoever tests maps into memory too (faulty_disk.h). */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "tests/integration/faulty_disk_control.h"

static struct FaultyDiskControl* control = NULL;
static char directory[4096];

__attribute__((constructor)) static void MapControl(void) {
  const char* below = getenv("FAULTY_DISK_DIRECTORY");
  const char* file = getenv("FAULTY_DISK_CONTROL");
  if (below == NULL || file == NULL || strlen(below) >= sizeof(directory)) return;
  strcpy(directory, below);
  const int descriptor = (int)syscall(SYS_openat, AT_FDCWD, file, O_RDWR | O_CLOEXEC, 0);
  if (descriptor < 0) return;
  void* mapped = mmap(NULL, sizeof(struct FaultyDiskControl), PROT_READ | PROT_WRITE, MAP_SHARED,
                      descriptor, 0);
  close(descriptor);
  if (mapped != MAP_FAILED) control = mapped;
}

static int IsBelow(const char* path) { return strncmp(path, directory, strlen(directory)) == 0; }

static int IsOpenBelow(int descriptor) {
  char link[64];
  char path[4096];
  snprintf(link, sizeof(link), "/proc/self/fd/%d", descriptor);
  const ssize_t size = readlink(link, path, sizeof(path) - 1);
  if (size <= 0) return 0;
  path[size] = '\0';
  return IsBelow(path);
}

/* The errno with which the call is to fail, or 0. Waits while such calls hang. */
static int Meet(int call) {
  __atomic_add_fetch(&control->calls[call], 1, __ATOMIC_SEQ_CST);
  while (__atomic_load_n(&control->hanging, __ATOMIC_SEQ_CST) == call + 1) {
    const struct timespec moment = {.tv_sec = 0, .tv_nsec = 5000000};
    __atomic_store_n(&control->hung, 1, __ATOMIC_SEQ_CST);
    nanosleep(&moment, NULL);
  }
  if (__atomic_load_n(&control->failing, __ATOMIC_SEQ_CST) != call + 1) return 0;
  if (__atomic_sub_fetch(&control->passing, 1, __ATOMIC_SEQ_CST) >= 0) return 0;
  if (__atomic_sub_fetch(&control->left, 1, __ATOMIC_SEQ_CST) < 0) return 0;
  __atomic_add_fetch(&control->failed, 1, __ATOMIC_SEQ_CST);
  return __atomic_load_n(&control->error, __ATOMIC_SEQ_CST);
}

static int MeetOpen(int call, int descriptor) {
  return control != NULL && IsOpenBelow(descriptor) ? Meet(call) : 0;
}

static int MeetPath(int call, const char* path) {
  return control != NULL && path != NULL && IsBelow(path) ? Meet(call) : 0;
}

static int MeetSync(int descriptor) {
  struct stat about;
  const int is_directory = fstat(descriptor, &about) == 0 && S_ISDIR(about.st_mode);
  return MeetOpen(is_directory ? kFaultySyncDirectory : kFaultySync, descriptor);
}

#define FAIL_BY(meeting)       \
  const int error = (meeting); \
  if (error != 0) {            \
    errno = error;             \
    return -1;                 \
  }
/* As the next library has it, which has the same parameters. */
#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void* data, size_t size) {
  FAIL_BY(MeetOpen(kFaultyWrite, fd))
  return NEXT(write)(fd, data, size);
}

ssize_t pwrite(int fd, const void* data, size_t size, off_t at) {
  FAIL_BY(MeetOpen(kFaultyWrite, fd))
  return NEXT(pwrite)(fd, data, size, at);
}

ssize_t pwrite64(int fd, const void* data, size_t size, off64_t at) {
  FAIL_BY(MeetOpen(kFaultyWrite, fd))
  return NEXT(pwrite64)(fd, data, size, at);
}

ssize_t writev(int fd, const struct iovec* parts, int count) {
  FAIL_BY(MeetOpen(kFaultyWrite, fd))
  return NEXT(writev)(fd, parts, count);
}

ssize_t pwritev(int fd, const struct iovec* parts, int count, off_t at) {
  FAIL_BY(MeetOpen(kFaultyWrite, fd))
  return NEXT(pwritev)(fd, parts, count, at);
}

ssize_t pwritev64(int fd, const struct iovec* parts, int count, off64_t at) {
  FAIL_BY(MeetOpen(kFaultyWrite, fd))
  return NEXT(pwritev64)(fd, parts, count, at);
}

int fallocate(int fd, int mode, off_t at, off_t size) {
  FAIL_BY(MeetOpen(kFaultyWrite, fd))
  return NEXT(fallocate)(fd, mode, at, size);
}

int fallocate64(int fd, int mode, off64_t at, off64_t size) {
  FAIL_BY(MeetOpen(kFaultyWrite, fd))
  return NEXT(fallocate64)(fd, mode, at, size);
}

/* These two return the error and leave errno alone. */
int posix_fallocate(int fd, off_t at, off_t size) {
  const int error = MeetOpen(kFaultyWrite, fd);
  return error != 0 ? error : NEXT(posix_fallocate)(fd, at, size);
}

int posix_fallocate64(int fd, off64_t at, off64_t size) {
  const int error = MeetOpen(kFaultyWrite, fd);
  return error != 0 ? error : NEXT(posix_fallocate64)(fd, at, size);
}

int fsync(int fd) {
  FAIL_BY(MeetSync(fd))
  return NEXT(fsync)(fd);
}

int fdatasync(int fd) {
  FAIL_BY(MeetSync(fd))
  return NEXT(fdatasync)(fd);
}

int sync_file_range(int fd, off64_t at, off64_t size, unsigned flags) {
  FAIL_BY(MeetSync(fd))
  return NEXT(sync_file_range)(fd, at, size, flags);
}

int rename(const char* from, const char* to) {
  FAIL_BY(MeetPath(kFaultyRename, to))
  return NEXT(rename)(from, to);
}

/* The mode is there only where a file may be made. */
#define MODE_OF(flags)                            \
  mode_t mode = 0;                                \
  if (((flags) & (O_CREAT | __O_TMPFILE)) != 0) { \
    va_list rest;                                 \
    va_start(rest, flags);                        \
    mode = va_arg(rest, mode_t);                  \
    va_end(rest);                                 \
  }

int open(const char* path, int flags, ...) {
  MODE_OF(flags)
  FAIL_BY(MeetPath(kFaultyOpen, path))
  return NEXT(open)(path, flags, mode);
}

int open64(const char* path, int flags, ...) {
  MODE_OF(flags)
  FAIL_BY(MeetPath(kFaultyOpen, path))
  return NEXT(open64)(path, flags, mode);
}

int openat(int at, const char* path, int flags, ...) {
  MODE_OF(flags)
  FAIL_BY(MeetPath(kFaultyOpen, path))
  return NEXT(openat)(at, path, flags, mode);
}

int openat64(int at, const char* path, int flags, ...) {
  MODE_OF(flags)
  FAIL_BY(MeetPath(kFaultyOpen, path))
  return NEXT(openat64)(at, path, flags, mode);
}

/* What glibc's checked headers make of a call without a mode. */
int __open_2(const char* path, int flags) {
  FAIL_BY(MeetPath(kFaultyOpen, path))
  return NEXT(open)(path, flags);
}

int __open64_2(const char* path, int flags) {
  FAIL_BY(MeetPath(kFaultyOpen, path))
  return NEXT(open64)(path, flags);
}
