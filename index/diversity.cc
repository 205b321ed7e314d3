#include "index/diversity.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "index/faiss_index.h"

namespace groundswell {
namespace {

// The items' vectors, one row each, made as long as 1; the length of a row, 0 when no item has one.
size_t GatherRows(const EmbeddingIndex::View& vectors, std::span<const Candidate> items,
                  std::vector<float>& rows) {
  size_t dim = 0;
  for (size_t i = 0; i < items.size(); ++i) {
    const std::span<const float> vector = vectors.VectorOf(items[i].item);
    if (vector.empty()) continue;
    if (dim == 0) {
      dim = vector.size();
      rows.assign(items.size() * dim, 0);
    }
    const float square = std::inner_product(vector.begin(), vector.end(), vector.begin(), 0.0f);
    const float scale = square > 0 ? 1 / std::sqrt(square) : 0;
    std::ranges::transform(vector, rows.begin() + static_cast<ptrdiff_t>(i * dim),
                           [scale](float value) { return value * scale; });
  }
  return dim;
}

// The row of the best of the first `left`.
size_t BestRow(float strength, float worth_of_place, size_t left, const DiversityScratch& scratch) {
  size_t best = 0;
  float best_value = -2;
  for (size_t row = 0; row < left; ++row) {
    const float relevance = 1 - worth_of_place * static_cast<float>(scratch.place[row]);
    const float value = (1 - strength) * relevance - strength * scratch.nearest[row];
    if (value > best_value || (value == best_value && scratch.place[row] < scratch.place[best])) {
      best = row;
      best_value = value;
    }
  }
  return best;
}

}  // namespace

void Diversify(const EmbeddingIndex::View& vectors, float strength, size_t items_max,
               DiversityScratch& scratch, std::span<Candidate> items) {
  items = items.first(std::min(items_max, items.size()));
  if (strength <= 0) return;
  const size_t dim = GatherRows(vectors, items, scratch.rows);
  if (dim == 0) return;
  scratch.before.assign(items.begin(), items.end());
  scratch.nearest.assign(items.size(), 0);
  scratch.similarity.resize(items.size());
  scratch.place.resize(items.size());
  std::iota(scratch.place.begin(), scratch.place.end(), 0);
  const float worth_of_place = 1 / static_cast<float>(items_max);

  // The rows that are left stay side by side: the last one moves to where the best was.
  for (size_t left = items.size(); left > 0;) {
    const size_t best = BestRow(strength, worth_of_place, left, scratch);
    items[items.size() - left] = scratch.before[scratch.place[best]];
    const auto row = [&](size_t at) { return std::span(scratch.rows).subspan(at * dim, dim); };
    scratch.chosen.assign(row(best).begin(), row(best).end());
    --left;
    if (best != left) std::ranges::copy(row(left), row(best).begin());
    scratch.nearest[best] = scratch.nearest[left];
    scratch.place[best] = scratch.place[left];
    const auto similarity = std::span(scratch.similarity).first(left);
    InnerProducts(scratch.chosen, scratch.rows.data(), similarity);
    for (size_t i = 0; i < left; ++i) {
      scratch.nearest[i] = std::max(scratch.nearest[i], similarity[i]);
    }
  }
}

}  // namespace groundswell
