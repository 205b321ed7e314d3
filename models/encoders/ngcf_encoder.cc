#include "models/encoders/ngcf_encoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "models/math/elementwise.h"
#include "models/math/vector_length.h"
#include "models/sequence/layers.h"

namespace groundswell {
namespace {

constexpr size_t kNgcfLayersMax = 32;
constexpr size_t kNgcfWidthMax = 4'096;

enum class NgcfAdjacency { kSymmetric, kNorm, kNgcf, kMean, kPlain };

struct NgcfLayer {
  DenseLayer w1, w2;
  size_t begin = 0;  // of what it reads within a vector
};

struct NgcfWeights {
  NgcfAdjacency adjacency = NgcfAdjacency::kSymmetric;
  float slope = 0.2f;
  std::vector<NgcfLayer> layers;
  std::span<const float> targets, neighbors;  // rows x d: the trained vectors
  std::vector<float> neighbor_scales;         // rows x layers; empty: 1

  bool is_authors() const { return adjacency != NgcfAdjacency::kSymmetric; }
};

struct NgcfScratch final : EncoderScratch {
  explicit NgcfScratch(size_t width) : own(width), sum(width), first(width), second(width) {}

  // Of the layer at hand: what the target has, the sum s, and the factors or products.
  std::vector<float> own, sum, first, second;
};

class NgcfEncoder final : public TargetEncoder {
 public:
  NgcfEncoder(const Manifest::Encoder& encoder, size_t dim, float length, NgcfWeights weights)
      : TargetEncoder(encoder, dim), weights_(std::move(weights)) {
    SetLengthOfNew(length);
  }

  EncoderShape shape() const override {
    return {.dim = dim(),
            .target_rows = weights_.targets.size() / dim(),
            .neighbors = kAllNeighbors,
            .neighbor_rows = weights_.neighbors.size() / dim(),
            .degrees = true};
  }
  std::unique_ptr<EncoderScratch> NewScratch() const override {
    return std::make_unique<NgcfScratch>(dim());
  }

 private:
  void EncodeTarget(const EncoderInput& input, const EncoderTarget& target,
                    EncoderScratch& of_thread, std::span<float> out) const override {
    auto& scratch = static_cast<NgcfScratch&>(of_thread);
    const size_t width0 = weights_.layers[0].w1.in();
    std::fill(scratch.own.begin(), scratch.own.end(), 0.0f);
    if (target.row != kNoRow) {
      const auto trained = VectorRow(weights_.targets, dim(), target.row).first(width0);
      std::copy(trained.begin(), trained.end(), scratch.own.begin());
      std::copy(trained.begin(), trained.end(), out.begin());
    }
    for (size_t l = 0; l < weights_.layers.size(); ++l) {
      SumNeighbors(input, target, l, scratch);
      ApplyLayer(weights_.layers[l], scratch);
      const size_t width = weights_.layers[l].w1.out();
      WriteBlock(std::span(scratch.own).first(width),
                 out.subspan(weights_.layers[l].begin + weights_.layers[l].w1.in(), width));
    }
  }

  // s of the layer, what the target itself adds included.
  void SumNeighbors(const EncoderInput& input, const EncoderTarget& target, size_t l,
                    NgcfScratch& scratch) const {
    const NgcfLayer& layer = weights_.layers[l];
    const std::span<float> sum = std::span(scratch.sum).first(layer.w1.in());
    std::fill(sum.begin(), sum.end(), 0.0f);
    const double degree = static_cast<double>(std::max<size_t>(target.degree, 1));
    const double of_norm = 1 / static_cast<double>(target.degree + 1);
    double own = 0, p = 1;
    switch (weights_.adjacency) {
      case NgcfAdjacency::kSymmetric:
        own = 1;
        p = 1 / std::sqrt(degree);
        break;
      case NgcfAdjacency::kNorm:
        own = p = of_norm;
        break;
      case NgcfAdjacency::kNgcf:
        own = 1;
        p = 1 / degree;
        break;
      case NgcfAdjacency::kMean:
        p = 1 / degree;
        break;
      case NgcfAdjacency::kPlain:
        break;
    }
    for (size_t at = target.begin; at < target.end; ++at) {
      const size_t row = input.neighbors.row[at];
      if ((row + 1) * dim() > weights_.neighbors.size()) continue;
      double scale = p;
      if (!weights_.is_authors()) {
        const uint64_t other = std::max<uint64_t>(input.neighbors.degree[at], 1);
        scale /= std::sqrt(static_cast<double>(other));
      }
      if (l > 0 && !weights_.neighbor_scales.empty()) {
        scale *= double{weights_.neighbor_scales[row * weights_.layers.size() + l - 1]};
      }
      AddScaled(VectorRow(weights_.neighbors, dim(), row).subspan(layer.begin, sum.size()),
                static_cast<float>(scale), sum);
    }
    // The paper's W1 reads e + s and its W2 s * e, the authors' s and e * s, with e within s.
    for (size_t k = 0; k < sum.size(); ++k) {
      const float with_own = sum[k] + static_cast<float>(own) * scratch.own[k];
      scratch.first[k] = with_own;
      scratch.second[k] = (weights_.is_authors() ? with_own : sum[k]) * scratch.own[k];
    }
  }

  // own = e' of the layer.
  void ApplyLayer(const NgcfLayer& layer, NgcfScratch& scratch) const {
    const size_t in = layer.w1.in(), out = layer.w1.out();
    const std::span<float> own = std::span(scratch.own).first(out);
    const std::span<float> other = std::span(scratch.sum).first(out);
    RowTimes(std::span(scratch.first).first(in), layer.w1.weight.values, own);
    RowTimes(std::span(scratch.second).first(in), layer.w2.weight.values, other);
    const auto activated = [&](float x) { return x > 0 ? x : weights_.slope * x; };
    for (size_t k = 0; k < out; ++k) {
      own[k] = weights_.is_authors()
                   ? activated(own[k] + layer.w1.bias[k]) + activated(other[k] + layer.w2.bias[k])
                   : activated(own[k] + other[k]);
    }
  }

  void WriteBlock(std::span<const float> own, std::span<float> block) const {
    const double length = weights_.is_authors() ? std::max(VectorLength(own), 1e-12) : 1;
    for (size_t k = 0; k < own.size(); ++k) block[k] = static_cast<float>(own[k] / length);
  }

  const NgcfWeights weights_;
};

std::vector<NgcfLayer> ReadNgcfLayers(CheckpointReader& reader, bool has_bias, size_t dim) {
  std::vector<NgcfLayer> layers;
  size_t width = 0, begin = 0;
  for (size_t l = 0; l < kNgcfLayersMax; ++l) {
    const std::string name = fmt::format("layers.{}", l);
    if (l > 0 && !reader.Has(name + ".W1.weight")) break;
    const auto [out, in] = reader.MatrixShape(name + ".W1.weight", kNgcfWidthMax, kNgcfWidthMax);
    if (l == 0) width = in;
    layers.push_back({.w1 = ReadDense(reader, name + ".W1", out, width, has_bias),
                      .w2 = ReadDense(reader, name + ".W2", out, width, has_bias),
                      .begin = begin});
    begin += width;
    width = out;
  }
  if (begin + width != dim) {
    reader.Refuse(
        fmt::format("the layers' inputs and the last one's output have {} numbers "
                    "together; vectors are all of them side by side and have {}",
                    begin + width, dim));
  }
  return layers;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Encoder>> MakeNgcfEncoder(const Manifest::Encoder& encoder,
                                                         const SafetensorsFile& file,
                                                         const TrainedVectors& trained) {
  NgcfWeights weights;
  OptionReader option("ngcf", encoder.options);
  const bool is_authors = option.ChoiceOrFirst("variant", {"authors", "paper"}) == 0;
  if (is_authors) {
    constexpr NgcfAdjacency kByChoice[] = {NgcfAdjacency::kNorm, NgcfAdjacency::kNgcf,
                                           NgcfAdjacency::kMean, NgcfAdjacency::kPlain};
    weights.adjacency =
        kByChoice[option.ChoiceOrFirst("adjacency", {"norm", "ngcf", "mean", "plain"})];
  } else {
    option.ChoiceOrFirst("adjacency", {"symmetric"});
  }
  weights.slope = static_cast<float>(option.PositiveNumberOr("slope", 0.2, 0, 1));
  const float length = ReadLengthOfNew(option, encoder.side, trained);
  if (absl::Status s = option.Finish(); !s.ok()) return s;

  CheckpointReader reader(file);
  weights.layers = ReadNgcfLayers(reader, is_authors, trained.dim);
  for (const EncoderSide side : {EncoderSide::kUser, EncoderSide::kItem}) {
    if (!is_authors) break;
    const size_t rows = trained.Of(side).size() / trained.dim;
    const auto scales =
        reader.Read(NameOf(side) + std::string("_scale"), {rows, weights.layers.size()});
    if (side != encoder.side) weights.neighbor_scales.assign(scales.begin(), scales.end());
  }
  if (absl::Status s = reader.Finish(); !s.ok()) return s;
  weights.targets = trained.Of(encoder.side);
  weights.neighbors = trained.Of(OtherSide(encoder.side));
  return std::unique_ptr<Encoder>(
      new NgcfEncoder(encoder, trained.dim, length, std::move(weights)));
}

}  // namespace groundswell
