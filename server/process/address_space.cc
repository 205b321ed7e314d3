#include "server/process/address_space.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>

namespace groundswell {
namespace {

constexpr uint64_t kKilobyte = 1024;  // as ulimit counts
constexpr uint64_t kUsualStack = uint64_t{8} << 20;
constexpr uint64_t kOfAllocator = uint64_t{4} << 20;  // for one thread

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

}  // namespace groundswell
