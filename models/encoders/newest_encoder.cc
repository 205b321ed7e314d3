#include "models/encoders/newest_encoder.h"

#include <cmath>

#include "models/math/elementwise.h"

namespace groundswell {
namespace {

constexpr size_t kNewestNeighborsMax = 1'000'000;
constexpr double kNewestHalfLeast = 1e-3;
constexpr double kNewestHalfMax = 1e9;

class NewestEncoder final : public TargetEncoder {
 public:
  NewestEncoder(const Manifest::Encoder& encoder, size_t dim, size_t neighbors, double half)
      : TargetEncoder(encoder, dim), neighbors_(neighbors), half_(half) {}

  // All items, since those without a vector do not count.
  EncoderShape shape() const override {
    return {.dim = dim(), .neighbors = kAllNeighbors, .vectors = true};
  }
  std::unique_ptr<EncoderScratch> NewScratch() const override {
    return std::make_unique<EncoderScratch>();
  }

 private:
  void EncodeTarget(const EncoderInput& input, const EncoderTarget& target,
                    EncoderScratch& /*scratch*/, std::span<float> out) const override {
    size_t k = 0;
    for (size_t at = target.begin; at < target.end && k < neighbors_; ++at) {
      const std::span<const float> vector = input.neighbors.vector[at];
      if (vector.empty()) continue;
      const double weight = half_ > 0 ? std::exp2(-static_cast<double>(k) / half_) : 1;
      AddScaled(vector, static_cast<float>(weight), out);
      ++k;
    }
  }

  const size_t neighbors_;
  const double half_;  // 0: no weight falls
};

}  // namespace

absl::StatusOr<std::unique_ptr<Encoder>> MakeNewestEncoder(const Manifest::Encoder& encoder,
                                                           const SafetensorsFile& file,
                                                           const TrainedVectors& trained) {
  OptionReader option("newest", encoder.options);
  const size_t neighbors = option.SizeOr("neighbors", kAllNeighbors, kNewestNeighborsMax);
  const double half = option.PositiveNumberOr("half", 0, kNewestHalfLeast, kNewestHalfMax);
  if (absl::Status s = option.Finish(); !s.ok()) return s;
  CheckpointReader reader(file);
  if (absl::Status s = RequireUserSide(encoder, "newest"); !s.ok()) return s;
  if (file.name() != kEmbeddingsFile) {
    reader.Refuse(
        "an encoder of kind newest sums up the snapshot's own vectors; its \"file\" must "
        "be embeddings.safetensors");
    return reader.Finish();
  }
  return std::unique_ptr<Encoder>(new NewestEncoder(encoder, trained.dim, neighbors, half));
}

}  // namespace groundswell
