// What encoders share that make the vectors of their targets one by one.
#ifndef GROUNDSWELL_MODELS_ENCODERS_TARGET_ENCODER_H_
#define GROUNDSWELL_MODELS_ENCODERS_TARGET_ENCODER_H_

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "models/encoder.h"
#include "models/files/checkpoint_reader.h"
#include "models/files/manifest.h"

namespace groundswell {

// The trained vectors of a snapshot, row-major. They outlive its encoders.
struct TrainedVectors {
  size_t dim = 0;
  std::span<const float> users;
  std::span<const float> items;

  std::span<const float> Of(EncoderSide side) const {
    return side == EncoderSide::kUser ? users : items;
  }
};

inline EncoderSide OtherSide(EncoderSide side) {
  return side == EncoderSide::kUser ? EncoderSide::kItem : EncoderSide::kUser;
}
inline const char* NameOf(EncoderSide side) { return side == EncoderSide::kUser ? "user" : "item"; }

// Row `row` of a row-major matrix of rows of `width`.
inline std::span<const float> VectorRow(std::span<const float> matrix, size_t width, size_t row) {
  return matrix.subspan(row * width, width);
}

// Whether a search can use the vector; it is 0 otherwise.
bool KeepIfUsable(std::span<float> vector);

// One target of an input.
struct EncoderTarget {
  size_t index = 0;
  uint32_t row = kNoRow;
  size_t begin = 0;  // of its neighbours that are read
  size_t end = 0;
  size_t degree = 0;  // of all its neighbours
  std::span<const int64_t> clusters;
  std::span<const float> features;
};

class TargetEncoder : public Encoder {
 public:
  TargetEncoder(const Manifest::Encoder& encoder, size_t dim)
      : name_(encoder.name), side_(encoder.side), dim_(dim) {}

  std::string_view name() const final { return name_; }
  EncoderSide side() const final { return side_; }
  void Encode(const EncoderInput& input, EncoderScratch& scratch, std::span<float> out,
              std::span<bool> known) const final;

 protected:
  size_t dim() const { return dim_; }
  // The length that vectors of targets without a row are given; 0, the default: their own.
  void SetLengthOfNew(float length) { length_of_new_ = length; }

 private:
  // Writes the vector into `out`, which is 0; leaves it so where nothing is known.
  virtual void EncodeTarget(const EncoderInput& input, const EncoderTarget& target,
                            EncoderScratch& scratch, std::span<float> out) const = 0;

  const std::string name_;
  const EncoderSide side_;
  const size_t dim_;
  float length_of_new_ = 0;
};

// InvalidArgument for an encoder of items: the kind makes vectors of users alone.
absl::Status RequireUserSide(const Manifest::Encoder& encoder, std::string_view kind);

// Option `length`, "none" (also when it is absent) or "median": what TargetEncoder::SetLengthOfNew
// is given. Of items alone: the length of a user's vector changes no order of his candidates.
float ReadLengthOfNew(OptionReader& option, EncoderSide side, const TrainedVectors& trained);

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_ENCODERS_TARGET_ENCODER_H_
