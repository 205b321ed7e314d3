#include "program/process_limits.h"

#include <gmock/gmock.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "tests/support/sanitized.h"

namespace groundswell {
namespace {

TEST(AddressSpaceTest, WithoutALimitThereIsEnough) {
  EXPECT_EQ(CheckAddressSpace(uint64_t{1} << 60, "everything"), absl::OkStatus());
}

TEST(AddressSpaceTest, AThreadTakesItsStackAndMore) {
  rlimit stack{};
  ASSERT_EQ(getrlimit(RLIMIT_STACK, &stack), 0);
  EXPECT_GE(AddressSpaceOfThreads(10), 10 * (uint64_t{1} << 20));
  EXPECT_EQ(AddressSpaceOfThreads(10), 10 * AddressSpaceOfThreads(1));
}

TEST(ThreadsTest, ThereAreSomeAndNotWithoutEnd) {
  EXPECT_EQ(CheckThreads(20, "serving"), absl::OkStatus());
}

// In a process of its own. The superuser has no such limit. It ends without the handlers of exit: a
// sanitizer's would want a thread.
[[noreturn]] void CheckWithoutThreads(rlimit threads, rlimit stack) {
  if (geteuid() == 0 && setuid(65'533) != 0) ::_exit(2);
  if (setrlimit(RLIMIT_NPROC, &threads) != 0) ::_exit(2);
  if (setrlimit(RLIMIT_STACK, &stack) != 0) ::_exit(2);
  const absl::Status refused = CheckThreads(20, "serving");
  std::fprintf(stderr, "%s\n", std::string(refused.message()).c_str());
  ::_exit(absl::IsResourceExhausted(refused) ? 0 : 4);
}

TEST(ThreadsDeathTest, ALimitThatIsTooLowIsNamed) {
  rlimit stack{};
  rlimit threads{};
  ASSERT_EQ(getrlimit(RLIMIT_STACK, &stack), 0);
  ASSERT_EQ(getrlimit(RLIMIT_NPROC, &threads), 0);
  const rlimit one{.rlim_cur = 1, .rlim_max = 1};
  EXPECT_EXIT(CheckWithoutThreads(one, stack), testing::ExitedWithCode(0),
              "threads more, and serving needs 20.*ulimit -u");
  const rlimit small{.rlim_cur = rlim_t{64} << 10, .rlim_max = stack.rlim_max};
  EXPECT_EXIT(CheckWithoutThreads(threads, small), testing::ExitedWithCode(0),
              "64 KiB .ulimit -s.*serving needs");
}

#ifndef GROUNDSWELL_SANITIZED  // whose own memory is beyond any such limit
// In a process of its own.
[[noreturn]] void CheckWithinALimit() {
  const uint64_t bytes = AddressSpaceInUse() + (uint64_t{512} << 20);
  const rlimit limit{.rlim_cur = bytes, .rlim_max = RLIM_INFINITY};
  if (setrlimit(RLIMIT_AS, &limit) != 0) std::exit(2);
  if (!CheckAddressSpace(bytes, "serving").ok()) std::exit(3);
  const absl::Status refused = CheckAddressSpace(bytes + 1, "serving");
  std::fprintf(stderr, "%s\n", std::string(refused.message()).c_str());
  std::exit(absl::IsResourceExhausted(refused) ? 0 : 4);
}

TEST(AddressSpaceDeathTest, ALimitThatIsTooLowIsNamed) {
  EXPECT_EXIT(CheckWithinALimit(), testing::ExitedWithCode(0), "ulimit -v.*serving needs");
}
#endif

}  // namespace
}  // namespace groundswell
