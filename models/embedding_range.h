// What the numbers of an embedding may be.
#ifndef GROUNDSWELL_MODELS_EMBEDDING_RANGE_H_
#define GROUNDSWELL_MODELS_EMBEDDING_RANGE_H_

#include <algorithm>
#include <cmath>
#include <span>

namespace groundswell {

// Small enough that inner products, squared distances and the sums that clustering makes of them
// stay finite in f32, whatever the vectors: 4 (1e15)^2 times 4,096 numbers and a thousand rows.
// Trained embeddings are within 1e3; beyond this, training diverged.
inline constexpr float kEmbeddingNumberMax = 1e15f;

// False for what is no number.
inline bool IsEmbeddingNumber(float value) { return std::abs(value) <= kEmbeddingNumberMax; }

inline bool IsEmbedding(std::span<const float> vector) {
  return std::all_of(vector.begin(), vector.end(), IsEmbeddingNumber);
}

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_EMBEDDING_RANGE_H_
