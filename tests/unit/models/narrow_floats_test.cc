// Every bit pattern of the 16-bit floats, and F64, as F32: against their definitions in doubles.
#include "models/math/narrow_floats.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "tests/support/safetensors_writer.h"

namespace groundswell {
namespace {

constexpr uint32_t kPatterns = 65'536;

// (-1)^sign * 2^(exponent - bias) * 1.mantissa; subnormals at exponent 0; 2^n - 1 is not finite.
double Decode(uint32_t bits, int exponent_bits, int mantissa_bits) {
  const double sign = bits >> 15 != 0 ? -1.0 : 1.0;
  const int exponent_max = (1 << exponent_bits) - 1;
  const int bias = exponent_max / 2;
  const auto exponent = static_cast<int>(bits >> mantissa_bits) & exponent_max;
  const auto mantissa = static_cast<int>(bits & ((1u << mantissa_bits) - 1));
  if (exponent == exponent_max) {
    return mantissa != 0 ? std::numeric_limits<double>::quiet_NaN()
                         : sign * std::numeric_limits<double>::infinity();
  }
  if (exponent == 0) return sign * std::ldexp(mantissa, 1 - bias - mantissa_bits);
  return sign * std::ldexp((1 << mantissa_bits) + mantissa, exponent - bias - mantissa_bits);
}

double DecodeF16(uint32_t bits) { return Decode(bits, 5, 10); }
double DecodeBf16(uint32_t bits) { return Decode(bits, 8, 7); }

struct Narrow {
  const char* dtype;
  float (*convert)(uint16_t);
  double (*decode)(uint32_t);
};
constexpr Narrow kNarrow[] = {{"F16", FloatFromF16, DecodeF16},
                              {"BF16", FloatFromBf16, DecodeBf16}};

TEST(NarrowFloatsTest, EveryPatternIsConvertedExactly) {
  for (const Narrow& type : kNarrow) {
    for (uint32_t bits = 0; bits < kPatterns; ++bits) {
      const double expected = type.decode(bits);
      const float converted = type.convert(static_cast<uint16_t>(bits));
      if (std::isnan(expected)) {
        ASSERT_TRUE(std::isnan(converted)) << type.dtype << " " << bits;
      } else {
        ASSERT_EQ(double{converted}, expected) << type.dtype << " " << bits;
        ASSERT_EQ(std::signbit(converted), std::signbit(expected)) << type.dtype << " " << bits;
      }
    }
  }
}

TEST(NarrowFloatsTest, AFileGivesEveryFinitePatternAndRefusesEveryOther) {
  for (const Narrow& type : kNarrow) {
    std::vector<uint16_t> finite;
    for (uint32_t bits = 0; bits < kPatterns; ++bits) {
      const auto pattern = static_cast<uint16_t>(bits);
      if (std::isfinite(type.decode(bits))) {
        finite.push_back(pattern);
        continue;
      }
      SafetensorsWriter writer;
      writer.AddNarrow("a", type.dtype, {3}, std::vector<uint16_t>{0, 1, pattern});
      const auto file = SafetensorsFile::Parse("t", writer.Bytes());
      ASSERT_TRUE(file.ok()) << file.status();
      const absl::Status status = file->Floats("a", std::vector<size_t>{3}).status();
      ASSERT_NE(std::string(status.message()).find("\"a\": element 2 is"), std::string::npos)
          << status;
    }
    SafetensorsWriter writer;
    writer.AddNarrow("a", type.dtype, {finite.size()}, finite);
    const auto file = SafetensorsFile::Parse("t", writer.Bytes());
    ASSERT_TRUE(file.ok()) << file.status();
    const auto values = file->Floats("a", std::vector<size_t>{finite.size()});
    ASSERT_TRUE(values.ok()) << values.status();
    ASSERT_EQ(values->size(), finite.size());
    for (size_t i = 0; i < finite.size(); ++i) {
      ASSERT_EQ(double{(*values)[i]}, type.decode(finite[i])) << type.dtype << " " << finite[i];
    }
    EXPECT_EQ(file->Floats("a", std::vector<size_t>{finite.size()})->data(), values->data())
        << "converted once";
  }
}

absl::StatusOr<float> OneDouble(double value) {
  SafetensorsWriter writer;
  writer.Add("a", {2}, std::vector<double>{1, value});
  const auto file = SafetensorsFile::Parse("t", writer.Bytes());
  if (!file.ok()) return file.status();
  const auto values = file->Floats("a", std::vector<size_t>{2});
  if (!values.ok()) return values.status();
  return (*values)[1];
}

TEST(NarrowFloatsTest, DoublesAreRoundedToTheNearestFloat) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  std::mt19937_64 random(5);
  std::uniform_real_distribution<double> mantissa(-2.0, 2.0);
  std::uniform_int_distribution<int> exponent(-155, 126);  // below and above the subnormals
  for (int i = 0; i < 2'000; ++i) {
    const double value = std::ldexp(mantissa(random), exponent(random));
    const absl::StatusOr<float> rounded = OneDouble(value);
    ASSERT_TRUE(rounded.ok()) << rounded.status();
    const double error = std::abs(value - double{*rounded});
    ASSERT_LE(error, std::abs(value - double{std::nextafter(*rounded, kInfinity)})) << value;
    ASSERT_LE(error, std::abs(value - double{std::nextafter(*rounded, -kInfinity)})) << value;
  }
  EXPECT_EQ(*OneDouble(1 + 0x1p-24), 1.0f) << "a tie goes to the even one";
  EXPECT_EQ(*OneDouble(1 + 0x3p-24), 1 + 0x1p-22f);
  EXPECT_EQ(*OneDouble(1e-60), 0.0f);
}

TEST(NarrowFloatsTest, DoublesThatNoFloatHoldsAreRefusedByTensorAndPosition) {
  constexpr double kMax = std::numeric_limits<float>::max();
  EXPECT_EQ(*OneDouble(kMax), std::numeric_limits<float>::max());
  EXPECT_EQ(*OneDouble(-kMax), -std::numeric_limits<float>::max());
  for (const double bad : {std::nextafter(kMax, 1e300), -std::nextafter(kMax, 1e300), 1e300}) {
    const absl::Status status = OneDouble(bad).status();
    EXPECT_NE(std::string(status.message()).find("\"a\": element 1 is"), std::string::npos)
        << status;
    EXPECT_NE(std::string(status.message()).find("beyond the range of F32"), std::string::npos);
  }
  for (const double bad :
       {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    const absl::Status status = OneDouble(bad).status();
    EXPECT_NE(std::string(status.message()).find("element 1 is"), std::string::npos) << status;
    EXPECT_NE(std::string(status.message()).find("must be finite"), std::string::npos) << status;
  }
}

}  // namespace
}  // namespace groundswell
