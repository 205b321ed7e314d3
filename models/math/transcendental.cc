#include "models/math/transcendental.h"

#include <algorithm>
#include <bit>
#include <cstdint>

#include "models/math/instruction_sets.h"

namespace groundswell {
namespace {

// exp of anything between is a normal number.
constexpr float kExpLimit = 87.0f;
constexpr float kLog2OfE = 1.44269504f;
// log(2) in two parts; a product of the first with an exponent is exact.
constexpr float kLog2High = 0.693145751953125f;
constexpr float kLog2Low = 1.42860677e-6f;
// Adding this leaves the nearest integer in the lowest bits of a float.
constexpr float kRoundToInteger = 12'582'912.0f;
constexpr int kExponentBias = 127;
constexpr int kMantissaBits = 23;
constexpr int32_t kMantissaMask = (1 << kMantissaBits) - 1;
constexpr int32_t kSqrtOfHalfBits = 0x3f3504f3;
// Added inside Dice's sigmoid by the authors' code.
constexpr float kDiceEpsilon = 1e-8f;

// exp(x) = 2^n exp(r), n the integer nearest to x / log(2), exp(r) by its series: |r| is at most
// 0.35, so that the first term left out is below 6e-9.
inline float Exp(float x) {
  x = std::min(std::max(x, -kExpLimit), kExpLimit);
  const float rounded = x * kLog2OfE + kRoundToInteger;
  const float n = rounded - kRoundToInteger;
  const float r = (x - n * kLog2High) - n * kLog2Low;
  float series = 1.0f / 5'040.0f;
  series = series * r + 1.0f / 720.0f;
  series = series * r + 1.0f / 120.0f;
  series = series * r + 1.0f / 24.0f;
  series = series * r + 1.0f / 6.0f;
  series = series * r + 0.5f;
  series = series * r + 1.0f;
  series = series * r + 1.0f;
  const int32_t exponent =
      std::bit_cast<int32_t>(rounded) - std::bit_cast<int32_t>(kRoundToInteger) + kExponentBias;
  return series * std::bit_cast<float>(exponent << kMantissaBits);
}

// log(x) = e log(2) + log(m), x = 2^e m with m from sqrt(1/2) to sqrt(2), by the series of
// log(m) = 2 atanh(s), s = (m - 1) / (m + 1): |s| is at most 0.172, so that the first term left out
// is below 4e-9. REQUIRES: x at least 1.
inline float Log(float x) {
  const int32_t above = std::bit_cast<int32_t>(x) - kSqrtOfHalfBits;
  const auto e = static_cast<float>(above >> kMantissaBits);
  const float m = std::bit_cast<float>((above & kMantissaMask) + kSqrtOfHalfBits);
  const float s = (m - 1.0f) / (m + 1.0f);
  const float square = s * s;
  float series = 2.0f / 9.0f;
  series = series * square + 2.0f / 7.0f;
  series = series * square + 2.0f / 5.0f;
  series = series * square + 2.0f / 3.0f;
  series = series * square + 2.0f;
  return e * kLog2High + (s * series + e * kLog2Low);
}

inline float DiceOf(float z, float mean, float inverse_std, float alpha) {
  const float g = 1.0f / (1.0f + Exp(-((z - mean) * inverse_std + kDiceEpsilon)));
  return z * (g + alpha * (1.0f - g));
}

}  // namespace

GROUNDSWELL_PER_INSTRUCTION_SET
void ExpMinus(float shift, std::span<float> x) {
  float* const values = x.data();
  for (size_t i = 0; i < x.size(); ++i) {
    const float argument = values[i] - shift;
    values[i] = argument < -kExpLimit ? 0.0f : Exp(argument);
  }
}

GROUNDSWELL_PER_INSTRUCTION_SET
void LogOfCounts(std::span<const int64_t> counts, float scale, std::span<float> out) {
  const int64_t* const from = counts.data();
  float* const to = out.data();
  // Two loops: AVX2 converts one integer at a time.
  for (size_t i = 0; i < counts.size(); ++i) to[i] = static_cast<float>(from[i]);
  for (size_t i = 0; i < counts.size(); ++i) to[i] = scale * Log(to[i] + 1.0f);
}

GROUNDSWELL_PER_INSTRUCTION_SET
void AddSigmoid(std::span<const float> y, std::span<float> x) {
  const float* const added = y.data();
  float* const values = x.data();
  for (size_t i = 0; i < x.size(); ++i) {
    values[i] = 1.0f / (1.0f + Exp(-(values[i] + added[i])));
  }
}

GROUNDSWELL_PER_INSTRUCTION_SET
void AddTanh(std::span<const float> y, std::span<float> x) {
  const float* const added = y.data();
  float* const values = x.data();
  for (size_t i = 0; i < x.size(); ++i) {
    values[i] = 1.0f - 2.0f / (1.0f + Exp(2.0f * (values[i] + added[i])));
  }
}

GROUNDSWELL_PER_INSTRUCTION_SET
void AddDice(std::span<const float> x, std::span<const float> y, const DiceLayer& dice,
             std::span<float> z, std::span<float> out) {
  const float* const mean = dice.mean.data();
  const float* const inverse_std = dice.inverse_std.data();
  const float alpha = dice.alpha;
  GROUNDSWELL_INDEPENDENT_ELEMENTS  // z may be x
  for (size_t i = 0; i < z.size(); ++i) {
    const float sum = x[i] + y[i];
    z[i] = sum;
    out[i] = DiceOf(sum, mean[i], inverse_std[i], alpha);
  }
}

GROUNDSWELL_PER_INSTRUCTION_SET
void AddDice(std::span<const float> x, std::span<const float> y, std::span<const float> w,
             const DiceLayer& dice, std::span<float> z, std::span<float> out) {
  const float* const mean = dice.mean.data();
  const float* const inverse_std = dice.inverse_std.data();
  const float alpha = dice.alpha;
  GROUNDSWELL_INDEPENDENT_ELEMENTS  // z may be x
  for (size_t i = 0; i < z.size(); ++i) {
    const float sum = x[i] + y[i] + w[i];
    z[i] = sum;
    out[i] = DiceOf(sum, mean[i], inverse_std[i], alpha);
  }
}

GROUNDSWELL_PER_INSTRUCTION_SET
void AddDiceOfChannels(std::span<const float> y, const DiceOfChannels& dice, std::span<float> x) {
  const float* const added = y.data();
  const float* const mean = dice.mean.data();
  const float* const inverse_std = dice.inverse_std.data();
  const float* const alpha = dice.alpha.data();
  float* const values = x.data();
  for (size_t i = 0; i < x.size(); ++i) {
    const float z = values[i] + added[i];
    const float p = 1.0f / (1.0f + Exp(-((z - mean[i]) * inverse_std[i])));
    values[i] = z * (p + alpha[i] * (1.0f - p));
  }
}

}  // namespace groundswell
