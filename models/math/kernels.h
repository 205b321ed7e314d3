// Dense products, on oneDNN. One thread per call: parallelism is across requests.
//
// Nothing here allocates, but oneDNN's sgemm takes one block of about 72 KiB from malloc at every
// call, to arrange its factors in, and gives it back before it returns.
#ifndef GROUNDSWELL_MODELS_MATH_KERNELS_H_
#define GROUNDSWELL_MODELS_MATH_KERNELS_H_

#include <cstddef>

namespace groundswell {

// Products are made of a multiple of this many rows, up to kRowsAtOnce, since a row's result must
// be the same bits in every batch: oneDNN chooses its path by the number of rows, and AVX2's
// kernels round the last rows of some numbers otherwise (of 32, the last two). With 24 to 240, a
// row was measured to have the same bits at every place with the SSE4.1, AVX, AVX2 and AVX-512
// kernels (of 480 it has not, with AVX); the property test repeats that. Matrices whose row count
// depends on a batch have room for whole multiples.
inline constexpr size_t kRowGranularity = 24;
inline constexpr size_t kRowsAtOnce = 240;

constexpr size_t PaddedRows(size_t rows) {
  return (rows + kRowGranularity - 1) / kRowGranularity * kRowGranularity;
}

// Keeps oneDNN on the calling thread from now on; products here do so by themselves.
void ComputeOnThisThread();

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

// c = a * b (+ c when `accumulate`): b is inner x columns. Otherwise as above, but faster: oneDNN
// transposes b anew at every call.
void Multiply(ConstMatrix a, ConstMatrix b, MutableMatrix c, size_t rows, size_t columns,
              size_t inner, bool accumulate = false);

// As Multiply, of exactly `rows` rows, for a product whose rows belong to one candidate or user:
// their number is then the same in every batch, and nothing beyond them need exist.
void MultiplyWhole(ConstMatrix a, ConstMatrix b, MutableMatrix c, size_t rows, size_t columns,
                   size_t inner);

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_MATH_KERNELS_H_
