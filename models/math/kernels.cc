#include "models/math/kernels.h"

#include <dnnl.h>
#include <omp.h>

#include <algorithm>

namespace groundswell {
namespace {

void Gemm(char transpose_b, ConstMatrix a, ConstMatrix b, MutableMatrix c, size_t rows,
          size_t columns, size_t inner, float beta) {
  ComputeOnThisThread();
  // Fails only on negative sizes and short strides, which the callers' shapes exclude.
  dnnl_sgemm('N', transpose_b, static_cast<dnnl_dim_t>(rows), static_cast<dnnl_dim_t>(columns),
             static_cast<dnnl_dim_t>(inner), 1.0f, a.data, static_cast<dnnl_dim_t>(a.stride),
             b.data, static_cast<dnnl_dim_t>(b.stride), beta, c.data,
             static_cast<dnnl_dim_t>(c.stride));
}

void GemmInParts(char transpose_b, ConstMatrix a, ConstMatrix b, MutableMatrix c, size_t rows,
                 size_t columns, size_t inner, bool accumulate) {
  const size_t padded = PaddedRows(rows);
  for (size_t row = 0; row < padded; row += kRowsAtOnce) {
    Gemm(transpose_b, {a.data + row * a.stride, a.stride}, b, {c.data + row * c.stride, c.stride},
         std::min(kRowsAtOnce, padded - row), columns, inner, accumulate ? 1.0f : 0.0f);
  }
}

}  // namespace

// oneDNN asks OpenMP of the calling thread how many threads it may use.
void ComputeOnThisThread() {
  thread_local const bool done = [] {
    omp_set_num_threads(1);
    return true;
  }();
  static_cast<void>(done);
}

void MultiplyTransposed(ConstMatrix a, ConstMatrix b, MutableMatrix c, size_t rows, size_t columns,
                        size_t inner, bool accumulate) {
  GemmInParts('T', a, b, c, rows, columns, inner, accumulate);
}

void Multiply(ConstMatrix a, ConstMatrix b, MutableMatrix c, size_t rows, size_t columns,
              size_t inner, bool accumulate) {
  GemmInParts('N', a, b, c, rows, columns, inner, accumulate);
}

void MultiplyWhole(ConstMatrix a, ConstMatrix b, MutableMatrix c, size_t rows, size_t columns,
                   size_t inner) {
  Gemm('N', a, b, c, rows, columns, inner, 0.0f);
}

}  // namespace groundswell
