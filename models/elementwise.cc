#include "models/elementwise.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "models/instruction_sets.h"
#include "models/transcendental.h"

namespace groundswell {
namespace {

// exp overflows beyond 88.7; sigmoid is 0 or 1 to the last bit well before.
constexpr float kExpLimit = 80.0f;
// Added inside the sigmoid by the authors' code.
constexpr float kDiceEpsilon = 1e-8f;
constexpr float kLeakySlope = 0.2f;
constexpr size_t kColumnsAtOnce = 64;

}  // namespace

float LogOfCount(int64_t count) { return std::log1p(static_cast<float>(count)); }

GROUNDSWELL_PER_INSTRUCTION_SET
void Softmax(std::span<float> x) {
  if (x.empty()) return;
  const float largest = *std::max_element(x.begin(), x.end());
  ExpMinus(largest, x);
  double sum = 0;  // as exact for a thousand elements as for one
  for (const float value : x) sum += value;
  const auto scale = static_cast<float>(1.0 / sum);
  for (float& value : x) value *= scale;
}

GROUNDSWELL_PER_INSTRUCTION_SET
void SoftmaxOfColumns(std::span<float> x, size_t columns) {
  const size_t rows = x.size() / columns;
  for (size_t begin = 0; begin < columns; begin += kColumnsAtOnce) {
    const size_t count = std::min(kColumnsAtOnce, columns - begin);
    std::array<float, kColumnsAtOnce> of_column;  // its largest element, then 1 / its sum
    std::copy_n(x.data() + begin, count, of_column.data());
    for (size_t row = 1; row < rows; ++row) {
      const float* values = x.data() + row * columns + begin;
      for (size_t k = 0; k < count; ++k) of_column[k] = std::max(of_column[k], values[k]);
    }
    for (size_t row = 0; row < rows; ++row) {
      float* values = x.data() + row * columns + begin;
      for (size_t k = 0; k < count; ++k) values[k] -= of_column[k];
    }
    of_column.fill(0.0f);
    for (size_t row = 0; row < rows; ++row) {
      const std::span<float> values = x.subspan(row * columns + begin, count);
      ExpMinus(0.0f, values);
      for (size_t k = 0; k < count; ++k) of_column[k] += values[k];
    }
    for (size_t k = 0; k < count; ++k) of_column[k] = 1.0f / of_column[k];
    for (size_t row = 0; row < rows; ++row) {
      float* values = x.data() + row * columns + begin;
      for (size_t k = 0; k < count; ++k) values[k] *= of_column[k];
    }
  }
}

GROUNDSWELL_PER_INSTRUCTION_SET
void Dice(std::span<const float> z, std::span<const float> mean, std::span<const float> inverse_std,
          float alpha, std::span<float> out) {
  for (size_t i = 0; i < z.size(); ++i) {
    const float x = (z[i] - mean[i]) * inverse_std[i] + kDiceEpsilon;
    const float g = 1.0f / (1.0f + std::exp(std::min(std::max(-x, -kExpLimit), kExpLimit)));
    out[i] = z[i] * g + alpha * z[i] * (1.0f - g);
  }
}

GROUNDSWELL_PER_INSTRUCTION_SET
float Dot(std::span<const float> a, std::span<const float> b) {
  float sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

GROUNDSWELL_PER_INSTRUCTION_SET
void AddScaled(std::span<const float> x, float scale, std::span<float> sum) {
  for (size_t i = 0; i < x.size(); ++i) sum[i] += scale * x[i];
}

GROUNDSWELL_PER_INSTRUCTION_SET
void AddRelu(std::span<const float> y, std::span<float> x) {
  for (size_t i = 0; i < x.size(); ++i) x[i] = std::max(x[i] + y[i], 0.0f);
}

GROUNDSWELL_PER_INSTRUCTION_SET
float DotAddRelu(std::span<const float> x, std::span<const float> y,
                 std::span<const float> weight) {
  float sum = 0;
  for (size_t i = 0; i < x.size(); ++i) sum += weight[i] * std::max(x[i] + y[i], 0.0f);
  return sum;
}

GROUNDSWELL_PER_INSTRUCTION_SET
void LeakyRelu(std::span<float> x) {
  for (float& value : x) value = std::max(value, kLeakySlope * value);
}

GROUNDSWELL_PER_INSTRUCTION_SET
float DotAddLeakyRelu(std::span<const float> x, std::span<const float> y,
                      std::span<const float> weight) {
  float sum = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const float value = x[i] + y[i];
    sum += weight[i] * std::max(value, kLeakySlope * value);
  }
  return sum;
}

}  // namespace groundswell
