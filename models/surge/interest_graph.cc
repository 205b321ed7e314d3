#include "models/surge/interest_graph.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "models/math/kernels.h"

namespace groundswell {
namespace {

constexpr double kLengthEpsilon = 1e-12;  // inside the root
// Normalised similarities below this are zero: where an item repeats, rounding would decide whether
// its row's minimum is.
constexpr double kLeastSimilarity = 1e-6;
// Adding and subtracting this rounds to a multiple of 2^-40, so that cosines that are equal in
// exact arithmetic are the same bits.
constexpr double kToMultipleOf2To40 = 6'144.0;

// Columns of the first `count` rows of `history`, weighed by the head and scaled to length 1.
void FillUnit(std::span<const float> metric, std::span<const float> history, size_t count,
              InterestGraph& graph) {
  const size_t d = metric.size();
  for (size_t i = 0; i < count; ++i) {
    const float* x = history.data() + i * d;
    double squares = 0;
    for (size_t k = 0; k < d; ++k) {
      const double weighed = double{metric[k]} * double{x[k]};
      squares += weighed * weighed;
      graph.unit[k * count + i] = weighed;
    }
    const double scale = 1 / std::sqrt(std::max(squares, kLengthEpsilon));
    for (size_t k = 0; k < d; ++k) graph.unit[k * count + i] *= scale;
  }
}

// cosines[j] = unit_i . unit_j for all `count` columns.
void FillCosines(size_t d, size_t i, size_t count, InterestGraph& graph) {
  double* cosines = graph.cosines.data();
  std::fill_n(cosines, count, 0.0);
  for (size_t k = 0; k < d; ++k) {
    const double* row = graph.unit.data() + k * count;
    const double own = row[i];
    for (size_t j = 0; j < count; ++j) cosines[j] += own * row[j];
  }
  for (size_t j = 0; j < count; ++j) {
    cosines[j] = (cosines[j] + kToMultipleOf2To40) - kToMultipleOf2To40;
  }
}

// Adds one row's min-max normalised cosines to `sum`; a row of one value adds nothing.
void AddNormalised(std::span<const double> cosines, double weight, std::span<double> sum) {
  const auto [least, most] = std::minmax_element(cosines.begin(), cosines.end());
  const double range = *most - *least;
  if (range == 0) return;
  for (size_t j = 0; j < sum.size(); ++j) sum[j] += weight * ((cosines[j] - *least) / range);
}

// Fills the first n columns of n rows of the similarities, mean over the heads.
void FillSimilarity(const SurgeWeights& weights, std::span<const float> history, size_t n,
                    size_t columns, bool normalise, InterestGraph& graph) {
  const size_t d = weights.shape.d();
  const double weight = 1.0 / static_cast<double>(weights.shape.heads);
  std::fill_n(graph.similarity.begin(), n * n, 0.0);
  for (size_t head = 0; head < weights.shape.heads; ++head) {
    FillUnit(weights.metric.subspan(head * d, d), history, columns, graph);
    for (size_t i = 0; i < n; ++i) {
      FillCosines(d, i, columns, graph);
      const std::span<const double> cosines = std::span(graph.cosines).first(columns);
      const std::span<double> sum = std::span(graph.similarity).subspan(i * n, n);
      if (normalise) {
        AddNormalised(cosines, weight, sum);
      } else {
        for (size_t j = 0; j < n; ++j) sum[j] += weight * cosines[j];
      }
    }
  }
}

// The entry at `index` of the first `count` ranked values in descending order.
double Nth(size_t index, size_t count, InterestGraph& graph) {
  const auto begin = graph.ranked.begin();
  const auto nth = begin + static_cast<ptrdiff_t>(index);
  std::nth_element(begin, nth, begin + static_cast<ptrdiff_t>(count), std::greater<>());
  return *nth;
}

template <typename IsEdge>
void FillAdjacency(size_t n, size_t stride, const IsEdge& is_edge, InterestGraph& graph) {
  for (size_t i = 0; i < n; ++i) {
    float* row = graph.adjacency.data() + i * stride;
    float sum = 0;
    for (size_t j = 0; j < n; ++j) {
      row[j] = is_edge(i, j) ? 1.0f : 0.0f;
      sum += row[j];
    }
    graph.row_sums[i] = sum;
  }
}

}  // namespace

InterestGraph::InterestGraph(const SurgeShape& shape)
    : adjacency(PaddedRows(shape.max_history) * shape.max_history),
      row_sums(shape.max_history),
      unit(shape.d() * (shape.max_history + 1)),
      similarity(shape.max_history * shape.max_history),
      cosines(shape.max_history + 1),
      ranked(shape.max_history * shape.max_history) {}

void BuildAuthorsGraph(const SurgeWeights& weights, std::span<const float> history, size_t n,
                       InterestGraph& graph) {
  const size_t l = weights.shape.max_history;
  // All columns of padding are the same; one stands for them.
  FillSimilarity(weights, history, n, std::min(n + 1, l), /*normalise=*/true, graph);
  size_t nonzero = 0;
  for (size_t at = 0; at < n * n; ++at) {
    double& value = graph.similarity[at];
    if (value < kLeastSimilarity) value = 0;
    if (value != 0) graph.ranked[nonzero++] = value;
  }
  const size_t index = (nonzero + 1) / 2;
  const double threshold = index < nonzero ? Nth(index, nonzero, graph) : 0.0;
  FillAdjacency(
      n, l, [&](size_t i, size_t j) { return i == j || graph.similarity[i * n + j] > threshold; },
      graph);
}

void BuildPaperGraph(const SurgeWeights& weights, std::span<const float> history, size_t n,
                     InterestGraph& graph) {
  FillSimilarity(weights, history, n, n, /*normalise=*/false, graph);
  std::copy_n(graph.similarity.begin(), n * n, graph.ranked.begin());
  const double threshold = Nth((n * n + 1) / 2 - 1, n * n, graph);
  FillAdjacency(
      n, weights.shape.max_history,
      [&](size_t i, size_t j) { return graph.similarity[i * n + j] >= threshold; }, graph);
}

}  // namespace groundswell
