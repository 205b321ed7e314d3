#include "scheduling/thread_scheduling.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/resource.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <thread>

namespace groundswell {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;

constexpr milliseconds kWork{50};

void StayOnFirstCore() {
  cpu_set_t allowed;
  ASSERT_EQ(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
  int first = 0;
  while (!CPU_ISSET(first, &allowed)) ++first;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(first, &one);
  ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
}

nanoseconds ProcessorTime() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + nanoseconds(time.tv_nsec);
}

// How often this thread has lost or left its core.
int64_t Switches() {
  rusage usage{};
  getrusage(RUSAGE_THREAD, &usage);
  return usage.ru_nvcsw + usage.ru_nivcsw;
}

// In processor time, so that it does not matter what else the machine does. By itself the kernel
// would leave the core to each of the two for milliseconds.
TEST(YieldingTest, GivesTheCoreAwayManyTimesWithinASlice) {
  std::atomic<bool> done = false;
  std::thread waiting([&done] {
    StayOnFirstCore();
    while (!done) continue;
  });
  int64_t switches = 0;
  std::thread working([&switches] {
    StayOnFirstCore();
    LowerPriority(10);
    Yielding yielding;
    while (ProcessorTime() < kWork) yielding.BetweenPieces();
    switches = Switches();
  });
  working.join();
  done = true;
  waiting.join();
  EXPECT_GT(switches * microseconds(500), kWork);
}

}  // namespace
}  // namespace groundswell
