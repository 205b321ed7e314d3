// Lengths of vectors, sqrt(sum_k x_k^2), summed in double: squares of floats are exact there, so
// that fused instructions change no bit.
#ifndef GROUNDSWELL_MODELS_MATH_VECTOR_LENGTH_H_
#define GROUNDSWELL_MODELS_MATH_VECTOR_LENGTH_H_

#include <cstddef>
#include <span>

namespace groundswell {

double VectorLength(std::span<const float> x);

// The upper median over the rows of a row-major matrix; 0 of no rows.
float MedianLength(std::span<const float> rows, size_t width);

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_MATH_VECTOR_LENGTH_H_
