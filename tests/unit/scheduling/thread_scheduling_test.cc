#include "scheduling/thread_scheduling.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
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

// sched_attr of sched_setattr(2) as numbers of 8 bytes, the first of which holds its size; the
// slice is number 3, in nanoseconds. Before Linux 6.12 it is always 0.
using SchedulingAttributes = std::array<uint64_t, 7>;

SchedulingAttributes AttributesOfThisThread() {
  SchedulingAttributes attributes{};
  EXPECT_EQ(syscall(SYS_sched_getattr, 0, attributes.data(), sizeof(attributes), 0), 0);
  return attributes;
}

uint64_t SliceOfThisThread() { return AttributesOfThisThread()[3]; }

// A slice is inherited, so that this thread must not have asked.
uint64_t SliceAfter(void (*request)()) {
  uint64_t slice = 0;
  std::thread([&] {
    request();
    slice = SliceOfThisThread();
  }).join();
  return slice;
}

TEST(ShortSlicesTest, EveryThreadThatComesByGetsThem) {
  const uint64_t slice = SliceAfter(RequestShortSlices);
  EXPECT_EQ(SliceAfter(RequestShortSlicesOnce), slice);
  EXPECT_EQ(SliceAfter(RequestShortSlicesOnce), slice) << "another thread";
}

TEST(ShortSlicesTest, AThreadAsksOnceOnly) {
  std::thread([] {
    RequestShortSlicesOnce();
    SchedulingAttributes attributes = AttributesOfThisThread();
    attributes[3] = 1'000'000;
    ASSERT_EQ(syscall(SYS_sched_setattr, 0, attributes.data(), 0), 0);
    const uint64_t slice = SliceOfThisThread();
    RequestShortSlicesOnce();
    EXPECT_EQ(SliceOfThisThread(), slice);
  }).join();
}

}  // namespace
}  // namespace groundswell
