#include "models/encoders/transformer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "models/math/elementwise.h"
#include "models/math/kernels.h"
#include "models/math/vector_length.h"
#include "models/sequence/limits.h"

namespace groundswell {
namespace {

constexpr double kLayerNormEpsilon = 1e-5;

TransformerLayer ReadTransformerLayer(CheckpointReader& reader, const std::string& name,
                                      size_t width, const TransformerOptions& options) {
  TransformerLayer layer{.options = options};
  const auto weight = reader.Read(name + ".self_attn.in_proj_weight", {3 * width, width});
  const auto bias = reader.Read(name + ".self_attn.in_proj_bias", {3 * width});
  if (!reader.ok()) return layer;
  layer.query = Transposed(weight.first(width * width), width, width);
  layer.query.bias.assign(bias.begin(), bias.begin() + static_cast<ptrdiff_t>(width));
  layer.key_value = Transposed(weight.subspan(width * width), 2 * width, width);
  layer.key_value.bias.assign(bias.begin() + static_cast<ptrdiff_t>(width), bias.end());
  layer.output = ReadDense(reader, name + ".self_attn.out_proj", width, width);
  const size_t hidden =
      reader.MatrixShape(name + ".linear1.weight", kSequenceLayerMax, kSequenceLayerMax)[0];
  layer.linear1 = ReadDense(reader, name + ".linear1", hidden, width);
  layer.linear2 = ReadDense(reader, name + ".linear2", width, hidden);
  layer.norm1 = ReadLayerNorm(reader, name + ".norm1", width);
  layer.norm2 = ReadLayerNorm(reader, name + ".norm2", width);
  return layer;
}

// attended of the first `outputs` tokens, from their queries and the keys and values of all.
void AttendTokens(const TransformerLayer& layer, size_t tokens, size_t outputs,
                  TransformerScratch& scratch) {
  const size_t width = layer.query.out();
  const size_t of_head = width / layer.options.heads;
  const float scale = 1 / std::sqrt(static_cast<float>(of_head));
  for (size_t t = 0; t < outputs; ++t) {
    const size_t first = layer.options.is_causal ? t : 0;
    const std::span<float> scores = std::span(scratch.scores).first(tokens - first);
    for (size_t begin = 0; begin < width; begin += of_head) {
      const auto query = std::span(scratch.query).subspan(t * width + begin, of_head);
      for (size_t j = first; j < tokens; ++j) {
        const auto key = std::span(scratch.key_value).subspan(j * 2 * width + begin, of_head);
        scores[j - first] = scale * Dot(query, key);
      }
      Softmax(scores);
      const auto attended = std::span(scratch.attended).subspan(t * width + begin, of_head);
      std::fill(attended.begin(), attended.end(), 0.0f);
      for (size_t j = first; j < tokens; ++j) {
        AddScaled(std::span(scratch.key_value).subspan((2 * j + 1) * width + begin, of_head),
                  scores[j - first], attended);
      }
    }
  }
}

// x = x + product, of the first `rows` tokens; behind it the norm where norms follow.
void AddResidual(const LayerNorm* norm, size_t width, size_t rows, const float* product, float* x) {
  for (size_t t = 0; t < rows; ++t) {
    const std::span<float> row(x + t * width, width);
    AddScaled({product + t * width, width}, 1, row);
    if (norm != nullptr) ApplyLayerNorm(*norm, row, row);
  }
}

// What a product reads of x: x itself, or normed in scratch where norms come first.
const float* InputOfPart(const LayerNorm& norm, bool is_pre_norm, size_t rows, const float* x,
                         TransformerScratch& scratch) {
  if (!is_pre_norm) return x;
  const size_t width = norm.weight.size();
  for (size_t t = 0; t < rows; ++t) {
    ApplyLayerNorm(norm, {x + t * width, width},
                   std::span(scratch.normed).subspan(t * width, width));
  }
  return scratch.normed.data();
}

void ApplyTransformerLayer(const TransformerLayer& layer, size_t tokens, size_t outputs, float* x,
                           TransformerScratch& scratch) {
  const size_t width = layer.query.out();
  const bool is_pre = layer.options.is_pre_norm;
  const float* const read = InputOfPart(layer.norm1, is_pre, tokens, x, scratch);
  ApplyToRows(layer.key_value, read, tokens, scratch.key_value.data());
  ApplyToRows(layer.query, read, outputs, scratch.query.data());
  AttendTokens(layer, tokens, outputs, scratch);
  ApplyToRows(layer.output, scratch.attended.data(), outputs, scratch.product.data());
  AddResidual(is_pre ? nullptr : &layer.norm1, width, outputs, scratch.product.data(), x);

  const float* const read_by_mlp = InputOfPart(layer.norm2, is_pre, outputs, x, scratch);
  ApplyToRows(layer.linear1, read_by_mlp, outputs, scratch.hidden.data());
  const auto hidden = std::span(scratch.hidden).first(outputs * layer.linear1.out());
  if (layer.options.is_relu) {
    for (float& number : hidden) number = std::max(number, 0.0f);
  } else {
    ApplyGelu(hidden);
  }
  ApplyToRows(layer.linear2, scratch.hidden.data(), outputs, scratch.product.data());
  AddResidual(is_pre ? nullptr : &layer.norm2, width, outputs, scratch.product.data(), x);
}

}  // namespace

LayerNorm ReadLayerNorm(CheckpointReader& reader, const std::string& name, size_t width) {
  const auto weight = reader.Read(name + ".weight", {width});
  const auto bias = reader.Read(name + ".bias", {width});
  return {.weight = {weight.begin(), weight.end()}, .bias = {bias.begin(), bias.end()}};
}

void ApplyLayerNorm(const LayerNorm& norm, std::span<const float> x, std::span<float> out) {
  const auto count = static_cast<double>(x.size());
  double mean = 0, variance = 0;
  for (const float number : x) mean += double{number};
  mean /= count;
  for (const float number : x) variance += (double{number} - mean) * (double{number} - mean);
  const double scale = 1 / std::sqrt(variance / count + kLayerNormEpsilon);
  for (size_t k = 0; k < x.size(); ++k) {
    out[k] = static_cast<float>((double{x[k]} - mean) * scale * double{norm.weight[k]} +
                                double{norm.bias[k]});
  }
}

void ApplyGelu(std::span<float> x) {
  constexpr float kInverseRootOfTwo = 0.70710678f;
  for (float& number : x) number *= 0.5f * (1 + std::erf(number * kInverseRootOfTwo));
}

void NormalizeLength(std::span<float> x) {
  const double length = std::max(VectorLength(x), 1e-12);
  for (float& number : x) number = static_cast<float>(number / length);
}

void ApplyToRows(const DenseLayer& layer, const float* x, size_t rows, float* out) {
  if (rows > 1) return ApplyInF32(layer, {x, layer.in()}, rows, out);
  const std::span<float> row(out, layer.out());
  RowTimes({x, layer.in()}, layer.weight.values, row);
  AddScaled(layer.bias, 1, row);
}

std::vector<TransformerLayer> ReadTransformer(CheckpointReader& reader, const std::string& name,
                                              size_t width, const TransformerOptions& options) {
  std::vector<TransformerLayer> layers;
  if (width % options.heads != 0) {
    reader.Refuse(
        fmt::format("tokens of {} numbers do not divide into {} heads; change the option "
                    "\"heads\" to what the model was trained with",
                    width, options.heads));
    return layers;
  }
  // Either of its tensors says that there is another layer, so that the other one is missed.
  const auto has = [&](size_t layer) {
    const std::string next = fmt::format("{}layers.{}.", name, layer);
    return reader.Has(next + "self_attn.in_proj_weight") || reader.Has(next + "linear1.weight");
  };
  do {
    const std::string layer = fmt::format("{}layers.{}", name, layers.size());
    layers.push_back(ReadTransformerLayer(reader, layer, width, options));
  } while (layers.size() < kTransformerLayersMax && has(layers.size()));
  return layers;
}

TransformerScratch::TransformerScratch(const std::vector<TransformerLayer>& layers, size_t tokens) {
  const size_t rows = PaddedRows(tokens);
  const size_t width = layers[0].query.out();
  size_t widest = 0;
  for (const TransformerLayer& layer : layers) widest = std::max(widest, layer.linear1.out());
  for (std::vector<float>* matrix : {&normed, &query, &attended, &product}) {
    matrix->resize(rows * width);
  }
  key_value.resize(rows * 2 * width);
  hidden.resize(rows * widest);
  scores.resize(tokens);
}

void ApplyTransformer(const std::vector<TransformerLayer>& layers, size_t tokens, float* x,
                      TransformerScratch& scratch) {
  for (size_t l = 0; l < layers.size(); ++l) {
    ApplyTransformerLayer(layers[l], tokens, l + 1 == layers.size() ? 1 : tokens, x, scratch);
  }
}

}  // namespace groundswell
