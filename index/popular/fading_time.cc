#include "index/popular/fading_time.h"

#include <array>
#include <cmath>
#include <cstddef>

namespace groundswell {
namespace {

constexpr int kUnitBits = 14;
// Between two powers of two a weight is read off this table, and linearly between its entries:
// within half a unit of 2^-14, and integers from end to end.
constexpr int64_t kSteps = 64;

std::array<int64_t, kSteps + 1> PowersOfTwo() {
  std::array<int64_t, kSteps + 1> powers;
  for (int64_t step = 0; step <= kSteps; ++step) {
    powers[static_cast<size_t>(step)] =
        std::llround(std::ldexp(std::exp2(static_cast<double>(step) / kSteps), kUnitBits));
  }
  return powers;
}

int64_t FloorOf(int64_t dividend, int64_t divisor) {
  return dividend / divisor - static_cast<int64_t>(dividend % divisor < 0);
}

}  // namespace

int64_t FadingTime::SpanOf(int64_t time_us) const {
  return FloorOf(FloorOf(time_us, half_life_us_), kSpan);
}

int64_t FadingTime::Weight(int64_t time_us) const {
  static const std::array<int64_t, kSteps + 1> kPowers = PowersOfTwo();
  const int64_t half_lives = FloorOf(time_us, half_life_us_);
  const int64_t part = (time_us - half_lives * half_life_us_) * kSteps;
  const auto step = static_cast<size_t>(part / half_life_us_);
  const int64_t power =
      kPowers[step] + (kPowers[step + 1] - kPowers[step]) * (part % half_life_us_) / half_life_us_;
  return power << (half_lives - FloorOf(half_lives, kSpan) * kSpan);
}

}  // namespace groundswell
