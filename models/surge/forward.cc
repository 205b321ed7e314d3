#include "models/surge/forward.h"

#include <algorithm>
#include <memory>

#include "models/math/elementwise.h"
#include "models/math/kernels.h"
#include "models/math/transcendental.h"

namespace groundswell {
namespace {

size_t LargestHidden(const SurgeWeights& weights) {
  return std::max({weights.f2.first.weight.out, weights.f2.second.weight.out,
                   weights.evolution.first.weight.out, weights.evolution.second.weight.out,
                   weights.query.own.weight.out, weights.head0.weight.out,
                   weights.head2.weight.out});
}

// The history, oldest first, and the padding item's row behind it.
void FillHistory(const SurgeWeights& weights, std::span<const uint32_t> newest_first,
                 SurgeScratch& scratch) {
  const size_t d = weights.shape.d();
  scratch.length = std::min(newest_first.size(), weights.shape.max_history);
  for (size_t position = 0; position < weights.shape.max_history; ++position) {
    const uint32_t item =
        position < scratch.length ? newest_first[scratch.length - 1 - position] : 0;
    weights.Embed(item, std::span(scratch.history).subspan(position * d, d));
  }
}

// [state | readout | t | readout * t]: the last two parts.
void FinishHeadInput(const SurgeShape& shape, size_t n, SurgeScratch& scratch) {
  const size_t d = shape.d();
  for (size_t row = 0; row < n; ++row) {
    const float* target = scratch.targets.data() + row * d;
    float* readout = scratch.head_input.data() + row * shape.head_input() + shape.state_width;
    for (size_t k = 0; k < d; ++k) {
      readout[d + k] = target[k];
      readout[2 * d + k] = readout[k] * target[k];
    }
  }
}

void AddReluToRows(const DenseLayer& dense, size_t rows, std::vector<float>& x) {
  for (size_t row = 0; row < rows; ++row) {
    AddRelu(dense.bias, std::span(x).subspan(row * dense.weight.out, dense.weight.out));
  }
}

void ScoreHead(const SurgeWeights& weights, size_t n, SurgeScratch& scratch,
               std::span<float> logits) {
  ApplyWeight(weights.head0, scratch.head_input.data(), weights.head0.weight.in, n,
              scratch.hidden1.data(), scratch);
  AddReluToRows(weights.head0, n, scratch.hidden1);
  ApplyWeight(weights.head2, scratch.hidden1.data(), weights.head2.weight.in, n,
              scratch.hidden2.data(), scratch);
  for (size_t row = 0; row < n; ++row) {
    const std::span<const float> x =
        std::span(scratch.hidden2).subspan(row * weights.head2.weight.out);
    logits[row] =
        weights.head4.bias[0] + DotAddRelu(x.first(weights.head2.weight.out), weights.head2.bias,
                                           weights.head4.weight.values);
  }
}

}  // namespace

SurgeFirstLayers::SurgeFirstLayers(size_t positions, size_t in, size_t out)
    : own(PaddedRows(positions) * out), matrices(positions * in * out) {}

SurgeScratch::SurgeScratch(const SurgeWeights& weights, size_t block)
    : block_size(block),
      graph(weights.shape),
      history(PaddedRows(weights.shape.max_history) * weights.shape.d()),
      transformed(history.size()),
      product(history.size()),
      fused(history.size()),
      targets(PaddedRows(block) * weights.shape.d()),
      hidden1(PaddedRows(block) * LargestHidden(weights)),
      hidden2(hidden1.size()),
      state(PaddedRows(block) * weights.shape.state_width),
      reset(state.size()),
      gates(2 * state.size()),
      candidate(state.size()),
      step_input(block),
      step_attention(block),
      head_input(PaddedRows(block) * weights.shape.head_input()) {}

std::unique_ptr<SurgeScratch> NewSurgeScratch(const SurgeWeights& weights, size_t block_size) {
  if (weights.variant == SurgeVariant::kAuthors) {
    return std::make_unique<SurgeAuthorsScratch>(weights, block_size);
  }
  return std::make_unique<SurgePaperScratch>(weights, block_size);
}

void ApplyWeight(const DenseLayer& dense, const float* x, size_t stride, size_t rows, float* out,
                 SurgeScratch& scratch) {
  MultiplyByWeight({x, stride}, dense.weight, rows, out, scratch.products);
}

void ApplyWeightInF32(const DenseLayer& dense, const float* x, size_t stride, size_t rows,
                      float* out) {
  const Weight& weight = dense.weight;
  Multiply({x, stride}, {weight.values.data(), weight.out}, {out, weight.out}, rows, weight.out,
           weight.in);
}

void PrepareFirstLayers(const DenseLayer& own, const DenseLayer& query,
                        const DenseLayer& query_product, const float* a, size_t rows,
                        SurgeFirstLayers& layers) {
  const size_t in = query.weight.in;
  const size_t out = query.weight.out;
  ApplyWeightInF32(own, a, in, rows, layers.own.data());
  for (size_t i = 0; i < rows; ++i) {
    for (size_t o = 0; o < out; ++o) layers.own[i * out + o] += own.bias[o];
    float* matrix = layers.matrices.data() + i * in * out;
    for (size_t k = 0; k < in; ++k) {
      const float* base = query.weight.values.data() + k * out;
      const float* scaled = query_product.weight.values.data() + k * out;
      const float scale = a[i * in + k];
      for (size_t o = 0; o < out; ++o) matrix[k * out + o] = base[o] + scale * scaled[o];
    }
  }
}

void EvolveStep(const Gru& augru, std::span<const float> inputs, size_t rows,
                SurgeScratch& scratch) {
  const size_t h = augru.candidate_state.weight.out;
  ApplyWeight(augru.gates_state, scratch.state.data(), h, rows, scratch.gates.data(), scratch);
  for (size_t row = 0; row < rows; ++row) {
    const auto input = inputs.subspan(size_t{scratch.step_input[row]} * 3 * h, 2 * h);
    const std::span<float> gates = std::span(scratch.gates).subspan(row * 2 * h, 2 * h);
    AddSigmoid(input, gates);
    const float* state = scratch.state.data() + row * h;
    float* reset = scratch.reset.data() + row * h;
    for (size_t k = 0; k < h; ++k) reset[k] = gates[k] * state[k];
  }
  ApplyWeight(augru.candidate_state, scratch.reset.data(), h, rows, scratch.candidate.data(),
              scratch);
  for (size_t row = 0; row < rows; ++row) {
    const auto input = inputs.subspan(size_t{scratch.step_input[row]} * 3 * h + 2 * h, h);
    const std::span<float> candidate = std::span(scratch.candidate).subspan(row * h, h);
    AddTanh(input, candidate);
    const float* update = scratch.gates.data() + row * 2 * h + h;
    const float keep = 1.0f - scratch.step_attention[row];
    float* state = scratch.state.data() + row * h;
    for (size_t k = 0; k < h; ++k) {
      state[k] = candidate[k] + keep * update[k] * (state[k] - candidate[k]);
    }
  }
}

absl::Status SurgePrepareUser(const SurgeWeights& weights, const UserFeatures& user,
                              SurgeScratch& scratch) {
  if (user.recent_items.empty()) {
    return absl::FailedPreconditionError(
        "the user's history is empty, so there is no interest graph to rank by");
  }
  FillHistory(weights, user.recent_items, scratch);
  if (weights.variant == SurgeVariant::kAuthors) {
    PrepareAuthorsUser(weights, static_cast<SurgeAuthorsScratch&>(scratch));
  } else {
    PreparePaperUser(weights, static_cast<SurgePaperScratch&>(scratch));
  }
  return absl::OkStatus();
}

void SurgeScoreItems(const SurgeWeights& weights, const ItemFeatures& items, SurgeScratch& scratch,
                     std::span<float> logits) {
  const size_t n = items.rows.size();
  const size_t d = weights.shape.d();
  for (size_t row = 0; row < n; ++row) {
    weights.Embed(items.rows[row], std::span(scratch.targets).subspan(row * d, d));
  }
  if (weights.variant == SurgeVariant::kAuthors) {
    ScoreAuthorsItems(weights, n, static_cast<SurgeAuthorsScratch&>(scratch));
  } else {
    ScorePaperItems(weights, n, static_cast<SurgePaperScratch&>(scratch));
  }
  FinishHeadInput(weights.shape, n, scratch);
  ScoreHead(weights, n, scratch, logits);
}

}  // namespace groundswell
