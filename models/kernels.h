// Dense products, on oneDNN. One thread per call: parallelism is across requests.
#ifndef GROUNDSWELL_MODELS_KERNELS_H_
#define GROUNDSWELL_MODELS_KERNELS_H_

#include <cstddef>

namespace groundswell {

// Matrices whose row count depends on a batch have room for whole multiples of this many rows.
// oneDNN takes other paths, with other roundings, below 16 rows; above, a row's result was measured
// to be the same bits whatever the number of rows and its place among them.
inline constexpr size_t kRowGranularity = 16;

constexpr size_t PaddedRows(size_t rows) {
  return (rows + kRowGranularity - 1) / kRowGranularity * kRowGranularity;
}

// A view of a row-major matrix whose rows are `stride` floats apart.
struct ConstMatrix {
  const float* data = nullptr;
  size_t stride = 0;
};
struct MutableMatrix {
  float* data = nullptr;
  size_t stride = 0;
};

// c = a * b' (+ c when `accumulate`): a is rows x inner, b is columns x inner (a weight as PyTorch
// stores it), c is rows x columns. All PaddedRows(rows) rows of a and c must exist and be finite;
// the padding rows of c are overwritten.
void MultiplyTransposed(ConstMatrix a, ConstMatrix b, MutableMatrix c, size_t rows, size_t columns,
                        size_t inner, bool accumulate);

// c = a * b: b is inner x columns. Otherwise as above.
void Multiply(ConstMatrix a, ConstMatrix b, MutableMatrix c, size_t rows, size_t columns,
              size_t inner);

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_KERNELS_H_
