#include "models/encoders/graphsage_encoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "models/encoders/layered_encoder.h"
#include "models/encoders/transformer.h"
#include "models/math/elementwise.h"
#include "models/sequence/limits.h"

namespace groundswell {
namespace {

constexpr EncoderSide kGraphsageSides[] = {EncoderSide::kItem, EncoderSide::kUser};

// Of the nodes of one side.
struct GraphsageWeights {
  DenseLayer self, neighbor;
};

// By side.
struct GraphsageLayer {
  GraphsageWeights item, user;

  const GraphsageWeights& Of(EncoderSide side) const {
    return side == EncoderSide::kUser ? user : item;
  }
};

// out = the mean of the rows of v's neighbours
void MeanOfNeighbors(const EncoderBlock& block, size_t v, const LayerRows& below,
                     std::span<float> out) {
  std::fill(out.begin(), out.end(), 0.0f);
  const uint64_t begin = block.begin[v], end = block.begin[v + 1];
  if (begin == end) return;
  for (uint64_t at = begin; at < end; ++at) AddScaled(below[block.neighbor[at]], 1, out);
  const auto count = static_cast<double>(end - begin);
  for (float& number : out) number = static_cast<float>(number / count);
}

class GraphsageEncoder final : public LayeredEncoder {
 public:
  GraphsageEncoder(const Manifest::Encoder& encoder, size_t dim, bool is_paper,
                   std::vector<GraphsageLayer> layers)
      // The paper's last layer has a length of 1 already.
      : LayeredEncoder(encoder, dim, /*is_normalized=*/!is_paper),
        is_paper_(is_paper),
        layers_(std::move(layers)) {}

  EncoderShape shape() const override {
    return {.dim = dim(),
            .features = layers_[0].item.self.in(),
            .relations = {},
            .layers = layers_.size(),
            .user_features = layers_[0].user.self.in()};
  }

 private:
  size_t WidthOfLayer(size_t layer) const override {
    return layers_[layer].item.self.out() * (is_paper_ ? 1 : 2);
  }

  void ApplyLayer(size_t layer, const EncoderBlock& block, const LayerRows& below,
                  LayeredScratch& scratch, float* made) const override {
    const size_t width = WidthOfLayer(layer);
    for (const EncoderSide side : kGraphsageSides) {
      const GraphsageWeights& weights = layers_[layer].Of(side);
      std::vector<uint32_t>& nodes = scratch.order;
      nodes.clear();
      for (size_t v = 0; v < block.self.size(); ++v) {
        if (block.side[v] == side) nodes.push_back(static_cast<uint32_t>(v));
      }
      const size_t size = weights.self.out();
      float* const self = LayeredScratch::Reserve(scratch.self, PaddedRows(nodes.size()) * size);
      float* const neighbor =
          LayeredScratch::Reserve(scratch.neighbor, PaddedRows(nodes.size()) * size);
      ApplyToGathered(
          weights.self, nodes.size(),
          [&](size_t i, std::span<float> x) {
            const std::span<const float> row = below[block.self[nodes[i]]];
            std::copy(row.begin(), row.end(), x.begin());
          },
          scratch, self);
      ApplyToGathered(
          weights.neighbor, nodes.size(),
          [&](size_t i, std::span<float> x) { MeanOfNeighbors(block, nodes[i], below, x); },
          scratch, neighbor);
      for (size_t i = 0; i < nodes.size(); ++i) {
        Combine({self + i * size, size}, {neighbor + i * size, size}, layer + 1 == layers_.size(),
                std::span(made + nodes[i] * width, width));
      }
    }
  }

  void Combine(std::span<const float> self, std::span<const float> neighbor, bool is_last,
               std::span<float> h) const {
    std::copy(self.begin(), self.end(), h.begin());
    if (is_paper_) {
      AddScaled(neighbor, 1, h);
    } else {
      std::copy(neighbor.begin(), neighbor.end(), h.begin() + static_cast<ptrdiff_t>(self.size()));
    }
    if (is_paper_ || !is_last) {
      // Written so that what is no number stays none.
      for (float& number : h) number = number < 0 ? 0 : number;
    }
    if (is_paper_) NormalizeLength(h);
  }

  const bool is_paper_;
  const std::vector<GraphsageLayer> layers_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Encoder>> MakeGraphsageEncoder(const Manifest::Encoder& encoder,
                                                              const SafetensorsFile& file,
                                                              const TrainedVectors& trained) {
  OptionReader option("graphsage", encoder.options);
  const bool is_paper = option.ChoiceOrFirst("variant", {"authors", "paper"}) == 1;
  const size_t count = option.Size("layers", kLayeredLayersMax);
  if (absl::Status s = option.Finish(); !s.ok()) return s;

  CheckpointReader reader(file);
  const auto columns_of = [&](const char* side) {
    return reader.MatrixShape(fmt::format("layers.0.{}.self.weight", side), kSequenceLayerMax,
                              kLayeredFeaturesMax)[1];
  };
  size_t item = columns_of("item"), user = columns_of("user");
  std::vector<GraphsageLayer> layers;
  for (size_t k = 0; k < count && reader.ok(); ++k) {
    const std::string name = fmt::format("layers.{}", k);
    const size_t out =
        reader.MatrixShape(name + ".item.self.weight", kSequenceLayerMax, kLayeredFeaturesMax)[0];
    const size_t width = is_paper ? out : 2 * out;
    if (k + 1 == count && reader.ok() && width != trained.dim) {
      reader.Refuse(fmt::format(
          "tensor \"{}.item.self.weight\" has {} rows, so that vectors of this variant have {} "
          "numbers; the snapshot's embedding_dim is {}",
          name, out, width, trained.dim));
    }
    GraphsageLayer layer;
    layer.item.self = ReadDense(reader, name + ".item.self", out, item, /*has_bias=*/false);
    layer.item.neighbor = ReadDense(reader, name + ".item.neighbor", out, user, false);
    layer.user.self = ReadDense(reader, name + ".user.self", out, user, false);
    layer.user.neighbor = ReadDense(reader, name + ".user.neighbor", out, item, false);
    item = user = width;
    layers.push_back(std::move(layer));
  }
  if (absl::Status s = reader.Finish(); !s.ok()) return s;
  return std::unique_ptr<Encoder>(
      new GraphsageEncoder(encoder, trained.dim, is_paper, std::move(layers)));
}

}  // namespace groundswell
