#include "models/transcendental.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

namespace groundswell {
namespace {

// Finite floats of every exponent and sign, 512 per exponent.
std::vector<float> FloatsOfEverySize() {
  std::vector<float> values;
  for (uint32_t bits = 0; bits < 0x7f800000u; bits += 0x3fffu) {
    float value = 0;
    std::memcpy(&value, &bits, sizeof(value));
    values.push_back(value);
    values.push_back(-value);
  }
  values.push_back(std::numeric_limits<float>::max());
  values.push_back(std::numeric_limits<float>::lowest());
  return values;
}

TEST(TranscendentalTest, SigmoidAndTanhAreAccurateOverAllFiniteFloats) {
  const std::vector<float> x = FloatsOfEverySize();
  const std::vector<float> zeros(x.size());
  std::vector<float> sigmoid = x;
  std::vector<float> tanh = x;
  AddSigmoid(zeros, sigmoid);
  AddTanh(zeros, tanh);
  for (size_t i = 0; i < x.size(); ++i) {
    ASSERT_NEAR(sigmoid[i], 1 / (1 + std::exp(-double{x[i]})), 2e-7) << x[i];
    ASSERT_NEAR(tanh[i], std::tanh(double{x[i]}), 3e-7) << x[i];
  }
}

TEST(TranscendentalTest, ExpIsAccurateWhereverItDoesNotUnderflow) {
  for (const float shift : {0.0f, 3.5f, -20.0f}) {
    std::vector<float> x;
    for (const float value : FloatsOfEverySize()) {
      if (value <= shift) x.push_back(value);
    }
    std::vector<float> exp = x;
    ExpMinus(shift, exp);
    for (size_t i = 0; i < x.size(); ++i) {
      const double expected = std::exp(double{x[i] - shift});
      ASSERT_NEAR(exp[i], expected, 2e-7 * expected + 1.7e-38) << x[i];
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
