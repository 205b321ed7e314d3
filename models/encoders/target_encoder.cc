#include "models/encoders/target_encoder.h"

#include <fmt/format.h>

#include <algorithm>

#include "models/embedding_range.h"
#include "models/math/vector_length.h"

namespace groundswell {

bool KeepIfUsable(std::span<float> vector) {
  const bool is_in_range = std::all_of(vector.begin(), vector.end(), IsEmbeddingNumber);
  if (!is_in_range) std::fill(vector.begin(), vector.end(), 0.0f);
  return std::any_of(vector.begin(), vector.end(), [](float number) { return number != 0; });
}

void TargetEncoder::Encode(const EncoderInput& input, EncoderScratch& scratch, std::span<float> out,
                           std::span<bool> known) const {
  std::fill(out.begin(), out.end(), 0.0f);
  const EncoderShape shape = this->shape();
  for (size_t t = 0; t < input.targets; ++t) {
    EncoderTarget target;
    target.index = t;
    if (shape.target_rows > 0 && input.row[t] < shape.target_rows) target.row = input.row[t];
    if (shape.neighbors > 0) {
      target.begin = input.neighbors.begin[t];
      target.degree = input.neighbors.begin[t + 1] - target.begin;
      target.end = target.begin + std::min(target.degree, shape.neighbors);
    }
    if (shape.clusters > 0) {
      target.clusters = input.clusters.subspan(t * shape.clusters, shape.clusters);
    }
    if (shape.features > 0) target.features = input.features[t];
    const std::span<float> vector = out.subspan(t * dim_, dim_);
    EncodeTarget(input, target, scratch, vector);
    if (length_of_new_ > 0 && target.row == kNoRow) {
      const double length = VectorLength(vector);
      for (float& number : vector) {
        number = length > 0 ? static_cast<float>(number * (length_of_new_ / length)) : 0;
      }
    }
    known[t] = KeepIfUsable(vector);
  }
}

absl::Status RequireUserSide(const Manifest::Encoder& encoder, std::string_view kind) {
  if (encoder.side == EncoderSide::kUser) return absl::OkStatus();
  return absl::InvalidArgumentError(fmt::format(
      "manifest.json: encoder \"{}\" is of kind {}, which makes vectors of users alone; "
      "its \"side\" must be \"user\"",
      encoder.name, kind));
}

float ReadLengthOfNew(OptionReader& option, EncoderSide side, const TrainedVectors& trained) {
  if (side == EncoderSide::kUser || option.ChoiceOrFirst("length", {"none", "median"}) == 0)
    return 0;
  return MedianLength(trained.items, trained.dim);
}

}  // namespace groundswell
