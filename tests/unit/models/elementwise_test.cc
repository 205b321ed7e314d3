#include "models/math/elementwise.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "tests/support/every_float.h"

namespace groundswell {
namespace {

TEST(LeakyReluTest, IsExactOverAllFiniteFloats) {
  const std::vector<float> x = FloatsOfEverySize();
  std::vector<float> out = x;
  LeakyRelu(out);
  size_t wrong = 0;
  for (size_t i = 0; i < x.size(); ++i) wrong += out[i] != (x[i] > 0 ? x[i] : 0.2f * x[i]) ? 1 : 0;
  EXPECT_EQ(wrong, 0u);
}

void ExpectSoftmax(const std::vector<float>& x, std::span<const float> actual) {
  const double largest = *std::max_element(x.begin(), x.end());
  double sum = 0;
  for (const float value : x) sum += std::exp(value - largest);
  for (size_t i = 0; i < x.size(); ++i) {
    const double below = largest - x[i];
    const double expected = std::exp(-below) / sum;
    const double bound = below < 87 ? (8e-7 + 1e-7 * below) * expected : 1.7e-38;
    ASSERT_NEAR(actual[i], expected, bound) << i << " of " << x.size();
  }
}

TEST(SoftmaxTest, IsAccurateAtEveryLengthAndSpread) {
  std::mt19937_64 random(3);
  for (const float spread : {1e-6f, 0.3f, 5.0f, 30.0f, 1e10f}) {
    std::normal_distribution<float> normal(0, spread);
    for (size_t size = 1; size <= 1'000; size += 1 + size / 20) {
      std::vector<float> x(size);
      for (float& value : x) value = normal(random);
      std::vector<float> actual = x;
      Softmax(actual);
      ExpectSoftmax(x, actual);
      if (testing::Test::HasFatalFailure()) return;
    }
  }
}

TEST(RowTimesTest, IsTheProductAtEverySize) {
  std::mt19937_64 random(9);
  std::normal_distribution<float> normal(0, 1);
  for (const size_t in : {0, 1, 7, 40, 100}) {
    for (const size_t out : {0, 1, 15, 16, 17, 80, 131}) {
      std::vector<float> x(in), matrix(in * out), actual(out, 7.0f);
      for (auto* values : {&x, &matrix}) {
        for (float& value : *values) value = normal(random);
      }
      RowTimes(x, matrix, actual);
      for (size_t i = 0; i < out; ++i) {
        double expected = 0, size = 1e-30;
        for (size_t k = 0; k < in; ++k) {
          const double product = double{x[k]} * double{matrix[k * out + i]};
          expected += product;
          size += std::abs(product);
        }
        ASSERT_NEAR(actual[i], expected, 1e-5 * size) << in << " x " << out << ", " << i;
      }
    }
  }
}

TEST(SoftmaxTest, EveryColumnIsASoftmaxOfItsOwn) {
  std::mt19937_64 random(4);
  std::normal_distribution<float> normal(0, 5);
  for (const size_t columns : {1, 2, 63, 64, 65, 200}) {
    for (const size_t rows : {1, 2, 10, 33}) {
      std::vector<float> x(rows * columns);
      for (float& value : x) value = normal(random);
      std::vector<float> actual = x;
      SoftmaxOfColumns(actual, columns);
      for (size_t column = 0; column < columns; ++column) {
        std::vector<float> of_column, actual_of_column;
        for (size_t row = 0; row < rows; ++row) {
          of_column.push_back(x[row * columns + column]);
          actual_of_column.push_back(actual[row * columns + column]);
        }
        ExpectSoftmax(of_column, actual_of_column);
        if (testing::Test::HasFatalFailure()) return;
      }
    }
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

TEST(RectifiedSumsTest, AgreeWithDoublePrecisionAtEveryLength) {
  std::mt19937_64 random(5);
  std::normal_distribution<float> normal(0, 2);
  for (size_t size = 0; size <= 90; ++size) {
    std::vector<float> x(size), y(size), weight(size);
    for (auto* row : {&x, &y, &weight}) {
      for (float& value : *row) value = normal(random);
    }
    double relu = 0, leaky = 0;
    for (size_t k = 0; k < size; ++k) {
      const double sum = double{x[k]} + double{y[k]};
      relu += weight[k] * std::max(sum, 0.0);
      leaky += weight[k] * (sum > 0 ? sum : 0.2 * sum);
    }
    EXPECT_NEAR(DotAddRelu(x, y, weight), relu, 1e-4);
    EXPECT_NEAR(DotAddLeakyRelu(x, y, weight), leaky, 1e-4);
    std::vector<float> scaled = x;
    ScaleAddLeakyRelu(1.5f, y, scaled);
    for (size_t k = 0; k < size; ++k) {
      const double sum = 1.5 * double{x[k]} + double{y[k]};
      EXPECT_NEAR(scaled[k], sum > 0 ? sum : 0.2 * sum, 1e-6 * (1 + std::abs(sum)));
    }
    std::vector<float> added = x;
    AddRelu(y, added);
    for (size_t k = 0; k < size; ++k) EXPECT_EQ(added[k], std::max(x[k] + y[k], 0.0f));
  }
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
