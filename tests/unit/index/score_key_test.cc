#include "index/score_key.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

namespace groundswell {
namespace {

TEST(ScoreKeyTest, AscendingKeysAreDescendingScoresAndThenAscendingItems) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  constexpr float kMax = std::numeric_limits<float>::max();
  constexpr float kLeast = std::numeric_limits<float>::denorm_min();
  const std::vector<float> scores = {kInfinity, kMax, 1.5f,  1,     kLeast,    0,
                                     -kLeast,   -1,   -1.5f, -kMax, -kInfinity};
  const std::vector<uint32_t> items = {0, 1, 77, std::numeric_limits<uint32_t>::max()};
  uint64_t before = 0;
  for (const float score : scores) {
    for (const uint32_t item : items) {
      const uint64_t key = ScoreKey(score, ItemIndex{item});
      EXPECT_TRUE(key > before || before == 0) << score << ", " << item;
      EXPECT_EQ(ScoreOfKey(key), score);
      EXPECT_EQ(ItemOfKey(key), ItemIndex{item});
      before = key;
    }
  }
}

TEST(ScoreKeyTest, MinusZeroIsZero) {
  EXPECT_EQ(ScoreKey(-0.0f, ItemIndex{5}), ScoreKey(0.0f, ItemIndex{5}));
}

}  // namespace
}  // namespace groundswell
