#include "server/process/trusted_clock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>

#include "server/rpc/api_time.h"
#include "server/rpc/status_details.h"

namespace groundswell {
namespace {

using std::chrono::microseconds;
using testing::HasSubstr;

constexpr int64_t kClockSecond = 1'000'000;

class TrustedClockTest : public testing::Test {
 protected:
  // Both clocks go on.
  void Pass(int64_t seconds) {
    clocks_.time_of_day_us += seconds * kClockSecond;
    clocks_.steady_us += seconds * kClockSecond;
  }
  void Set(int64_t by_us) { clocks_.time_of_day_us += by_us; }
  bool IsTrusted() const { return clock_.Read().trusted; }

  TrustedClock::Clocks clocks_{.time_of_day_us = 1'700'000'000 * kClockSecond,
                               .steady_us = 77 * kClockSecond};
  const TrustedClock clock_{std::chrono::seconds(300), [this] { return clocks_; }};
};

TEST_F(TrustedClockTest, HoweverLongItRunsTheClockIsBelieved) {
  for (int day = 0; day < 1'000; ++day) {
    Pass(86'400);
    Set(day % 2 == 0 ? 128'000 : -127'000);  // as NTP steps it
    ASSERT_TRUE(IsTrusted()) << day;
    ASSERT_EQ(clock_.NowUs(), clocks_.time_of_day_us);
  }
  EXPECT_EQ(clock_.JumpedBecause(), "");
  EXPECT_EQ(*WriteTime(clock_), clocks_.time_of_day_us);
}

TEST_F(TrustedClockTest, SetByMoreThanItMayEitherWayItIsNotUntilItComesBack) {
  for (const int64_t way : {1, -1}) {
    Set(way * 300 * kClockSecond);
    EXPECT_TRUE(IsTrusted()) << way;
    Set(way);
    EXPECT_FALSE(IsTrusted()) << way;
    EXPECT_EQ(ReasonOf(WriteTime(clock_).status()), "CLOCK_JUMPED");
    EXPECT_EQ(WriteTime(clock_).status().code(), absl::StatusCode::kUnavailable);
    EXPECT_THAT(clock_.JumpedBecause(), HasSubstr(way > 0 ? "by 300 s" : "by -300 s"));
    Pass(3'600);
    EXPECT_FALSE(IsTrusted()) << way;
    Set(-way * (300 * kClockSecond + 1));
    EXPECT_TRUE(IsTrusted()) << way;
  }
}

TEST_F(TrustedClockTest, WhatItIsSetByAddsUp) {
  for (int i = 0; i < 4; ++i) Set(75 * kClockSecond);
  EXPECT_TRUE(IsTrusted());
  Set(kClockSecond);
  EXPECT_FALSE(IsTrusted());
}

TEST_F(TrustedClockTest, MeanwhileTimeGoesOnAsIfItHadNotJumped) {
  const int64_t before_us = clock_.NowUs();
  Set(400 * 86'400 * kClockSecond);
  Pass(5);
  EXPECT_EQ(clock_.NowUs(), before_us + 5 * kClockSecond);
  EXPECT_EQ(clock_.Read().jump_us, 400 * 86'400 * kClockSecond);
}

TEST_F(TrustedClockTest, WithoutALimitAnyTimeIsBelieved) {
  const TrustedClock any(microseconds(0), [this] { return clocks_; });
  Set(-400 * 86'400 * kClockSecond);
  EXPECT_TRUE(any.Read().trusted);
  EXPECT_EQ(any.NowUs(), clocks_.time_of_day_us);
}

TEST(TrustedClockOfThisMachineTest, GoesAsTheTimeOfDay) {
  const TrustedClock clock{std::chrono::seconds(300)};
  const int64_t before_us = TrustedClock::ReadMachine().time_of_day_us;
  const TrustedClock::Reading reading = clock.Read();
  EXPECT_TRUE(reading.trusted);
  EXPECT_GE(reading.now_us, before_us);
  EXPECT_LE(reading.now_us, TrustedClock::ReadMachine().time_of_day_us);
}

}  // namespace
}  // namespace groundswell
