#include "graph/standing_aside.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

namespace groundswell {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::steady_clock;

constexpr milliseconds kForever{60'000};

void Work(nanoseconds time) {
  const auto end = steady_clock::now() + time;
  while (steady_clock::now() < end) continue;
}

TEST(CallsInFlightTest, LeaveNoCoreWhenTheyAreMoreThanThereIsRoomFor) {
  CallsInFlight calls(/*room=*/1);
  EXPECT_FALSE(calls.LeaveNoCore());
  calls.Begin();
  EXPECT_FALSE(calls.LeaveNoCore());
  calls.Begin();
  EXPECT_TRUE(calls.LeaveNoCore());
  calls.End();
  EXPECT_FALSE(calls.LeaveNoCore());
}

TEST(StandingAsideTest, WorkGoesOnWhenTheCallThatTookTheLastCoreEnds) {
  CallsInFlight calls(/*room=*/1);
  calls.Begin();
  calls.Begin();
  std::atomic<bool> works = false;
  std::thread thread([&] {
    StandingAside aside(calls, kForever);
    aside.BetweenPieces();
    works = true;
  });
  std::this_thread::sleep_for(milliseconds(20));
  EXPECT_FALSE(works);
  calls.End();
  thread.join();  // hangs for a minute, and the test times out, if nobody wakes it
  EXPECT_TRUE(works);
}

// However the ends of calls and the beginnings of waits fall together.
TEST(StandingAsideTest, NoEndIsMissed) {
  CallsInFlight calls(/*room=*/0);
  std::atomic<bool> done = false;
  std::thread caller([&] {
    for (int i = 0; i < 20'000; ++i) {
      calls.Begin();
      calls.End();
    }
    done = true;
  });
  StandingAside aside(calls, kForever);
  const auto begin = steady_clock::now();
  while (!done) aside.BetweenPieces();
  caller.join();
  EXPECT_LT(steady_clock::now() - begin, kForever / 2);
}

// Three quarters, and what else runs on the machine of a test: without the limit it would be 99 of
// 100.
TEST(StandingAsideTest, CallsThatNeverEndLeaveAQuarterOfTheTime) {
  CallsInFlight calls(/*room=*/0);
  calls.Begin();
  StandingAside aside(calls, /*longest=*/milliseconds(2));
  const auto start = steady_clock::now();
  nanoseconds put_off{0};
  for (int piece = 0; piece < 2'000; ++piece) {
    const auto begin = steady_clock::now();
    aside.BetweenPieces();
    put_off += steady_clock::now() - begin;
    Work(microseconds(20));
  }
  const nanoseconds elapsed = steady_clock::now() - start;
  EXPECT_LT(put_off, elapsed * 9 / 10);
  EXPECT_GT(put_off, elapsed / 2);
}

}  // namespace
}  // namespace groundswell
