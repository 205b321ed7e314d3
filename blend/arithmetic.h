// log2 and exp in plain IEEE arithmetic, for the sources of this folder alone: they are compiled
// without contraction (blend/CMakeLists.txt), so that every machine and compiler gives the same
// bits, which a library's functions do not promise. Loops over them vectorise.
#ifndef GROUNDSWELL_BLEND_ARITHMETIC_H_
#define GROUNDSWELL_BLEND_ARITHMETIC_H_

#include <bit>
#include <cstdint>

namespace groundswell::blend_arithmetic {

// Within [-limit, limit]; 0 for what is not a number.
inline float Bounded(float x, float limit) {
  const float below = x < limit ? x : limit;
  const float within = below > -limit ? below : -limit;
  return x == x ? within : 0.0f;
}

// Within 1e-6 of the exact value, or of it relatively. REQUIRES: x is normal and above 0.
inline float Log2(float x) {
  // x = 2^exponent m with m from sqrt(1/2) to sqrt(2); ln m = 2 artanh(s), s = (m - 1) / (m + 1).
  constexpr uint32_t kSqrtHalf = 0x3f3504f3;
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  const auto exponent = static_cast<int32_t>(bits - kSqrtHalf) >> 23;
  const float m = std::bit_cast<float>(bits - (static_cast<uint32_t>(exponent) << 23));
  const float s = (m - 1.0f) / (m + 1.0f);
  const float square = s * s;
  float series = 1.0f / 9.0f;
  series = series * square + 1.0f / 7.0f;
  series = series * square + 1.0f / 5.0f;
  series = series * square + 1.0f / 3.0f;
  series = series * square + 1.0f;
  constexpr float kTwoOverLn2 = 2.88539008f;
  return static_cast<float>(exponent) + kTwoOverLn2 * s * series;
}

// Relatively within 1e-12; 0 below exp(-700). REQUIRES: x <= 0.
inline double ExpOfNegative(double x) {
  constexpr double kLeast = -700.0;
  constexpr double kLog2E = 1.4426950408889634;
  // ln 2 in two parts, the first of which times an integer is exact.
  constexpr double kLn2High = 0.693147180369123816490;
  constexpr double kLn2Low = 1.90821492927058770002e-10;
  const double bounded = x > kLeast ? x : kLeast;
  const auto power = static_cast<int64_t>(bounded * kLog2E - 0.5);  // towards 0: to the nearest
  const auto whole = static_cast<double>(power);
  const double rest = (bounded - whole * kLn2High) - whole * kLn2Low;
  double series = 1.0;
  for (int term = 13; term > 0; --term) series = 1.0 + series * rest / term;
  const double scale = std::bit_cast<double>(static_cast<uint64_t>(power + 1023) << 52);
  return x > kLeast ? series * scale : 0.0;
}

}  // namespace groundswell::blend_arithmetic

#endif  // GROUNDSWELL_BLEND_ARITHMETIC_H_
