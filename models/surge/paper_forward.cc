// The variant of the equations as printed.
#include <algorithm>
#include <cmath>
#include <limits>

#include "models/math/elementwise.h"
#include "models/math/kernels.h"
#include "models/surge/forward.h"

namespace groundswell {
namespace {

// Below this a sum of weights may have lost neighbours to underflow and is made anew.
constexpr float kLeastWeightSum = 1e-30f;

std::span<float> RowOf(std::vector<float>& matrix, size_t row, size_t width) {
  return std::span(matrix).subspan(row * width, width);
}

// beta_j = MLP([W_q h_j, t, W_q h_j * t]) for all positions, gamma = softmax(beta). The last bias
// is left out: both softmaxes over j take it out again.
void FillBeta(const SurgeQuery& query, size_t n, SurgePaperScratch& scratch) {
  const size_t length = scratch.length;
  const size_t hidden = query.own.weight.out;
  const size_t d = query.query.weight.in;
  for (size_t j = 0; j < length; ++j) {
    Multiply({scratch.targets.data(), d}, {scratch.query.matrices.data() + j * d * hidden, hidden},
             {scratch.hidden1.data(), hidden}, n, hidden, d);
    const auto own = RowOf(scratch.query.own, j, hidden);
    for (size_t row = 0; row < n; ++row) {
      scratch.beta[row * length + j] =
          DotAddLeakyRelu(RowOf(scratch.hidden1, row, hidden), own, query.second.weight.values);
    }
  }
  std::copy_n(scratch.beta.begin(), n * length, scratch.gamma.begin());
  for (size_t row = 0; row < n; ++row) Softmax(RowOf(scratch.gamma, row, length));
}

// sum_j E_ij W_f h_j of one position, E from the neighbours' own largest beta.
void FuseApart(std::span<const float> beta, size_t i, size_t l, size_t d,
               const SurgePaperScratch& scratch, std::span<float> out) {
  const float* adjacent = scratch.graph.adjacency.data() + i * l;
  float largest = -std::numeric_limits<float>::infinity();
  for (size_t j = 0; j < beta.size(); ++j) {
    if (adjacent[j] > 0) largest = std::max(largest, beta[j]);
  }
  std::fill(out.begin(), out.end(), 0.0f);
  float sum = 0;
  for (size_t j = 0; j < beta.size(); ++j) {
    if (adjacent[j] == 0) continue;
    const float weight = std::exp(beta[j] - largest);
    sum += weight;
    const float* values = scratch.product.data() + j * d;
    for (size_t k = 0; k < d; ++k) out[k] += weight * values[k];
  }
  if (sum == 0) return;  // no neighbour, see BuildPaperGraph
  for (float& value : out) value /= sum;
}

// h'_i = LeakyReLU(W_f sum_j E_ij h_j + h_i), E_ij = softmax over {j: A_ij = 1} of beta_j: alpha_i
// is the same for every j, so that the softmax takes it out.
void FuseItems(const SurgeShape& shape, size_t n, SurgePaperScratch& scratch) {
  const size_t length = scratch.length;
  const size_t l = shape.max_history;
  const size_t d = shape.d();
  const size_t width = length * d;
  Multiply({scratch.gamma.data(), length}, {scratch.neighbours.data(), width},
           {scratch.fused_items.data(), width}, n, width, length);
  Multiply({scratch.gamma.data(), length}, {scratch.graph.adjacency.data(), l},
           {scratch.weight_sum.data(), length}, n, length, length);
  for (size_t row = 0; row < n; ++row) {
    for (size_t i = 0; i < length; ++i) {
      const std::span<float> fused = RowOf(scratch.fused_items, row * length + i, d);
      const float sum = scratch.weight_sum[row * length + i];
      float scale = 1.0f / sum;
      if (!(sum >= kLeastWeightSum)) {
        FuseApart(RowOf(scratch.beta, row, length), i, l, d, scratch, fused);
        scale = 1.0f;
      }
      ScaleAddLeakyRelu(scale, RowOf(scratch.history, i, d), fused);
    }
  }
}

// S_i = softmax(W_p sum_j A_ij h'_j), transposed: W_p comes first, since m is less than d. A is
// symmetric.
void AssignToClusters(const SurgeWeights& weights, size_t n, SurgePaperScratch& scratch) {
  const size_t length = scratch.length;
  const size_t l = weights.shape.max_history;
  const size_t m = weights.shape.clusters;
  ApplyWeight(weights.pool, scratch.fused_items.data(), weights.pool.weight.in, n * length,
              scratch.projected.data(), scratch);
  for (size_t row = 0; row < n; ++row) {
    const float* projected = scratch.projected.data() + row * length * m;
    float* by_cluster = scratch.by_cluster.data() + row * (m + 1) * length;
    for (size_t i = 0; i < length; ++i) {
      for (size_t c = 0; c < m; ++c) by_cluster[c * length + i] = projected[i * m + c];
    }
  }
  Multiply({scratch.by_cluster.data(), length}, {scratch.graph.adjacency.data(), l},
           {scratch.assignment.data(), length}, n * (m + 1), length, length);
  for (size_t row = 0; row < n; ++row) {
    const std::span<float> assignment = RowOf(scratch.assignment, row, (m + 1) * length);
    SoftmaxOfColumns(assignment.first(m * length), length);
    const std::span<const float> gamma = RowOf(scratch.gamma, row, length);
    std::copy(gamma.begin(), gamma.end(), assignment.begin() + m * length);
    for (size_t c = 0; c < m; ++c) {
      scratch.cluster_score[row * m + c] = Dot(assignment.subspan(c * length, length), gamma);
    }
  }
}

// h* = S' h' and readout = sum_i gamma_i h'_i, one product per candidate. The readout comes out
// where the next candidate's first cluster belongs, which is written after it.
void Pool(const SurgeShape& shape, size_t n, SurgePaperScratch& scratch) {
  const size_t length = scratch.length;
  const size_t d = shape.d();
  const size_t m = shape.clusters;
  for (size_t row = 0; row < n; ++row) {
    float* clusters = scratch.clusters.data() + row * m * d;
    MultiplyWhole({scratch.assignment.data() + row * (m + 1) * length, length},
                  {scratch.fused_items.data() + row * length * d, d}, {clusters, d}, m + 1, d,
                  length);
    std::copy_n(clusters + m * d, d,
                scratch.head_input.data() + row * shape.head_input() + shape.state_width);
  }
}

void Evolve(const SurgeWeights& weights, size_t n, SurgePaperScratch& scratch) {
  const size_t m = weights.shape.clusters;
  const size_t h = weights.shape.state_width;
  const DenseLayer& input = weights.augru.input;
  const size_t rows = n * m;
  ApplyWeight(input, scratch.clusters.data(), input.weight.in, rows, scratch.inputs.data(),
              scratch);
  for (size_t row = 0; row < rows; ++row) {
    AddScaled(input.bias, 1.0f, RowOf(scratch.inputs, row, input.weight.out));
  }
  std::fill_n(scratch.state.begin(), n * h, 0.0f);
  for (size_t step = 0; step < m; ++step) {
    for (size_t row = 0; row < n; ++row) {
      scratch.step_input[row] = static_cast<uint32_t>(row * m + step);
      scratch.step_attention[row] = scratch.cluster_score[row * m + step];
    }
    EvolveStep(weights.augru, scratch.inputs, n, scratch);
  }
  for (size_t row = 0; row < n; ++row) {
    std::copy_n(scratch.state.data() + row * h, h,
                scratch.head_input.data() + row * weights.shape.head_input());
  }
}

}  // namespace

SurgePaperScratch::SurgePaperScratch(const SurgeWeights& weights, size_t block)
    : SurgeScratch(weights, block),
      query(weights.shape.max_history, weights.query.query.weight.in,
            weights.query.query.weight.out),
      neighbours(weights.shape.max_history * weights.shape.max_history * weights.shape.d()),
      beta(PaddedRows(block) * weights.shape.max_history),
      gamma(beta.size()),
      weight_sum(beta.size()),
      fused_items(beta.size() * weights.shape.d()),
      projected(beta.size() * weights.shape.clusters),
      by_cluster(PaddedRows(block) * (weights.shape.clusters + 1) * weights.shape.max_history),
      assignment(by_cluster.size()),
      clusters((PaddedRows(block) * weights.shape.clusters + 1) * weights.shape.d()),
      cluster_score(block * weights.shape.clusters),
      inputs(PaddedRows(block) * weights.shape.clusters * weights.augru.input.weight.out) {}

void PreparePaperUser(const SurgeWeights& weights, SurgePaperScratch& scratch) {
  const size_t l = weights.shape.max_history;
  const size_t d = weights.shape.d();
  const size_t n = scratch.length;
  BuildPaperGraph(weights, scratch.history, n, scratch.graph);
  ApplyWeightInF32(weights.query.transform, scratch.history.data(), d, n,
                   scratch.transformed.data());
  PrepareFirstLayers(weights.query.own, weights.query.query, weights.query.query_product,
                     scratch.transformed.data(), n, scratch.query);
  ApplyWeightInF32(weights.fusion, scratch.history.data(), d, n, scratch.product.data());
  for (size_t j = 0; j < n; ++j) {
    for (size_t i = 0; i < n; ++i) {
      const float adjacent = scratch.graph.adjacency[i * l + j];
      for (size_t k = 0; k < d; ++k) {
        scratch.neighbours[(j * n + i) * d + k] = adjacent * scratch.product[j * d + k];
      }
    }
  }
}

void ScorePaperItems(const SurgeWeights& weights, size_t n, SurgePaperScratch& scratch) {
  FillBeta(weights.query, n, scratch);
  FuseItems(weights.shape, n, scratch);
  AssignToClusters(weights, n, scratch);
  Pool(weights.shape, n, scratch);
  Evolve(weights, n, scratch);
}

}  // namespace groundswell
