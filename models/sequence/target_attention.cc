#include "models/sequence/target_attention.h"

#include <fmt/format.h>

#include <algorithm>

#include "models/math/elementwise.h"
#include "models/math/kernels.h"
#include "models/sequence/limits.h"

namespace groundswell {
namespace {

void SplitAttention(const DenseLayer& first, size_t width, TargetAttention& attention) {
  attention.own = InputsOf(first, 0, width);
  attention.of_query = InputsOf(first, width, width);
  const DenseLayer difference = InputsOf(first, 2 * width, width);
  AddScaledLayer(difference, 1.0f, attention.own);
  AddScaledLayer(difference, -1.0f, attention.of_query);
  attention.of_product = InputsOf(first, 3 * width, width);
  attention.own.bias = first.bias;
}

void MakeQueries(const TargetAttention& attention, const float* targets, size_t n,
                 TargetAttentionScratch& scratch) {
  const DenseLayer& layer = attention.query;
  ApplyInF32(layer, {targets, layer.in()}, n, scratch.queries.data());
  for (size_t row = 0; row < n; ++row) {
    float* const q = scratch.queries.data() + row * layer.out();
    for (size_t k = 0; k < layer.out(); ++k) {
      q[k] = std::max(q[k], 0.0f) + attention.query_slope[k] * std::min(q[k], 0.0f);
    }
  }
}

}  // namespace

TargetAttention ReadTargetAttention(CheckpointReader& reader, const AttentionForm& form,
                                    size_t max_history) {
  TargetAttention attention;
  size_t width = form.query_width;
  if (form.query == AttentionQuery::kTransformed) {
    width = form.key_width;
    attention.query = ReadDense(reader, "target.query", width, form.query_width);
    const auto slope = reader.Read("target.query.alpha", {width});
    attention.query_slope.assign(slope.begin(), slope.end());
  }
  if (form.keys == AttentionKeys::kTransformed) {
    attention.keys =
        ReadDense(reader, "target.attention", width, form.key_width, /*has_bias=*/false);
  }
  attention.mlp = ReadMlp(reader, "target.mlp", 4 * width, form.activation);
  if (!reader.ok()) return attention;
  SplitAttention(attention.mlp.first, width, attention);
  DropValues(attention.mlp.first);
  if (PaddedRows(max_history) * width * attention.hidden() > kSequenceUserFloatsMax) {
    reader.Refuse(fmt::format(
        "max_history {}, width {} and a first layer of {} in the attention are more than one "
        "thread has memory for; lower max_history",
        max_history, width, attention.hidden()));
  }
  return attention;
}

absl::Status PackTargetAttention(Precision precision, TargetAttention& attention) {
  return PackLayer(precision, attention.mlp.second);
}

TargetAttentionScratch::TargetAttentionScratch(const TargetAttention& of, size_t max_history,
                                               size_t block_size)
    : keys(PaddedRows(max_history) * of.width()),
      own(PaddedRows(max_history) * of.hidden()),
      matrices(max_history * of.width() * of.hidden()),
      queries(of.query.empty() ? 0 : PaddedRows(block_size) * of.width()),
      mlp(of.mlp, block_size),
      attention(PaddedRows(block_size) * max_history) {}

void PrepareAttention(const TargetAttention& attention, const float* keys, size_t length,
                      TargetAttentionScratch& scratch) {
  const size_t width = attention.width();
  const size_t hidden = attention.hidden();
  if (attention.keys.empty()) {
    std::copy_n(keys, length * width, scratch.keys.begin());
  } else {
    MultiplyInF32(attention.keys, {keys, attention.keys.in()}, length, scratch.keys.data());
  }
  ApplyInF32(attention.own, {scratch.keys.data(), width}, length, scratch.own.data());
  const std::span<const float> base = attention.of_query.weight.values;
  const std::span<const float> product = attention.of_product.weight.values;
  for (size_t i = 0; i < length; ++i) {
    const std::span<float> matrix =
        std::span(scratch.matrices).subspan(i * width * hidden, width * hidden);
    std::copy(base.begin(), base.end(), matrix.begin());
    for (size_t k = 0; k < width; ++k) {
      AddScaled(product.subspan(k * hidden, hidden), scratch.keys[i * width + k],
                matrix.subspan(k * hidden, hidden));
    }
  }
}

void Attend(const TargetAttention& attention, const float* targets, size_t n, size_t length,
            TargetAttentionScratch& scratch, Bf16Scratch& products) {
  const size_t width = attention.width();
  const size_t hidden = attention.hidden();
  const bool transforms = !attention.query.empty();
  if (transforms) MakeQueries(attention, targets, n, scratch);
  const float* const queries = transforms ? scratch.queries.data() : targets;
  for (size_t i = 0; i < length; ++i) {
    Multiply({queries, width}, {scratch.matrices.data() + i * width * hidden, hidden},
             {scratch.mlp.hidden1.data(), hidden}, n, hidden, width);
    FinishMlp(attention.mlp, std::span(scratch.own).subspan(i * hidden, hidden), n, scratch.mlp,
              products, {scratch.attention.data() + i, length});
  }
  SoftmaxOfRows(std::span(scratch.attention).first(n * length), length);
}

void SumByAttention(const TargetAttentionScratch& scratch, const float* values, size_t width,
                    size_t n, size_t length, MutableMatrix out) {
  Multiply({scratch.attention.data(), length}, {values, width}, out, n, width, length);
}

}  // namespace groundswell
