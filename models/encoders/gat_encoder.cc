#include "models/encoders/gat_encoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "models/encoders/layered_encoder.h"
#include "models/math/elementwise.h"
#include "models/sequence/limits.h"

namespace groundswell {
namespace {

constexpr size_t kGatHeadsMax = 64;
constexpr double kGatSlope = 0.2;

struct GatLayer {
  DenseLayer lin;
  size_t heads = 0;
  size_t width = 0;                         // D: of a head
  std::span<const float> att_src, att_dst;  // H x D
  std::vector<float> att_bias;              // H
  std::span<const float> bias;
};

// Immutable. Spans point into the file's bytes, which `file` keeps alive.
struct GatWeights {
  SafetensorsFile file;
  std::vector<GatLayer> layers;
};

// scores = softmax(scores); the largest may be of any size.
void SoftmaxOfScores(std::vector<double>& scores) {
  const double largest = *std::max_element(scores.begin(), scores.end());
  double sum = 0;
  for (double& score : scores) sum += score = std::exp(score - largest);
  for (double& score : scores) score /= sum;
}

// out (nodes x heads) = what a node brings to the logits of each head.
void MakeLogits(const GatLayer& layer, std::span<const float> attention, const float* z,
                size_t nodes, float* out) {
  for (size_t v = 0; v < nodes; ++v) {
    for (size_t head = 0; head < layer.heads; ++head) {
      const float* const of_head = z + (v * layer.heads + head) * layer.width;
      double sum = 0;
      for (size_t k = 0; k < layer.width; ++k) {
        sum += double{of_head[k]} * double{attention[head * layer.width + k]};
      }
      out[v * layer.heads + head] = static_cast<float>(sum);
    }
  }
}

class GatEncoder final : public LayeredEncoder {
 public:
  GatEncoder(const Manifest::Encoder& encoder, size_t dim, bool is_normalized, GatWeights weights)
      : LayeredEncoder(encoder, dim, is_normalized), weights_(std::move(weights)) {}

  EncoderShape shape() const override {
    return {.dim = dim(),
            .features = weights_.layers[0].lin.in(),
            .relations = {},
            .layers = weights_.layers.size()};
  }

 private:
  bool IsLast(size_t layer) const { return layer + 1 == weights_.layers.size(); }
  size_t WidthOfLayer(size_t layer) const override {
    return IsLast(layer) ? weights_.layers[layer].width : weights_.layers[layer].lin.out();
  }

  void ApplyLayer(size_t k, const EncoderBlock& block, const LayerRows& below,
                  LayeredScratch& scratch, float* made) const override {
    const GatLayer& layer = weights_.layers[k];
    const size_t nodes = below.size(), width = WidthOfLayer(k);
    float* const z = LayeredScratch::Reserve(scratch.prepared, PaddedRows(nodes) * layer.lin.out());
    ApplyToGathered(
        layer.lin, nodes,
        [&](size_t v, std::span<float> x) {
          const std::span<const float> row = below[v];
          std::copy(row.begin(), row.end(), x.begin());
        },
        scratch, z);
    float* const src = LayeredScratch::Reserve(scratch.neighbor, nodes * layer.heads);
    MakeLogits(layer, layer.att_src, z, nodes, src);
    float* const dst = LayeredScratch::Reserve(scratch.self, nodes * layer.heads);
    MakeLogits(layer, layer.att_dst, z, nodes, dst);
    for (size_t v = 0; v < block.self.size(); ++v) {
      const std::span<float> h(made + v * width, width);
      Attend(layer, block, v, {.z = z, .src = src, .dst = dst}, IsLast(k), scratch, h);
      AddScaled(layer.bias, 1, h);
      if (IsLast(k)) continue;
      for (float& number : h) number = number > 0 ? number : std::expm1(number);
    }
  }

  struct Prepared {
    const float* z;
    const float* src;
    const float* dst;
  };
  // h = y_v of all heads side by side, or their mean.
  static void Attend(const GatLayer& layer, const EncoderBlock& block, size_t v,
                     const Prepared& below, bool is_mean, LayeredScratch& scratch,
                     std::span<float> h) {
    std::vector<uint32_t>& nodes = scratch.order;
    nodes.assign(1, block.self[v]);
    for (uint64_t at = block.begin[v]; at < block.begin[v + 1]; ++at) {
      if (block.neighbor[at] != block.self[v]) nodes.push_back(block.neighbor[at]);
    }
    std::fill(h.begin(), h.end(), 0.0f);
    const double share = is_mean ? 1 / static_cast<double>(layer.heads) : 1;
    for (size_t head = 0; head < layer.heads; ++head) {
      scratch.scores.clear();
      for (const uint32_t node : nodes) {
        const double logit = double{below.dst[block.self[v] * layer.heads + head]} +
                             double{below.src[node * layer.heads + head]} +
                             double{layer.att_bias[head]};
        scratch.scores.push_back(logit > 0 ? logit : kGatSlope * logit);
      }
      SoftmaxOfScores(scratch.scores);
      const std::span<float> out = is_mean ? h : h.subspan(head * layer.width, layer.width);
      for (size_t i = 0; i < nodes.size(); ++i) {
        AddScaled({below.z + (nodes[i] * layer.heads + head) * layer.width, layer.width},
                  static_cast<float>(share * scratch.scores[i]), out);
      }
    }
  }

  const GatWeights weights_;
};

// Heads and their width, by att_src.
void ReadGatHeads(CheckpointReader& reader, const SafetensorsFile& file, const std::string& name,
                  GatLayer& layer) {
  const auto at = file.tensors().find(name + ".att_src");
  const std::vector<size_t> shape =
      at == file.tensors().end() ? std::vector<size_t>() : at->second.shape;
  if (shape.size() != 3 || shape[0] != 1 || shape[1] < 1 || shape[1] > kGatHeadsMax ||
      shape[2] < 1 || shape[1] * shape[2] > kSequenceLayerMax) {
    reader.Refuse(fmt::format(
        "tensor \"{}.att_src\" is missing, or of another shape than (1, heads, width) with at most "
        "{} heads and {} numbers of all; export the whole state of the model",
        name, kGatHeadsMax, kSequenceLayerMax));
    return;
  }
  layer.heads = shape[1];
  layer.width = shape[2];
}

// Of so many inputs; 0: its weight says how many.
GatLayer ReadGatLayer(CheckpointReader& reader, const SafetensorsFile& file,
                      const std::string& name, size_t in, bool is_last, size_t dim) {
  GatLayer layer{.lin = {}, .att_src = {}, .att_dst = {}, .att_bias = {}, .bias = {}};
  ReadGatHeads(reader, file, name, layer);
  if (!reader.ok()) return layer;
  if (is_last && layer.width != dim) {
    reader.Refuse(fmt::format(
        "tensor \"{}.att_src\" has heads of {} numbers, whose mean is the vector; the snapshot's "
        "embedding_dim is {}",
        name, layer.width, dim));
  }
  const bool is_lin_src = !reader.Has(name + ".lin.weight") && reader.Has(name + ".lin_src.weight");
  const std::string lin = name + (is_lin_src ? ".lin_src" : ".lin");
  const size_t columns =
      in > 0 ? in : reader.MatrixShape(lin + ".weight", kSequenceLayerMax, kLayeredFeaturesMax)[1];
  const size_t out = layer.heads * layer.width;
  layer.lin = ReadDense(reader, lin, out, columns, /*has_bias=*/false);
  layer.att_src = reader.Read(name + ".att_src", {1, layer.heads, layer.width});
  layer.att_dst = reader.Read(name + ".att_dst", {1, layer.heads, layer.width});
  layer.att_bias.assign(layer.heads, 0.0f);
  if (reader.Has(name + ".att_bias")) {
    const std::span<const float> read = reader.Read(name + ".att_bias", {layer.heads});
    std::copy(read.begin(), read.end(), layer.att_bias.begin());
  }
  layer.bias = reader.Read(name + ".bias", {is_last ? layer.width : out});
  return layer;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Encoder>> MakeGatEncoder(const Manifest::Encoder& encoder,
                                                        const SafetensorsFile& file,
                                                        const TrainedVectors& trained) {
  OptionReader option("gat", encoder.options);
  const size_t count = option.Size("layers", kLayeredLayersMax);
  const bool is_normalized = option.ChoiceOrFirst("output_norm", {"none", "l2"}) == 1;
  if (absl::Status s = option.Finish(); !s.ok()) return s;
  CheckpointReader reader(file);
  GatWeights weights{.file = file, .layers = {}};
  size_t in = 0;
  for (size_t k = 0; k < count && reader.ok(); ++k) {
    weights.layers.push_back(ReadGatLayer(reader, file, fmt::format("convs.{}", k), in,
                                          /*is_last=*/k + 1 == count, trained.dim));
    in = weights.layers.back().lin.out();
  }
  if (absl::Status s = reader.Finish(); !s.ok()) return s;
  return std::unique_ptr<Encoder>(
      new GatEncoder(encoder, trained.dim, is_normalized, std::move(weights)));
}

}  // namespace groundswell
