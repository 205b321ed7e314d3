#include "models/elementwise.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace groundswell {
namespace {

double ExactDice(double z, double mean, double inverse_std, double alpha) {
  const double g = 1 / (1 + std::exp(-((z - mean) * inverse_std + 1e-8)));
  return z * g + alpha * z * (1 - g);
}

TEST(DiceTest, AgreesWithDoublePrecisionFromTheSmallestToTheLargestInputs) {
  std::vector<float> z;
  for (int exponent = -126; exponent <= 100; ++exponent) {
    for (const float sign : {1.0f, -1.0f}) z.push_back(sign * std::ldexp(1.37f, exponent));
  }
  z.push_back(0.0f);
  const std::vector<float> mean(z.size(), 0.25f);
  const std::vector<float> inverse_std(z.size(), 1.5f);
  std::vector<float> out(z.size());
  for (const float alpha : {0.0f, 0.25f, -0.5f}) {
    Dice(z, mean, inverse_std, alpha, out);
    for (size_t i = 0; i < z.size(); ++i) {
      const double expected = ExactDice(z[i], mean[i], inverse_std[i], alpha);
      ASSERT_NEAR(out[i], expected, 2e-6 * std::abs(z[i]) + 1e-37) << z[i];
    }
  }
}

TEST(SoftmaxTest, AgreesWithDoublePrecisionAtEveryLength) {
  std::mt19937_64 random(3);
  std::normal_distribution<float> normal(0, 5);
  for (size_t size = 1; size <= 70; ++size) {
    std::vector<float> x(size);
    for (float& value : x) value = normal(random);
    std::vector<double> expected;
    double sum = 0;
    for (const float value : x) sum += expected.emplace_back(std::exp(double{value}));
    Softmax(x);
    for (size_t i = 0; i < size; ++i) ASSERT_NEAR(x[i], expected[i] / sum, 2e-6) << size;
  }
}

TEST(SoftmaxTest, HugeDifferencesDoNotOverflow) {
  std::vector<float> x{-1e30f, 0.0f, 1e30f};
  Softmax(x);
  EXPECT_EQ(x, (std::vector<float>{0, 0, 1}));
  std::vector<float> nothing;
  Softmax(nothing);
  std::vector<float> equal(3, std::numeric_limits<float>::max());
  Softmax(equal);
  EXPECT_NEAR(equal[0], 1.0 / 3, 1e-6);
}

TEST(DotTest, EveryLengthIsSummedWhole) {
  for (size_t size = 0; size <= 67; ++size) {
    const std::vector<float> ones(size, 1.0f);
    EXPECT_EQ(Dot(ones, ones), static_cast<float>(size));
    std::vector<float> sum(size, 1.0f);
    AddScaled(ones, 2.0f, sum);
    for (const float value : sum) EXPECT_EQ(value, 3.0f);
  }
}

}  // namespace
}  // namespace groundswell
