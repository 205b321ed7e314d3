#include "index/vectors/score_selection.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <random>

namespace groundswell {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<uint32_t> Best(std::span<const float> scores, size_t count) {
  SelectionScratch scratch;
  std::vector<uint32_t> best = {99};  // what was there before
  SelectBest(scores, count, scratch, best);
  std::ranges::sort(best);
  return best;
}

// All of them in order, cut off.
std::vector<uint32_t> BestBySorting(std::span<const float> scores, size_t count) {
  std::vector<uint32_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, [&](uint32_t a, uint32_t b) { return scores[a] > scores[b]; });
  order.resize(std::min(count, order.size()));
  std::ranges::sort(order);
  return order;
}

TEST(SelectBestTest, AgreesWithSortingWhateverTheDistribution) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  for (size_t size = 1; size < 3'000; size = size * 3 / 2 + 1) {
    std::vector<float> even(size);
    std::vector<float> skewed(size);
    std::vector<float> few_values(size);
    for (size_t i = 0; i < size; ++i) {
      even[i] = normal(random);
      skewed[i] = std::exp(8 * normal(random));
      few_values[i] = static_cast<float>(random() % 3) - 1;
    }
    for (const size_t count : {size_t{1}, size / 10 + 1, size / 2 + 1, size - size / 20}) {
      EXPECT_EQ(Best(even, count), BestBySorting(even, count)) << size << ", " << count;
      EXPECT_EQ(Best(skewed, count), BestBySorting(skewed, count)) << size << ", " << count;
      EXPECT_EQ(Best(few_values, count), BestBySorting(few_values, count)) << size << ", " << count;
    }
  }
}

TEST(SelectBestTest, OfEqualOnesTheFirstAreTaken) {
  EXPECT_THAT(Best(std::vector<float>(40, 2.5f), 3), ElementsAre(0, 1, 2));
  std::vector<float> scores(40, 0.f);
  scores[30] = 1;
  EXPECT_THAT(Best(scores, 3), ElementsAre(0, 1, 30));
}

TEST(SelectBestTest, MoreThanThereAreIsAllAndNoneIsNone) {
  const std::vector<float> scores = {3, 1, 2};
  EXPECT_THAT(Best(scores, 3), ElementsAre(0, 1, 2));
  EXPECT_THAT(Best(scores, 1'000), ElementsAre(0, 1, 2));
  EXPECT_THAT(Best(scores, 0), IsEmpty());
  EXPECT_THAT(Best({}, 5), IsEmpty());
}

TEST(SelectBestTest, RangesThatHaveNoWidthOrTheLargestAreSelectedFrom) {
  constexpr float kLeast = std::numeric_limits<float>::denorm_min();
  std::vector<float> scores(100);
  for (size_t i = 0; i < scores.size(); ++i) scores[i] = static_cast<float>(i % 10) * kLeast;
  EXPECT_EQ(Best(scores, 7), BestBySorting(scores, 7));
  scores[4] = 1e38f;
  scores[71] = -1e38f;
  EXPECT_EQ(Best(scores, 7), BestBySorting(scores, 7));
}

TEST(SelectBestTest, ScratchOfAnotherCallDoesNotShow) {
  std::mt19937 random(1);
  SelectionScratch scratch;
  for (const size_t size : {500, 20, 3'000, 50}) {
    std::vector<float> scores(size);
    for (float& score : scores) score = static_cast<float>(random() % 1'000);
    std::vector<uint32_t> best;
    SelectBest(scores, 15, scratch, best);
    std::ranges::sort(best);
    EXPECT_EQ(best, BestBySorting(scores, 15));
  }
}

}  // namespace
}  // namespace groundswell
