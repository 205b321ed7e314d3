#include "models/encoders/pinsage_encoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "models/encoders/layered_encoder.h"
#include "models/encoders/transformer.h"
#include "models/math/elementwise.h"
#include "models/sequence/limits.h"

namespace groundswell {
namespace {

struct PinsageLayer {
  DenseLayer q, w;
};

struct PinsageWeights {
  std::vector<PinsageLayer> layers;
  DenseLayer g1, g2;
};

// Written so that what is no number stays none.
void ApplyReluOfPinsage(std::span<float> x) {
  for (float& number : x) number = number < 0 ? 0 : number;
}

class PinsageEncoder final : public LayeredEncoder {
 public:
  PinsageEncoder(const Manifest::Encoder& encoder, size_t dim, bool is_normalized,
                 PinsageWeights weights)
      : LayeredEncoder(encoder, dim, is_normalized), weights_(std::move(weights)) {}

  EncoderShape shape() const override {
    const PinsageLayer& first = weights_.layers[0];
    return {.dim = dim(),
            .features = first.q.in(),
            .relations = {},
            .layers = weights_.layers.size(),
            .weights = true};
  }

 private:
  size_t WidthOfLayer(size_t layer) const override { return weights_.layers[layer].w.out(); }

  void ApplyLayer(size_t k, const EncoderBlock& block, const LayerRows& below,
                  LayeredScratch& scratch, float* made) const override {
    const PinsageLayer& layer = weights_.layers[k];
    const size_t nodes = below.size(), middle = layer.q.out(), width = layer.w.out();
    float* const prepared = LayeredScratch::Reserve(scratch.prepared, PaddedRows(nodes) * middle);
    ApplyToGathered(
        layer.q, nodes,
        [&](size_t v, std::span<float> x) {
          const std::span<const float> row = below[v];
          std::copy(row.begin(), row.end(), x.begin());
        },
        scratch, prepared);
    ApplyReluOfPinsage({prepared, nodes * middle});
    ApplyToGathered(
        layer.w, block.self.size(),
        [&](size_t v, std::span<float> x) {
          const std::span<const float> row = below[block.self[v]];
          std::copy(row.begin(), row.end(), x.begin());
          WeightedMean(block, v, {prepared, nodes * middle}, x.subspan(row.size()));
        },
        scratch, made);
    for (size_t v = 0; v < block.self.size(); ++v) {
      const std::span<float> h(made + v * width, width);
      ApplyReluOfPinsage(h);
      NormalizeLength(h);
    }
  }

  // out = n_v; weights that are all 0 weigh nothing.
  static void WeightedMean(const EncoderBlock& block, size_t v, std::span<const float> prepared,
                           std::span<float> out) {
    std::fill(out.begin(), out.end(), 0.0f);
    double sum = 0;
    for (uint64_t at = block.begin[v]; at < block.begin[v + 1]; ++at) {
      sum += double{block.weight[at]};
    }
    if (sum == 0) return;
    for (uint64_t at = block.begin[v]; at < block.begin[v + 1]; ++at) {
      AddScaled(VectorRow(prepared, out.size(), block.neighbor[at]),
                static_cast<float>(double{block.weight[at]} / sum), out);
    }
  }

  LayerRows FinishTargets(const LayerRows& top, LayeredScratch& scratch) const override {
    const size_t targets = top.size();
    const size_t middle = weights_.g1.out();
    float* const hidden = LayeredScratch::Reserve(scratch.hidden, PaddedRows(targets) * middle);
    ApplyToGathered(
        weights_.g1, targets,
        [&](size_t t, std::span<float> x) {
          const std::span<const float> row = top[t];
          std::copy(row.begin(), row.end(), x.begin());
        },
        scratch, hidden);
    ApplyReluOfPinsage({hidden, targets * middle});
    float* const head = LayeredScratch::Reserve(scratch.head, PaddedRows(targets) * dim());
    ApplyToGathered(
        weights_.g2, targets,
        [&](size_t t, std::span<float> x) { std::copy_n(hidden + t * middle, middle, x.begin()); },
        scratch, head);
    return {.features = {}, .made = std::span(head, targets * dim()), .width = dim()};
  }

  const PinsageWeights weights_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Encoder>> MakePinsageEncoder(const Manifest::Encoder& encoder,
                                                            const SafetensorsFile& file,
                                                            const TrainedVectors& trained) {
  OptionReader option("pinsage", encoder.options);
  const size_t count = option.Size("layers", kLayeredLayersMax);
  const bool is_normalized = option.ChoiceOrFirst("output_norm", {"none", "l2"}) == 1;
  if (absl::Status s = option.Finish(); !s.ok()) return s;
  CheckpointReader reader(file);
  PinsageWeights weights;
  size_t in = reader.MatrixShape("convs.0.Q.weight", kSequenceLayerMax, kLayeredFeaturesMax)[1];
  for (size_t k = 0; k < count && reader.ok(); ++k) {
    const std::string name = fmt::format("convs.{}", k);
    const size_t middle =
        reader.MatrixShape(name + ".Q.weight", kSequenceLayerMax, kLayeredFeaturesMax)[0];
    const size_t out =
        reader.MatrixShape(name + ".W.weight", kSequenceLayerMax, 2 * kLayeredFeaturesMax)[0];
    PinsageLayer layer;
    layer.q = ReadDense(reader, name + ".Q", middle, in);
    layer.w = ReadDense(reader, name + ".W", out, in + middle);
    weights.layers.push_back(std::move(layer));
    in = out;
  }
  const size_t middle = reader.MatrixShape("G1.weight", kSequenceLayerMax, kSequenceLayerMax)[0];
  weights.g1 = ReadDense(reader, "G1", middle, in);
  weights.g2 = ReadDense(reader, "G2", trained.dim, middle, /*has_bias=*/false);
  if (absl::Status s = reader.Finish(); !s.ok()) return s;
  return std::unique_ptr<Encoder>(
      new PinsageEncoder(encoder, trained.dim, is_normalized, std::move(weights)));
}

}  // namespace groundswell
