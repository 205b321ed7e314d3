// The variant of the authors' published code, whose checkpoints and numbers exist.
#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

#include "models/math/elementwise.h"
#include "models/math/kernels.h"
#include "models/surge/forward.h"

namespace groundswell {
namespace {

// A score must exceed the threshold, and 0, by this much to be kept.
constexpr float kKeptMargin = 1e-7f;
constexpr float kDegreeEpsilon = 1e-7f;

std::span<float> RowOf(std::vector<float>& matrix, size_t row, size_t width) {
  return std::span(matrix).subspan(row * width, width);
}

// --- The user's side, once per request.

// An_ij = A_ij / (D_i D_j), D_i = sqrt(sum_j A_ij) + 1e-7.
void NormaliseAdjacency(size_t l, SurgeAuthorsScratch& scratch) {
  const InterestGraph& graph = scratch.graph;
  std::vector<float>& degree = scratch.of_position;
  for (size_t i = 0; i < scratch.length; ++i) {
    degree[i] = std::sqrt(graph.row_sums[i]) + kDegreeEpsilon;
  }
  for (size_t i = 0; i < scratch.length; ++i) {
    const float* const adjacent = graph.adjacency.data() + i * l;
    float* const out = scratch.normalised.data() + i * l;
    for (size_t j = 0; j < scratch.length; ++j) out[j] = adjacent[j] / (degree[i] * degree[j]);
  }
}

// query = An An x.
void Propagate(size_t l, size_t d, const std::vector<float>& x, SurgeAuthorsScratch& scratch) {
  const size_t n = scratch.length;
  Multiply({scratch.normalised.data(), l}, {x.data(), d}, {scratch.product.data(), d}, n, d, n);
  Multiply({scratch.normalised.data(), l}, {scratch.product.data(), d}, {scratch.query.data(), d},
           n, d, n);
}

// cluster_attention = softmax over the history of MLP([a, q, a - q, a * q]), q = An An x.
void AttendToClusters(const SurgeAttention& attention, const std::vector<float>& x, size_t l,
                      size_t d, SurgeAuthorsScratch& scratch) {
  const size_t n = scratch.length;
  Propagate(l, d, x, scratch);
  ApplyWeightInF32(attention.transform, x.data(), d, n, scratch.transformed.data());
  for (size_t i = 0; i < n; ++i) {
    const float* a = scratch.transformed.data() + i * d;
    const float* q = scratch.query.data() + i * d;
    float* concat = scratch.concat.data() + i * 4 * d;
    for (size_t k = 0; k < d; ++k) {
      concat[k] = a[k];
      concat[d + k] = q[k];
      concat[2 * d + k] = a[k] - q[k];
      concat[3 * d + k] = a[k] * q[k];
    }
  }
  const size_t hidden1 = attention.first.weight.out;
  const size_t hidden2 = attention.second.weight.out;
  ApplyWeightInF32(attention.first, scratch.concat.data(), 4 * d, n, scratch.user_hidden1.data());
  for (size_t i = 0; i < n; ++i) {
    AddRelu(attention.first.bias, RowOf(scratch.user_hidden1, i, hidden1));
  }
  ApplyWeightInF32(attention.second, scratch.user_hidden1.data(), hidden1, n,
                   scratch.user_hidden2.data());
  for (size_t i = 0; i < n; ++i) {
    scratch.cluster_attention[i] = DotAddRelu(RowOf(scratch.user_hidden2, i, hidden2),
                                              attention.second.bias, attention.third.weight.values);
  }
  Softmax(std::span(scratch.cluster_attention).first(n));
}

// Xc = LeakyReLU(W_f (E X) + X), E_ij = softmax over {j: A_ij = 1} of f1_j. Of what the authors
// add to f1_j, only terms of i differ from f1, which the softmax over j takes out again.
void Fuse(const SurgeWeights& weights, SurgeAuthorsScratch& scratch) {
  const size_t l = weights.shape.max_history;
  const size_t d = weights.shape.d();
  const size_t n = scratch.length;
  std::vector<float>& edges = scratch.normalised;
  std::vector<float>& weight = scratch.of_position;
  for (size_t j = 0; j < n; ++j) {
    // f1_j lies in 0 to 1, so that its exponential needs no largest one taken off.
    weight[j] = std::exp(scratch.cluster_attention[j]);
  }
  for (size_t i = 0; i < n; ++i) {
    float sum = 0;
    for (size_t j = 0; j < n; ++j) {
      edges[i * l + j] = scratch.graph.adjacency[i * l + j] * weight[j];
      sum += edges[i * l + j];
    }
    for (size_t j = 0; j < n; ++j) edges[i * l + j] /= sum;
  }
  Multiply({edges.data(), l}, {scratch.history.data(), d}, {scratch.product.data(), d}, n, d, n);
  ApplyWeightInF32(weights.fusion, scratch.product.data(), d, n, scratch.fused.data());
  for (size_t at = 0; at < n * d; ++at) scratch.fused[at] += scratch.history[at];
  LeakyRelu(std::span(scratch.fused).first(n * d));
}

void PrepareTargetAttention(const SurgeAttention& attention, size_t d, SurgeAuthorsScratch& scratch,
                            SurgeFirstLayers& layers) {
  ApplyWeightInF32(attention.transform, scratch.fused.data(), d, scratch.length,
                   scratch.transformed.data());
  PrepareFirstLayers(attention.own, attention.query, attention.query_product,
                     scratch.transformed.data(), scratch.length, layers);
}

// --- The candidates' side, a block at a time.

// The attention's value of position i for `rows` targets: out(row, value).
template <typename Out>
void AttendToTargets(const SurgeAttention& attention, const SurgeFirstLayers& layers, size_t i,
                     const std::vector<float>& targets, size_t rows, SurgeScratch& scratch,
                     const Out& out) {
  const size_t in = attention.query.weight.in;
  const size_t hidden1 = attention.query.weight.out;
  const size_t hidden2 = attention.second.weight.out;
  const std::span<const float> own = std::span(layers.own).subspan(i * hidden1, hidden1);
  Multiply({targets.data(), in}, {layers.matrices.data() + i * in * hidden1, hidden1},
           {scratch.hidden1.data(), hidden1}, rows, hidden1, in);
  for (size_t row = 0; row < rows; ++row) AddRelu(own, RowOf(scratch.hidden1, row, hidden1));
  ApplyWeight(attention.second, scratch.hidden1.data(), hidden1, rows, scratch.hidden2.data(),
              scratch);
  for (size_t row = 0; row < rows; ++row) {
    out(row, DotAddRelu(RowOf(scratch.hidden2, row, hidden2), attention.second.bias,
                        attention.third.weight.values));
  }
}

// score = softmax(f1 + f2) over the history, both of them softmaxes themselves.
void ScorePositions(const SurgeWeights& weights, size_t n, SurgeAuthorsScratch& scratch) {
  const size_t l = weights.shape.max_history;
  for (size_t i = 0; i < scratch.length; ++i) {
    AttendToTargets(weights.f2, scratch.f2, i, scratch.targets, n, scratch,
                    [&](size_t row, float value) { scratch.score[row * l + i] = value; });
  }
  for (size_t row = 0; row < n; ++row) {
    const std::span<float> score = RowOf(scratch.score, row, l).first(scratch.length);
    Softmax(score);
    for (size_t i = 0; i < score.size(); ++i) score[i] += scratch.cluster_attention[i];
    Softmax(score);
  }
}

// What a score must exceed to be kept.
float Threshold(std::span<const float> score, size_t pool_length, std::span<float> ranked) {
  if (score.size() <= pool_length) return kKeptMargin;
  std::copy(score.begin(), score.end(), ranked.begin());
  const auto nth = ranked.begin() + static_cast<ptrdiff_t>(pool_length);
  std::nth_element(ranked.begin(), nth, ranked.begin() + static_cast<ptrdiff_t>(score.size()),
                   std::greater<>());
  return *nth + kKeptMargin;
}

void SelectPositions(const SurgeShape& shape, size_t n, SurgeAuthorsScratch& scratch) {
  const size_t l = shape.max_history;
  for (size_t row = 0; row < n; ++row) {
    const std::span<const float> score = RowOf(scratch.score, row, l).first(scratch.length);
    const float threshold = Threshold(score, shape.pool_length, scratch.ranked);
    uint32_t* kept = scratch.kept.data() + row * l;
    uint32_t count = 0;
    for (size_t i = 0; i < score.size(); ++i) {
      const bool is_kept = score[i] > threshold;
      scratch.kept_score[row * l + i] = is_kept ? score[i] : 0.0f;
      kept[count] = static_cast<uint32_t>(i);
      count += is_kept ? 1 : 0;
    }
    scratch.kept_count[row] = count;
  }
}

// Sorts the block by the number of kept positions, the most first: the AUGRU's step s then runs
// over the first longer[s] rows.
void OrderByLength(size_t n, SurgeAuthorsScratch& scratch) {
  std::vector<uint32_t>& longer = scratch.longer;
  std::fill(longer.begin(), longer.end(), 0u);
  for (size_t row = 0; row < n; ++row) {
    if (scratch.kept_count[row] > 0) ++longer[scratch.kept_count[row] - 1];
  }
  for (size_t s = longer.size() - 1; s-- > 0;) longer[s] += longer[s + 1];
  // Those of equal length take the places from longer[length] on.
  std::copy(longer.begin(), longer.end(), scratch.next_place.begin());
  for (size_t row = 0; row < n; ++row) {
    scratch.order[scratch.next_place[scratch.kept_count[row]]++] = static_cast<uint32_t>(row);
  }
}

// att = softmax over the kept positions, by place among them.
void AttendToKept(const SurgeWeights& weights, size_t n, SurgeAuthorsScratch& scratch) {
  const size_t l = weights.shape.max_history;
  const size_t d = weights.shape.d();
  std::fill_n(scratch.place.begin(), n, 0u);
  for (size_t i = 0; i < scratch.length; ++i) {
    size_t rows = 0;
    for (size_t row = 0; row < n; ++row) {
      if (!(scratch.kept_score[row * l + i] > 0)) continue;
      scratch.members[rows] = static_cast<uint32_t>(row);
      std::copy_n(scratch.targets.data() + row * d, d, scratch.member_targets.data() + rows++ * d);
    }
    AttendToTargets(weights.evolution, scratch.evolution, i, scratch.member_targets, rows, scratch,
                    [&](size_t at, float value) {
                      const uint32_t row = scratch.members[at];
                      scratch.kept_attention[row * l + scratch.place[row]++] = value;
                    });
  }
  for (size_t row = 0; row < n; ++row) {
    Softmax(RowOf(scratch.kept_attention, row, l).first(scratch.kept_count[row]));
  }
}

void Evolve(const SurgeWeights& weights, size_t n, SurgeAuthorsScratch& scratch) {
  const size_t l = weights.shape.max_history;
  const size_t h = weights.shape.state_width;
  std::fill_n(scratch.state.begin(), n * h, 0.0f);
  for (size_t step = 0; step < scratch.length && scratch.longer[step] > 0; ++step) {
    const size_t rows = scratch.longer[step];
    for (size_t row = 0; row < rows; ++row) {
      const size_t at = scratch.order[row] * l + step;
      scratch.step_input[row] = scratch.kept[at];
      scratch.step_attention[row] = scratch.kept_attention[at];
    }
    EvolveStep(weights.augru, scratch.inputs, rows, scratch);
  }
  for (size_t row = 0; row < n; ++row) {
    std::copy_n(scratch.state.data() + row * h, h,
                scratch.head_input.data() + scratch.order[row] * weights.shape.head_input());
  }
}

}  // namespace

SurgeAuthorsScratch::SurgeAuthorsScratch(const SurgeWeights& weights, size_t block)
    : SurgeScratch(weights, block),
      normalised(graph.adjacency.size()),
      of_position(weights.shape.max_history),
      query(history.size()),
      concat(4 * history.size()),
      user_hidden1(PaddedRows(weights.shape.max_history) * weights.f1.first.weight.out),
      user_hidden2(PaddedRows(weights.shape.max_history) * weights.f1.second.weight.out),
      cluster_attention(weights.shape.max_history),
      f2(weights.shape.max_history, weights.f2.query.weight.in, weights.f2.query.weight.out),
      evolution(weights.shape.max_history, weights.evolution.query.weight.in,
                weights.evolution.query.weight.out),
      inputs(PaddedRows(weights.shape.max_history) * weights.augru.input.weight.out),
      score(PaddedRows(block) * weights.shape.max_history),
      kept_score(score.size()),
      ranked(weights.shape.max_history),
      kept(block * weights.shape.max_history),
      kept_count(block),
      kept_attention(block * weights.shape.max_history),
      order(block),
      longer(weights.shape.max_history + 1),
      next_place(longer.size()),
      members(block),
      place(block),
      member_targets(targets.size()) {}

void PrepareAuthorsUser(const SurgeWeights& weights, SurgeAuthorsScratch& scratch) {
  const size_t l = weights.shape.max_history;
  const size_t d = weights.shape.d();
  BuildAuthorsGraph(weights, scratch.history, scratch.length, scratch.graph);
  NormaliseAdjacency(l, scratch);
  AttendToClusters(weights.f1, scratch.history, l, d, scratch);
  Fuse(weights, scratch);
  NormaliseAdjacency(l, scratch);
  AttendToClusters(weights.f1, scratch.fused, l, d, scratch);
  PrepareTargetAttention(weights.f2, d, scratch, scratch.f2);
  PrepareTargetAttention(weights.evolution, d, scratch, scratch.evolution);
  const DenseLayer& input = weights.augru.input;
  ApplyWeightInF32(input, scratch.fused.data(), d, scratch.length, scratch.inputs.data());
  for (size_t at = 0; at < scratch.length * input.weight.out; ++at) {
    scratch.inputs[at] += input.bias[at % input.weight.out];
  }
}

void ScoreAuthorsItems(const SurgeWeights& weights, size_t n, SurgeAuthorsScratch& scratch) {
  const SurgeShape& shape = weights.shape;
  ScorePositions(weights, n, scratch);
  SelectPositions(shape, n, scratch);
  // readout = sum_i score_i Xc_i over the kept positions.
  Multiply({scratch.kept_score.data(), shape.max_history}, {scratch.fused.data(), shape.d()},
           {scratch.head_input.data() + shape.state_width, shape.head_input()}, n, shape.d(),
           scratch.length);
  AttendToKept(weights, n, scratch);
  OrderByLength(n, scratch);
  Evolve(weights, n, scratch);
}

}  // namespace groundswell
