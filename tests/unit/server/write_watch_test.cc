#include "server/process/write_watch.h"

#include <gmock/gmock.h>

#include <memory>

namespace groundswell {
namespace {

using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class WriteWatchTest : public testing::Test {
 protected:
  WriteHealth health_;
  WriteWatch watch_{health_, {.stall_max = seconds(30), .recovery_max = seconds(300)}};
};

TEST_F(WriteWatchTest, AWriteThatHangsMakesNotReadyAndThenHopeless) {
  const WriteHealth::Write write(health_);
  watch_.Look(seconds(1'000));  // of which nothing is known: the write may have begun just now
  EXPECT_THAT(watch_.StalledBecause(), IsEmpty());
  watch_.Look(seconds(29));
  EXPECT_THAT(watch_.StalledBecause(), IsEmpty());
  watch_.Look(seconds(1));
  EXPECT_THAT(watch_.StalledBecause(), HasSubstr("has not come back for 30 s"));
  EXPECT_THAT(watch_.HopelessBecause(), IsEmpty());
  watch_.Look(seconds(269));
  EXPECT_THAT(watch_.HopelessBecause(), IsEmpty());
  watch_.Look(seconds(1));
  EXPECT_THAT(watch_.HopelessBecause(), HasSubstr("has not come back for 300 s"));
}

TEST_F(WriteWatchTest, OneWriteAfterTheOtherIsNoHang) {
  auto write = std::make_unique<WriteHealth::Write>(health_);
  for (int i = 0; i < 100; ++i) {
    watch_.Look(seconds(29));
    write = nullptr;
    write = std::make_unique<WriteHealth::Write>(health_);
  }
  EXPECT_THAT(watch_.StalledBecause(), IsEmpty());
}

TEST_F(WriteWatchTest, OthersThatComeBackDoNotHideOneThatHangs) {
  const WriteHealth::Write hangs(health_);
  watch_.Look(seconds(1));
  for (int i = 0; i < 30; ++i) {
    const WriteHealth::Write another(health_);
    watch_.Look(seconds(1));
  }
  EXPECT_THAT(watch_.StalledBecause(), HasSubstr("30 s"));
}

TEST_F(WriteWatchTest, OneThatComesBackAfterAllIsReadyAgain) {
  {
    const WriteHealth::Write write(health_);
    watch_.Look(seconds(1));
    watch_.Look(seconds(100));
    EXPECT_FALSE(watch_.StalledBecause().empty());
  }
  watch_.Look(seconds(1));
  EXPECT_THAT(watch_.StalledBecause(), IsEmpty());
}

TEST_F(WriteWatchTest, ADatabaseThatDoesNotRecoverIsHopelessUnlessItDoes) {
  health_.SetStuck(true);
  watch_.Look(seconds(299));
  EXPECT_THAT(watch_.HopelessBecause(), IsEmpty());
  health_.SetStuck(false);
  watch_.Look(seconds(1));
  health_.SetStuck(true);
  watch_.Look(seconds(299));
  EXPECT_THAT(watch_.HopelessBecause(), IsEmpty());
  watch_.Look(seconds(1));
  EXPECT_THAT(watch_.HopelessBecause(),
              HasSubstr("has not recovered from a write error for 300 s"));
  EXPECT_THAT(watch_.StalledBecause(), IsEmpty()) << "nothing hangs";
}

TEST_F(WriteWatchTest, WithoutALimitItIsNeverHopeless) {
  WriteWatch watch(health_, {.stall_max = seconds(1), .recovery_max = seconds(0)});
  health_.SetStuck(true);
  const WriteHealth::Write write(health_);
  for (int i = 0; i < 3; ++i) watch.Look(seconds(1'000'000));
  EXPECT_THAT(watch.StalledBecause(), HasSubstr("has not come back"));
  EXPECT_THAT(watch.HopelessBecause(), IsEmpty());
}

}  // namespace
}  // namespace groundswell
