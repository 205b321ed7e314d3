#include "program/process_limits.h"

#include <fmt/format.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <latch>
#include <vector>

namespace groundswell {
namespace {

constexpr uint64_t kKilobyte = 1024;  // as ulimit counts
constexpr uint64_t kUsualStack = uint64_t{8} << 20;
constexpr uint64_t kOfAllocator = uint64_t{4} << 20;  // for one thread
constexpr uint64_t kStackMin = uint64_t{256} << 10;

void* WaitFor(void* end) {
  static_cast<std::latch*>(end)->wait();
  return nullptr;
}

// How many of these there may be beside those that there are.
int64_t MoreThreads(int64_t wanted) {
  std::latch end(1);
  pthread_attr_t attributes;
  if (::pthread_attr_init(&attributes) != 0) return 0;
  // The least in which what libraries have for each thread has room too.
  ::pthread_attr_setstacksize(&attributes, kStackMin);
  std::vector<pthread_t> threads;
  threads.reserve(static_cast<size_t>(wanted));
  while (std::ssize(threads) < wanted) {
    pthread_t thread{};
    if (::pthread_create(&thread, &attributes, WaitFor, &end) != 0) break;
    threads.push_back(thread);
  }
  ::pthread_attr_destroy(&attributes);
  end.count_down();
  for (const pthread_t thread : threads) ::pthread_join(thread, nullptr);
  return std::ssize(threads);
}

}  // namespace

uint64_t AddressSpaceInUse() {
  uint64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  return pages * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

uint64_t AddressSpaceOfThreads(int64_t threads) {
  rlimit stack{};
  const bool is_known = ::getrlimit(RLIMIT_STACK, &stack) == 0 && stack.rlim_cur != RLIM_INFINITY;
  return static_cast<uint64_t>(threads) *
         ((is_known ? stack.rlim_cur : kUsualStack) + kOfAllocator);
}

absl::Status CheckAddressSpace(uint64_t bytes, std::string_view purpose) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) {
    return absl::OkStatus();
  }
  if (bytes <= limit.rlim_cur) return absl::OkStatus();
  return absl::ResourceExhaustedError(fmt::format(
      "the address space of this process is limited to {} KiB (ulimit -v), and {} needs "
      "{} KiB; raise the limit, or set it to unlimited and limit the memory that is in "
      "use instead (docs/operations.md)",
      limit.rlim_cur / kKilobyte, purpose, bytes / kKilobyte));
}

absl::Status CheckThreads(int64_t threads, std::string_view purpose) {
  rlimit stack{};
  if (::getrlimit(RLIMIT_STACK, &stack) == 0 && stack.rlim_cur < kStackMin) {
    return absl::ResourceExhaustedError(
        fmt::format("the stack of a thread is limited to {} KiB (ulimit -s), and {} needs {} KiB",
                    stack.rlim_cur / kKilobyte, purpose, kStackMin / kKilobyte));
  }
  const int64_t possible = MoreThreads(threads);
  if (possible == threads) return absl::OkStatus();
  return absl::ResourceExhaustedError(fmt::format(
      "this process can have {} threads more, and {} needs {}: raise the limit (ulimit -u, the "
      "tasks of the container or of the unit)",
      possible, purpose, threads));
}

}  // namespace groundswell
