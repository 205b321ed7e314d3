// The 16-bit floats of checkpoints as f32, which holds every one of them exactly.
#ifndef GROUNDSWELL_MODELS_MATH_NARROW_FLOATS_H_
#define GROUNDSWELL_MODELS_MATH_NARROW_FLOATS_H_

#include <bit>
#include <cstdint>

namespace groundswell {

// bfloat16 is the upper half of an f32.
constexpr float FloatFromBf16(uint16_t bits) { return std::bit_cast<float>(uint32_t{bits} << 16); }

// IEEE 754 binary16: 1 bit of sign, 5 of exponent (bias 15), 10 of mantissa.
constexpr float FloatFromF16(uint16_t bits) {
  constexpr uint32_t kExponentMax = 31;  // infinities and NaN
  const uint32_t sign = uint32_t{bits & 0x8000u} << 16;
  const uint32_t exponent = (bits >> 10) & 31u;
  const uint32_t mantissa = bits & 0x3ffu;
  if (exponent == 0) {  // zero and subnormals: mantissa * 2^-24, a normal f32
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
    return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(magnitude));
  }
  const uint32_t wide_exponent = exponent == kExponentMax ? 255u : exponent - 15 + 127;
  return std::bit_cast<float>(sign | wide_exponent << 23 | mantissa << 13);
}

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_MATH_NARROW_FLOATS_H_
