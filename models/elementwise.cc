#include "models/elementwise.h"

#include <algorithm>
#include <cmath>

namespace groundswell {
namespace {

// exp overflows beyond 88.7; sigmoid is 0 or 1 to the last bit well before.
constexpr float kExpLimit = 80.0f;
// Added inside the sigmoid by the authors' code.
constexpr float kDiceEpsilon = 1e-8f;
constexpr float kLeakySlope = 0.2f;

inline float Sigmoid(float x) {
  return 1.0f / (1.0f + std::exp(std::min(std::max(-x, -kExpLimit), kExpLimit)));
}

}  // namespace

void Softmax(std::span<float> x) {
  if (x.empty()) return;
  const float largest = *std::max_element(x.begin(), x.end());
  for (float& value : x) value = std::exp(value - largest);
  float sum = 0;
  for (const float value : x) sum += value;
  const float scale = 1.0f / sum;
  for (float& value : x) value *= scale;
}

void SoftmaxOfColumns(std::span<float> x, size_t columns) {
  const size_t rows = x.size() / columns;
  for (size_t column = 0; column < columns; ++column) {
    float largest = x[column];
    for (size_t row = 1; row < rows; ++row) largest = std::max(largest, x[row * columns + column]);
    for (size_t row = 0; row < rows; ++row) x[row * columns + column] -= largest;
  }
  for (float& value : x) value = std::exp(value);
  for (size_t column = 0; column < columns; ++column) {
    float sum = 0;
    for (size_t row = 0; row < rows; ++row) sum += x[row * columns + column];
    const float scale = 1.0f / sum;
    for (size_t row = 0; row < rows; ++row) x[row * columns + column] *= scale;
  }
}

void Dice(std::span<const float> z, std::span<const float> mean, std::span<const float> inverse_std,
          float alpha, std::span<float> out) {
  for (size_t i = 0; i < z.size(); ++i) {
    const float x = (z[i] - mean[i]) * inverse_std[i] + kDiceEpsilon;
    const float g = 1.0f / (1.0f + std::exp(std::min(std::max(-x, -kExpLimit), kExpLimit)));
    out[i] = z[i] * g + alpha * z[i] * (1.0f - g);
  }
}

float Dot(std::span<const float> a, std::span<const float> b) {
  float sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

void AddScaled(std::span<const float> x, float scale, std::span<float> sum) {
  for (size_t i = 0; i < x.size(); ++i) sum[i] += scale * x[i];
}

void AddSigmoid(std::span<const float> y, std::span<float> x) {
  for (size_t i = 0; i < x.size(); ++i) x[i] = Sigmoid(x[i] + y[i]);
}

void AddTanh(std::span<const float> y, std::span<float> x) {
  for (size_t i = 0; i < x.size(); ++i) x[i] = 2.0f * Sigmoid(2.0f * (x[i] + y[i])) - 1.0f;
}

void AddRelu(std::span<const float> y, std::span<float> x) {
  for (size_t i = 0; i < x.size(); ++i) x[i] = std::max(x[i] + y[i], 0.0f);
}

float DotAddRelu(std::span<const float> x, std::span<const float> y,
                 std::span<const float> weight) {
  float sum = 0;
  for (size_t i = 0; i < x.size(); ++i) sum += weight[i] * std::max(x[i] + y[i], 0.0f);
  return sum;
}

void LeakyRelu(std::span<float> x) {
  for (float& value : x) value = std::max(value, kLeakySlope * value);
}

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
