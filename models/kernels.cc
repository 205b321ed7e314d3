#include "models/kernels.h"

#include <dnnl.h>
#include <omp.h>

#include <algorithm>

namespace groundswell {
namespace {

// oneDNN asks OpenMP of the calling thread how many threads it may use.
void UseOneThread() {
  thread_local const bool done = [] {
    omp_set_num_threads(1);
    return true;
  }();
  static_cast<void>(done);
}

void Gemm(char transpose_b, ConstMatrix a, ConstMatrix b, MutableMatrix c, size_t rows,
          size_t columns, size_t inner, float beta) {
  UseOneThread();
  const size_t padded = PaddedRows(rows);
  for (size_t row = 0; row < padded; row += kRowsAtOnce) {
    const size_t size = std::min(kRowsAtOnce, padded - row);
    // Fails only on negative sizes and short strides, which the callers' shapes exclude.
    dnnl_sgemm('N', transpose_b, static_cast<dnnl_dim_t>(size), static_cast<dnnl_dim_t>(columns),
               static_cast<dnnl_dim_t>(inner), 1.0f, a.data + row * a.stride,
               static_cast<dnnl_dim_t>(a.stride), b.data, static_cast<dnnl_dim_t>(b.stride), beta,
               c.data + row * c.stride, static_cast<dnnl_dim_t>(c.stride));
  }
}

}  // namespace

void MultiplyTransposed(ConstMatrix a, ConstMatrix b, MutableMatrix c, size_t rows, size_t columns,
                        size_t inner, bool accumulate) {
  Gemm('T', a, b, c, rows, columns, inner, accumulate ? 1.0f : 0.0f);
}

void Multiply(ConstMatrix a, ConstMatrix b, MutableMatrix c, size_t rows, size_t columns,
              size_t inner, bool accumulate) {
  Gemm('N', a, b, c, rows, columns, inner, accumulate ? 1.0f : 0.0f);
}

}  // namespace groundswell
