// Elementwise parts of the forward passes, sums of rows among them. This file's code alone is
// compiled with -ffast-math, so that sums become vectors' sums; arguments must be finite. The
// errors stated are those of the result against exact arithmetic on the same floats, tested over
// the whole range.
//
// Each call works on one row, or on rows one by one. The result of an element may depend on its
// place in the row (the last few of a row are not vectorised), never on other rows.
#ifndef GROUNDSWELL_MODELS_MATH_ELEMENTWISE_H_
#define GROUNDSWELL_MODELS_MATH_ELEMENTWISE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace groundswell {

// x_k = exp(x_k) / sum_j exp(x_j), the largest element subtracted first. For up to 1,000 elements
// relatively within 8e-7 + 1e-7 (max - x_k), whose second part is the rounding of that difference;
// 0 where it exceeds 87.
void Softmax(std::span<float> x);

// As Softmax, of every row of a row-major matrix. REQUIRES: width > 0 unless x is empty.
void SoftmaxOfRows(std::span<float> x, size_t width);

// As Softmax, of every column of a row-major matrix.
void SoftmaxOfColumns(std::span<float> x, size_t columns);

float Dot(std::span<const float> a, std::span<const float> b);

// Tables whose rows are gathered have their rows padded with zeros to whole vectors of the widest
// instruction set, and aligned: a row of up to 16 floats is then one line of the cache and one
// instruction, without a remainder.
inline constexpr size_t kLanes = 16;
struct alignas(kLanes * sizeof(float)) Lanes {
  std::array<float, kLanes> values{};
};
constexpr size_t LanesOf(size_t width) { return (width + kLanes - 1) / kLanes; }

// out_i = the dot product of x with row rows_i of a row-major table; its rows have x.size() lanes.
void DotOfRows(std::span<const Lanes> table, std::span<const uint32_t> rows,
               std::span<const Lanes> x, std::span<float> out);

// sum = sum_i weight_i * row rows_i of a row-major table; its rows have sum.size() lanes.
void SumOfRows(std::span<const Lanes> table, std::span<const uint32_t> rows,
               std::span<const float> weight, std::span<Lanes> sum);

// sum += scale * x
void AddScaled(std::span<const float> x, float scale, std::span<float> sum);

// out = x W for one row x and a row-major matrix of x.size() rows of out.size() numbers. For a few
// rows it is faster than a product of models/math/kernels.h, and it allocates nothing.
void RowTimes(std::span<const float> x, std::span<const float> matrix, std::span<float> out);

// x = max(x + y, 0).
void AddRelu(std::span<const float> y, std::span<float> x);

// sum_k weight_k max(x_k + y_k, 0)
float DotAddRelu(std::span<const float> x, std::span<const float> y, std::span<const float> weight);

// LeakyReLU with a slope of 0.2: x where x > 0, else 0.2 x, to the nearest float (0.2's own).
void LeakyRelu(std::span<float> x);

// x = LeakyReLU(scale x + y)
void ScaleAddLeakyRelu(float scale, std::span<const float> y, std::span<float> x);

// sum_k weight_k LeakyReLU(x_k + y_k)
float DotAddLeakyRelu(std::span<const float> x, std::span<const float> y,
                      std::span<const float> weight);

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_MATH_ELEMENTWISE_H_
