#include "models/transcendental.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "tests/support/every_float.h"

namespace groundswell {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<float> Sigmoids(std::vector<float> x) {
  AddSigmoid(std::vector<float>(x.size()), x);
  return x;
}

std::vector<float> Tanhs(std::vector<float> x) {
  AddTanh(std::vector<float>(x.size()), x);
  return x;
}

TEST(TranscendentalTest, SigmoidAndTanhAreAccurateOverAllFiniteFloats) {
  const std::vector<float> x = FloatsOfEverySize();
  const std::vector<float> sigmoid = Sigmoids(x);
  const std::vector<float> tanh = Tanhs(x);
  Worst of_sigmoid, of_tanh;
  for (size_t i = 0; i < x.size(); ++i) {
    of_sigmoid.Note(std::abs(sigmoid[i] - 1 / (1 + std::exp(-double{x[i]}))), x[i]);
    of_tanh.Note(std::abs(tanh[i] - std::tanh(double{x[i]})), x[i]);
  }
  EXPECT_LT(of_sigmoid.error, 2e-7) << of_sigmoid.at;
  EXPECT_LT(of_tanh.error, 3e-7) << of_tanh.at;
}

TEST(TranscendentalTest, ExpIsAccurateOverAllFiniteFloats) {
  for (const float shift : {0.0f, 3.5f, -20.0f}) {
    std::vector<float> x = FloatsOfEverySize();
    std::erase_if(x, [&](float value) { return value > shift; });
    std::vector<float> exp = x;
    ExpMinus(shift, exp);
    Worst normal, tiny;
    for (size_t i = 0; i < x.size(); ++i) {
      const float argument = x[i] - shift;
      const double expected = std::exp(double{argument});
      if (argument < -87.0f) {
        tiny.Note(std::abs(exp[i] - expected), x[i]);
      } else {
        normal.Note(std::abs(exp[i] / expected - 1), x[i]);
      }
    }
    EXPECT_LT(normal.error, 2e-7) << normal.at;
    EXPECT_LT(tiny.error, 1.7e-38) << tiny.at;
  }
}

TEST(TranscendentalTest, InfinitiesAreTheLimits) {
  EXPECT_EQ(Tanhs({kInfinity, -kInfinity}), (std::vector<float>{1, -1}));
  const std::vector<float> sigmoid = Sigmoids({kInfinity, -kInfinity});
  EXPECT_EQ(sigmoid[0], 1.0f);
  EXPECT_NEAR(sigmoid[1], 0.0f, 2e-7);
  std::vector<float> exp{-kInfinity, 0.0f, -0.0f};
  ExpMinus(0.0f, exp);
  EXPECT_EQ(exp, (std::vector<float>{0, 1, 1}));
  // Finite, but with a sum that is not.
  std::vector<float> x(1, std::numeric_limits<float>::max());
  AddTanh(x, x);
  EXPECT_EQ(x[0], 1.0f);
}

TEST(TranscendentalTest, ANanSpoilsNoOtherElement) {
  for (size_t size = 1; size <= 40; ++size) {
    for (size_t at = 0; at < size; at += 7) {
      std::vector<float> x(size, 0.61f);
      const std::vector<float> good_tanh = Tanhs(x);
      const std::vector<float> good_sigmoid = Sigmoids(x);
      x[at] = std::nanf("");
      const std::vector<float> tanh = Tanhs(x);
      const std::vector<float> sigmoid = Sigmoids(x);
      for (size_t i = 0; i < size; ++i) {
        if (i == at) continue;
        ASSERT_EQ(tanh[i], good_tanh[i]) << size;
        ASSERT_EQ(sigmoid[i], good_sigmoid[i]) << size;
      }
    }
  }
}

TEST(TranscendentalTest, AnElementIsTheSameBitsAtEveryPlaceOfARow) {
  for (size_t size = 1; size <= 40; ++size) {
    std::vector<float> exp(size, -0.37f), sigmoid(size, 0.61f), tanh(size, -1.7f);
    const std::vector<float> added(size, 0.113f);
    ExpMinus(0.21f, exp);
    AddSigmoid(added, sigmoid);
    AddTanh(added, tanh);
    for (const auto& row : {exp, sigmoid, tanh}) {
      EXPECT_TRUE(std::all_of(row.begin(), row.end(), [&](float v) { return v == row[0]; }));
    }
  }
}

}  // namespace
}  // namespace groundswell
