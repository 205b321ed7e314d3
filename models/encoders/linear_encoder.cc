#include "models/encoders/linear_encoder.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "models/math/elementwise.h"

namespace groundswell {
namespace {

constexpr size_t kLinearLayersMax = 64;
constexpr double kLinearAlphaMax = 1e6;

struct LinearWeights {
  SafetensorsFile file;
  double r = 0.5;
  double alpha = 1;                // of layer 0
  std::span<const float> base;     // targets x d, or none
  std::span<const float> context;  // neighbours x d
};

class LinearEncoder final : public TargetEncoder {
 public:
  LinearEncoder(const Manifest::Encoder& encoder, size_t dim, float length, LinearWeights weights)
      : TargetEncoder(encoder, dim), weights_(std::move(weights)) {
    SetLengthOfNew(length);
  }

  EncoderShape shape() const override {
    return {.dim = dim(),
            .target_rows = weights_.base.size() / dim(),
            .neighbors = kAllNeighbors,
            .neighbor_rows = weights_.context.size() / dim(),
            .degrees = true};
  }
  std::unique_ptr<EncoderScratch> NewScratch() const override {
    return std::make_unique<EncoderScratch>();
  }

 private:
  void EncodeTarget(const EncoderInput& input, const EncoderTarget& target,
                    EncoderScratch& /*scratch*/, std::span<float> out) const override {
    if (target.row != kNoRow) {
      AddScaled(VectorRow(weights_.base, dim(), target.row), static_cast<float>(weights_.alpha),
                out);
    }
    const double of_target = std::pow(static_cast<double>(target.degree), -weights_.r);
    for (size_t at = target.begin; at < target.end; ++at) {
      const size_t row = input.neighbors.row[at];
      if ((row + 1) * dim() > weights_.context.size()) continue;
      const auto degree = static_cast<double>(std::max<uint64_t>(input.neighbors.degree[at], 1));
      const double p = of_target * std::pow(degree, weights_.r - 1);
      AddScaled(VectorRow(weights_.context, dim(), row), static_cast<float>(p), out);
    }
  }

  const LinearWeights weights_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Encoder>> MakeLinearEncoder(const Manifest::Encoder& encoder,
                                                           const SafetensorsFile& file,
                                                           const TrainedVectors& trained) {
  LinearWeights weights{.file = file, .base = {}, .context = {}};
  OptionReader option("linear", encoder.options);
  weights.r = option.PositiveNumberOr("r", 0.5, 0, 1);
  const std::vector<double> alpha = option.Numbers("alpha", kLinearAlphaMax, kLinearLayersMax + 1);
  const float length = ReadLengthOfNew(option, encoder.side, trained);
  if (absl::Status s = option.Finish(); !s.ok()) return s;
  weights.alpha = alpha[0];

  CheckpointReader reader(file);
  for (const EncoderSide side : {EncoderSide::kUser, EncoderSide::kItem}) {
    const std::string name = NameOf(side);
    const size_t rows = trained.Of(side).size() / trained.dim;
    const bool is_of_target = side == encoder.side;
    if (reader.Has(name + "_base")) {
      const auto base = reader.Read(name + "_base", {rows, trained.dim});
      if (is_of_target) weights.base = base;
    }
    if (!is_of_target || reader.Has(name + "_context")) {
      const auto context = reader.Read(name + "_context", {rows, trained.dim});
      if (!is_of_target) weights.context = context;
    }
  }
  if (absl::Status s = reader.Finish(); !s.ok()) return s;
  return std::unique_ptr<Encoder>(
      new LinearEncoder(encoder, trained.dim, length, std::move(weights)));
}

}  // namespace groundswell
