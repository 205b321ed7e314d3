#include "index/vectors/cosine_scan.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <span>

#include "index/score_key.h"
#include "models/math/vector_length.h"

namespace groundswell {
namespace {

// Sums that are added up beside each other: one alone would wait for itself at every number.
constexpr size_t kSums = 4;

struct Products {
  double inner = 0;   // <a, b>
  double square = 0;  // <b, b>
};

// In double, where no product of embedding numbers overflows.
Products ProductsOf(std::span<const float> a, std::span<const float> b) {
  std::array<double, kSums> inner{};
  std::array<double, kSums> square{};
  const size_t whole = b.size() - b.size() % kSums;
  for (size_t begin = 0; begin < whole; begin += kSums) {
    for (size_t k = 0; k < kSums; ++k) {
      inner[k] += double{a[begin + k]} * double{b[begin + k]};
      square[k] += double{b[begin + k]} * double{b[begin + k]};
    }
  }
  for (size_t i = whole; i < b.size(); ++i) {
    inner[0] += double{a[i]} * double{b[i]};
    square[0] += double{b[i]} * double{b[i]};
  }
  return {.inner = (inner[0] + inner[1]) + (inner[2] + inner[3]),
          .square = (square[0] + square[1]) + (square[2] + square[3])};
}

void KeepBestKeys(std::vector<uint64_t>& keys, size_t count) {
  if (keys.size() <= count) return;
  std::ranges::nth_element(keys, keys.begin() + static_cast<ptrdiff_t>(count));
  keys.resize(count);
}

}  // namespace

std::vector<Candidate> NearestByCosine(const EmbeddingIndex::View& vectors, size_t items,
                                       const CandidateQuery& query) {
  const double length = VectorLength(query.vector);
  const size_t keys_max = 4 * query.count + 1'024;
  thread_local std::vector<uint64_t> keys;
  keys.clear();
  for (size_t i = 0; i < items; ++i) {
    const ItemIndex item{static_cast<uint32_t>(i)};
    const std::span<const float> vector = vectors.VectorOf(item);
    if (vector.empty() || !query.filter.Admits(item)) continue;
    const Products products = ProductsOf(query.vector, vector);
    if (products.square <= 0) continue;
    const double cosine = products.inner / (length * std::sqrt(products.square));
    keys.push_back(ScoreKey(static_cast<float>(std::clamp(cosine, -1.0, 1.0)), item));
    if (keys.size() >= keys_max) KeepBestKeys(keys, query.count);
  }
  KeepBestKeys(keys, query.count);
  std::ranges::sort(keys);
  std::vector<Candidate> best;
  best.reserve(keys.size());
  for (const uint64_t key : keys) best.push_back({ItemOfKey(key), ScoreOfKey(key), kFromEmbedding});
  return best;
}

}  // namespace groundswell
