#include "models/math/transcendental.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
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

TEST(LogOfCountsTest, IsAccurateForEveryCount) {
  Worst worst;
  const auto check = [&](const std::vector<int64_t>& counts) {
    std::vector<float> logs(counts.size());
    LogOfCounts(counts, 1.0f, logs);
    for (size_t i = 0; i < counts.size(); ++i) {
      const double expected = std::log1p(static_cast<double>(counts[i]));
      if (counts[i] == 0) {
        EXPECT_EQ(logs[i], 0.0f);
      } else {
        worst.Note(std::abs(logs[i] / expected - 1), static_cast<double>(counts[i]));
      }
    }
  };
  std::vector<int64_t> counts(1'000'000);
  std::iota(counts.begin(), counts.end(), int64_t{0});
  check(counts);
  counts.clear();
  for (int bit = 20; bit < 63; ++bit) {
    for (int64_t below = 0; below < 1'000; ++below) {
      counts.push_back((int64_t{1} << bit) - 1 + below * 7'919);
    }
  }
  counts.push_back(std::numeric_limits<int64_t>::max());
  check(counts);
  EXPECT_LT(worst.error, 2e-7) << worst.at;
}

TEST(LogOfCountsTest, IsScaledAndTheSameBitsAtEveryPlace) {
  for (size_t size = 0; size <= 70; ++size) {
    std::vector<float> logs(size);
    LogOfCounts(std::vector<int64_t>(size, 1'000), 0.5f, logs);
    for (const float value : logs) {
      EXPECT_EQ(value, logs[0]);
      EXPECT_NEAR(value, 0.5 * std::log(1'001.0), 1e-6);
    }
  }
}

double ExactDice(double z, double mean, double inverse_std, double alpha) {
  const double g = 1 / (1 + std::exp(-((z - mean) * inverse_std + 1e-8)));
  return z * g + alpha * z * (1 - g);
}

void Dices(const std::vector<float>& z, const DiceLayer& dice, std::vector<float>& out) {
  std::vector<float> sum(z.size());
  AddDice(z, std::vector<float>(z.size()), dice, sum, out);
  EXPECT_EQ(sum, z);
}

TEST(DiceTest, IsAccurateOverAllFiniteFloats) {
  std::vector<float> z = FloatsOfEverySize();
  std::erase_if(z, [](float value) { return std::abs(value) > 1e38f; });
  const std::vector<float> mean(z.size(), 0.0f);
  const std::vector<float> inverse_std(z.size(), 1.0f);
  std::vector<float> out(z.size());
  for (const float alpha : {0.0f, 0.25f, -0.5f}) {
    Dices(z, {mean, inverse_std, alpha}, out);
    Worst worst;
    for (size_t i = 0; i < z.size(); ++i) {
      const double size = std::max(std::abs(double{z[i]}), 1e-37) * (1 + std::abs(alpha));
      worst.Note(std::abs(out[i] - ExactDice(z[i], 0, 1, alpha)) / size, z[i]);
    }
    EXPECT_LT(worst.error, 5e-7) << worst.at << ", alpha " << alpha;
  }
}

TEST(DiceTest, KeepsZero) {
  const std::vector<float> zeros(3);
  std::vector<float> out(3, 1.0f);
  Dices(zeros, {zeros, zeros, 0.25f}, out);
  EXPECT_EQ(out, zeros);
}

TEST(DiceTest, UsesEachElementsStatistics) {
  const std::vector<float> z{1.5f, -2.0f, 0.25f};
  const std::vector<float> mean{0.5f, -1.0f, 8.0f};
  const std::vector<float> inverse_std{2.0f, 0.25f, 4.0f};
  std::vector<float> out(z.size());
  Dices(z, {mean, inverse_std, 0.3f}, out);
  for (size_t i = 0; i < z.size(); ++i) {
    EXPECT_NEAR(out[i], ExactDice(z[i], mean[i], inverse_std[i], 0.3f), 1e-6);
  }
}

double ExactDiceOfChannels(double z, double mean, double inverse_std, double alpha) {
  const double p = 1 / (1 + std::exp(-(z - mean) * inverse_std));
  return p * z + alpha * (1 - p) * z;
}

TEST(DiceOfChannelsTest, IsAccurateOverAllFiniteFloats) {
  std::vector<float> z = FloatsOfEverySize();
  std::erase_if(z, [](float value) { return std::abs(value) > 1e38f; });
  const std::vector<float> zeros(z.size());
  for (const float inverse_std : {1.0f, -1.0f}) {
    const std::vector<float> scale(z.size(), inverse_std);
    for (const float slope : {0.0f, 0.25f, -0.5f}) {
      const std::vector<float> alpha(z.size(), slope);
      std::vector<float> out = z;
      AddDiceOfChannels(zeros, {zeros, scale, alpha}, out);
      Worst worst;
      for (size_t i = 0; i < z.size(); ++i) {
        const double size = std::max(std::abs(double{z[i]}), 1e-37) * (1 + std::abs(slope));
        const double exact = ExactDiceOfChannels(z[i], 0, inverse_std, slope);
        worst.Note(std::abs(out[i] - exact) / size, z[i]);
      }
      EXPECT_LT(worst.error, 5e-7) << worst.at << ", alpha " << slope << ", std " << inverse_std;
    }
  }
}

TEST(DiceOfChannelsTest, EveryChannelHasItsOwnStatisticsAndSlope) {
  std::mt19937_64 random(8);
  std::normal_distribution<float> normal(0, 2);
  for (size_t size = 0; size <= 70; ++size) {
    std::vector<float> x(size), y(size), mean(size), scale(size), alpha(size);
    for (auto* row : {&x, &y, &mean, &scale, &alpha}) {
      for (float& value : *row) value = normal(random);
    }
    std::vector<float> out = x;
    AddDiceOfChannels(y, {mean, scale, alpha}, out);
    for (size_t i = 0; i < size; ++i) {
      const float z = x[i] + y[i];
      EXPECT_NEAR(out[i], ExactDiceOfChannels(z, mean[i], scale[i], alpha[i]),
                  2e-6 * (1 + std::abs(z)) * (1 + std::abs(alpha[i])));
    }
  }
}

TEST(DiceTest, OfASumIsThatOfItsValueAtEveryLength) {
  std::mt19937_64 random(6);
  std::normal_distribution<float> normal(0, 2);
  for (size_t size = 0; size <= 70; ++size) {
    std::vector<float> x(size), y(size), w(size), mean(size), scale(size, 0.7f), z(size), out(size);
    for (auto* row : {&x, &y, &w, &mean}) {
      for (float& value : *row) value = normal(random);
    }
    const DiceLayer dice{mean, scale, 0.2f};
    AddDice(x, y, w, dice, z, out);
    for (size_t i = 0; i < size; ++i) {
      EXPECT_EQ(z[i], x[i] + y[i] + w[i]);
      EXPECT_NEAR(out[i], ExactDice(z[i], mean[i], scale[i], 0.2f), 1e-6 * (1 + std::abs(z[i])));
    }
    // In place, and of two terms.
    std::vector<float> in_place = x;
    AddDice(in_place, y, dice, in_place, out);
    for (size_t i = 0; i < size; ++i) {
      EXPECT_EQ(in_place[i], x[i] + y[i]);
      EXPECT_NEAR(out[i], ExactDice(x[i] + y[i], mean[i], scale[i], 0.2f),
                  1e-6 * (1 + std::abs(x[i] + y[i])));
    }
  }
}

}  // namespace
}  // namespace groundswell
