#include "models/math/elementwise.h"

#include <algorithm>
#include <array>

#include "models/math/instruction_sets.h"
#include "models/math/transcendental.h"

namespace groundswell {
namespace {

constexpr float kLeakySlope = 0.2f;
constexpr size_t kColumnsAtOnce = 64;
// Rows of a table that are fetched ahead of the one at hand: it may be far larger than the caches.
constexpr size_t kRowsAhead = 16;

// As many floats as the compiler has instructions for; narrower ones take them in parts.
typedef float Vector [[gnu::vector_size(sizeof(Lanes)), gnu::may_alias]];

inline float SumOf(const Vector& vector) {
  float sum = 0;
  for (size_t k = 0; k < kLanes; ++k) sum += vector[k];
  return sum;
}

}  // namespace

void Softmax(std::span<float> x) { SoftmaxOfRows(x, x.size()); }

GROUNDSWELL_PER_INSTRUCTION_SET
void SoftmaxOfRows(std::span<float> x, size_t width) {
  for (size_t begin = 0; begin < x.size(); begin += width) {
    float* const row = x.data() + begin;
    float largest = row[0];
    for (size_t k = 1; k < width; ++k) largest = std::max(largest, row[k]);
    for (size_t k = 0; k < width; ++k) row[k] -= largest;
  }
  ExpMinus(0.0f, x);  // of all rows in one loop, since rows are short
  for (size_t begin = 0; begin < x.size(); begin += width) {
    float* const row = x.data() + begin;
    double sum = 0;  // as exact for a thousand elements as for one
    for (size_t k = 0; k < width; ++k) sum += row[k];
    const auto scale = static_cast<float>(1.0 / sum);
    for (size_t k = 0; k < width; ++k) row[k] *= scale;
  }
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
float Dot(std::span<const float> a, std::span<const float> b) {
  float sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

GROUNDSWELL_PER_INSTRUCTION_SET
void DotOfRows(std::span<const Lanes> table, std::span<const uint32_t> rows,
               std::span<const Lanes> x, std::span<float> out) {
  const auto* const of_x = reinterpret_cast<const Vector*>(x.data());
  for (size_t i = 0; i < rows.size(); ++i) {
    __builtin_prefetch(table.data() + rows[std::min(i + kRowsAhead, rows.size() - 1)] * x.size());
    const auto* const row = reinterpret_cast<const Vector*>(table.data() + rows[i] * x.size());
    Vector sum = row[0] * of_x[0];
    for (size_t k = 1; k < x.size(); ++k) sum += row[k] * of_x[k];
    out[i] = SumOf(sum);
  }
}

GROUNDSWELL_PER_INSTRUCTION_SET
void SumOfRows(std::span<const Lanes> table, std::span<const uint32_t> rows,
               std::span<const float> weight, std::span<Lanes> sum) {
  const auto* const vectors = reinterpret_cast<const Vector*>(table.data());
  for (size_t k = 0; k < sum.size(); ++k) {
    Vector of_column{};
    for (size_t i = 0; i < rows.size(); ++i) {
      of_column += weight[i] * vectors[rows[i] * sum.size() + k];
    }
    reinterpret_cast<Vector&>(sum[k]) = of_column;
  }
}

GROUNDSWELL_PER_INSTRUCTION_SET
void AddScaled(std::span<const float> x, float scale, std::span<float> sum) {
  for (size_t i = 0; i < x.size(); ++i) sum[i] += scale * x[i];
}

GROUNDSWELL_PER_INSTRUCTION_SET
void RowTimes(std::span<const float> x, std::span<const float> matrix, std::span<float> out) {
  std::fill(out.begin(), out.end(), 0.0f);
  for (size_t k = 0; k < x.size(); ++k) {
    const float* const row = matrix.data() + k * out.size();
    for (size_t i = 0; i < out.size(); ++i) out[i] += x[k] * row[i];
  }
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
void ScaleAddLeakyRelu(float scale, std::span<const float> y, std::span<float> x) {
  for (size_t i = 0; i < x.size(); ++i) {
    const float value = scale * x[i] + y[i];
    x[i] = std::max(value, kLeakySlope * value);
  }
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
