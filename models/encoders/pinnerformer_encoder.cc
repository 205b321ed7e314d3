#include "models/encoders/pinnerformer_encoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "models/math/kernels.h"
#include "models/sequence/limits.h"

namespace groundswell {
namespace {

constexpr size_t kTimePeriodsMax = 256;
constexpr const char* kTimeNames[] = {"absolute", "age", "gap"};

// Writes tau(t) and returns where it ends. In double: a time has more digits than a float.
float* WriteTime(const PinnerformerTime& feature, double seconds, float* out) {
  const size_t periods = feature.period.size();
  for (size_t p = 0; p < periods; ++p) {
    const double period = feature.period[p];
    const double angle = 2 * std::numbers::pi * (std::fmod(seconds, period) / period);
    out[p] = static_cast<float>(std::cos(angle + double{feature.phase[p]}));
    out[periods + p] = static_cast<float>(std::sin(angle + double{feature.phase[periods + p]}));
  }
  out[2 * periods] = static_cast<float>(std::log1p(seconds));
  return out + 2 * periods + 1;
}

class PinnerformerEncoder final : public TargetEncoder {
 public:
  PinnerformerEncoder(const Manifest::Encoder& encoder, size_t dim, PinnerformerWeights weights)
      : TargetEncoder(encoder, dim), weights_(std::move(weights)) {}

  // All items, since those without a vector do not count.
  EncoderShape shape() const override {
    return {
        .dim = dim(), .neighbors = kAllNeighbors, .counts = true, .times = true, .vectors = true};
  }
  std::unique_ptr<EncoderScratch> NewScratch() const override {
    return std::make_unique<PinnerformerScratch>(weights_);
  }

 private:
  void EncodeTarget(const EncoderInput& input, const EncoderTarget& target,
                    EncoderScratch& of_thread, std::span<float> out) const override {
    auto& scratch = static_cast<PinnerformerScratch&>(of_thread);
    scratch.taken.clear();
    for (size_t at = target.begin; at < target.end && scratch.taken.size() < weights_.max_history;
         ++at) {
      if (!input.neighbors.vector[at].empty()) scratch.taken.push_back(at);
    }
    const size_t length = scratch.taken.size();
    if (length == 0) return;
    WriteTokens(input.neighbors, scratch);
    ApplyToRows(weights_.input, scratch.tokens.data(), length, scratch.x.data());
    const size_t width = weights_.width();
    for (size_t k = 0; k < length * width; ++k) scratch.x[k] += weights_.position[k];
    std::copy_n(scratch.x.begin(), width, scratch.first.begin());
    ApplyTransformer(weights_.layers, length, scratch.x.data(), scratch.transformer);
    const std::span<float> newest = std::span(scratch.x).first(width);
    ApplyLayerNorm(weights_.output_norm, newest, newest);
    ApplyToRows(weights_.output0, newest.data(), 1, scratch.hidden.data());
    ApplyGelu(scratch.hidden);
    ApplyToRows(weights_.output2, scratch.hidden.data(), 1, out.data());
    NormalizeLength(out);
  }

  void WriteTokens(const EncoderNeighbors& neighbors, PinnerformerScratch& scratch) const {
    const auto seconds = [&](size_t j) {
      return static_cast<double>(neighbors.time_s[scratch.taken[j]]);
    };
    for (size_t j = 0; j < scratch.taken.size(); ++j) {
      float* token = scratch.tokens.data() + j * weights_.input.in();
      const std::span<const float> vector = neighbors.vector[scratch.taken[j]];
      token = std::copy(vector.begin(), vector.end(), token);
      const auto count = static_cast<double>(neighbors.count[scratch.taken[j]]);
      *token++ = static_cast<float>(std::log1p(count));
      // Clocks that went back make no negative age.
      const double gap = j + 1 < scratch.taken.size() ? seconds(j) - seconds(j + 1) : 0;
      token = WriteTime(weights_.times[0], seconds(j), token);
      token = WriteTime(weights_.times[1], std::max(seconds(0) - seconds(j), 0.0), token);
      WriteTime(weights_.times[2], std::max(gap, 0.0), token);
    }
  }

  const PinnerformerWeights weights_;
};

PinnerformerTime ReadPinnerformerTime(CheckpointReader& reader, const std::string& name) {
  const std::string phase = name + ".phase";
  const size_t periods = reader.MatrixShape(phase, 2, kTimePeriodsMax)[1];
  const PinnerformerTime feature{.period = reader.Read(name + ".period", {periods}),
                                 .phase = reader.Read(phase, {2, periods})};
  for (size_t p = 0; p < feature.period.size(); ++p) {
    if (feature.period[p] > 0) continue;
    reader.Refuse(
        fmt::format("tensor \"{}.period\": element {} is {}; a period is a number of "
                    "seconds above 0",
                    name, p, feature.period[p]));
  }
  return feature;
}

}  // namespace

PinnerformerScratch::PinnerformerScratch(const PinnerformerWeights& weights)
    : tokens(PaddedRows(weights.max_history) * weights.input.in()),
      x(PaddedRows(weights.max_history) * weights.width()),
      first(weights.width()),
      hidden(weights.output0.out()),
      transformer(weights.layers, weights.max_history) {
  taken.reserve(weights.max_history);
}

absl::StatusOr<std::unique_ptr<Encoder>> MakePinnerformerEncoder(const Manifest::Encoder& encoder,
                                                                 const SafetensorsFile& file,
                                                                 const TrainedVectors& trained) {
  PinnerformerWeights weights{.file = file, .position = {}};
  TransformerOptions options{.is_pre_norm = true, .is_causal = true};
  OptionReader option("pinnerformer", encoder.options);
  weights.max_history = option.Size("max_history", kSequenceHistoryMax);
  options.heads = option.Size("heads", kTransformerHeadsMax);
  options.is_relu = option.ChoiceOrFirst("activation", {"gelu", "relu"}) == 1;
  option.ChoiceOrFirst("norm", {"pre"});
  if (absl::Status s = option.Finish(); !s.ok()) return s;
  if (absl::Status s = RequireUserSide(encoder, "pinnerformer"); !s.ok()) return s;

  CheckpointReader reader(file);
  size_t in = trained.dim + 1;
  for (size_t i = 0; i < weights.times.size(); ++i) {
    weights.times[i] = ReadPinnerformerTime(reader, fmt::format("time.{}", kTimeNames[i]));
    in += weights.times[i].width();
  }
  const size_t width = reader.MatrixShape("input.weight", kSequenceWidthMax, kSequenceInputsMax)[0];
  weights.input = ReadDense(reader, "input", width, in);
  weights.position = reader.Read("position.weight", {weights.max_history, width});
  if (!reader.ok()) return reader.Finish();
  weights.layers = ReadTransformer(reader, "", width, options);
  weights.output_norm = ReadLayerNorm(reader, "output.norm", width);
  const size_t hidden =
      reader.MatrixShape("output.0.weight", kSequenceLayerMax, kSequenceLayerMax)[0];
  weights.output0 = ReadDense(reader, "output.0", hidden, width);
  weights.output2 = ReadDense(reader, "output.2", trained.dim, hidden);
  if (absl::Status s = reader.Finish(); !s.ok()) return s;
  return std::unique_ptr<Encoder>(
      new PinnerformerEncoder(encoder, trained.dim, std::move(weights)));
}

}  // namespace groundswell
