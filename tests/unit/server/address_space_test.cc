#include "server/process/address_space.h"

#include <gmock/gmock.h>
#include <sys/resource.h>

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
