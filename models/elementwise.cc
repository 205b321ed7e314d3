#include "models/elementwise.h"

#include <algorithm>
#include <cmath>

namespace groundswell {
namespace {

// exp overflows beyond 88.7; sigmoid is 0 or 1 to the last bit well before.
constexpr float kExpLimit = 80.0f;
// Added inside the sigmoid by the authors' code.
constexpr float kDiceEpsilon = 1e-8f;

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

}  // namespace groundswell
