#include "blend/learning_pace.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

namespace groundswell {
namespace {

constexpr int64_t kSecond = 1'000'000;
constexpr int64_t kBegin = 1'700'000'000 * kSecond;

// How many of `count` interactions, `gap_us` of event time apart, are learned from.
uint64_t LearnedOf(int64_t count, int64_t gap_us, uint64_t learned = 0) {
  LearningPace pace;
  const uint64_t before = learned;
  for (int64_t at = 0; at < count; ++at) {
    if (ChosenForLearning(at + 1, learned, kBegin + at * gap_us, pace)) ++learned;
  }
  return learned - before;
}

TEST(LearningPaceTest, AYoungLogTeachesByEveryInteractionAlsoIfAllAreOfOneTime) {
  const auto young = static_cast<int64_t>(LearningPace::kYoung);
  EXPECT_EQ(LearnedOf(young, 0), LearningPace::kYoung);
  EXPECT_EQ(LearnedOf(young, kSecond), LearningPace::kYoung);
}

TEST(LearningPaceTest, WhatIsLearnedFromGrowsWithTheCubicRootOfTheLog) {
  EXPECT_NEAR(static_cast<double>(LearnedOf(1'000'000, kSecond)), 37'000, 4'000);
  const uint64_t old = LearningPace::kYoung * LearningPace::kTimesMax;
  EXPECT_NEAR(static_cast<double>(LearnedOf(2'560'000, kSecond, old)), 10'000, 500);
  EXPECT_NEAR(static_cast<double>(LearnedOf(2'560'000, kSecond, 100 * old)), 10'000, 500);
}

TEST(LearningPaceTest, NeverFasterThanThePaceOfEventTimeOnceItIsNotYoung) {
  const uint64_t learned = LearnedOf(400'000, 25, LearningPace::kYoung);  // 10 s of 40,000/s
  EXPECT_LE(learned, 10 * kSecond / LearningPace::kGapUs + LearningPace::kBurst);
  EXPECT_GE(learned, 10 * kSecond / LearningPace::kGapUs);
  EXPECT_EQ(LearnedOf(100'000, 0, LearningPace::kYoung), uint64_t{LearningPace::kBurst});
}

TEST(LearningPaceTest, WhatWasNotUsedIsSavedUpToTheBurst) {
  LearningPace pace;
  const auto learned_at = [&](int64_t now_us) {
    uint64_t count = 0;
    for (int64_t offset = 1; offset <= 1'000; ++offset) {
      if (ChosenForLearning(offset, LearningPace::kYoung, now_us, pace)) ++count;
    }
    return count;
  };
  EXPECT_EQ(learned_at(kBegin), uint64_t{LearningPace::kBurst});
  EXPECT_EQ(learned_at(kBegin), 0u);
  EXPECT_EQ(learned_at(kBegin + 3 * LearningPace::kGapUs), 3u);
  EXPECT_EQ(learned_at(kBegin + 3'600 * kSecond), uint64_t{LearningPace::kBurst});
}

}  // namespace
}  // namespace groundswell
