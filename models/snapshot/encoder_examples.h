// Examples of encoders: what is known of some targets, and the vectors that the exporter's own code
// made of it. A snapshot proves its encoders by them, as it proves its rankers by examples.h.
//
// encoder_examples.safetensors (docs/snapshot.md) has the tensors of each encoder under its name.
#ifndef GROUNDSWELL_MODELS_SNAPSHOT_ENCODER_EXAMPLES_H_
#define GROUNDSWELL_MODELS_SNAPSHOT_ENCODER_EXAMPLES_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "models/encoder.h"
#include "models/encoders/target_encoder.h"
#include "models/files/manifest.h"
#include "models/files/safetensors.h"

namespace groundswell {

inline constexpr char kEncoderExamplesFile[] = "encoder_examples.safetensors";
inline constexpr size_t kEncoderExampleTargetsMax = 10'000;
// Of all targets together.
inline constexpr size_t kEncoderExampleNeighborsMax = size_t{1} << 24;

// |number - expected| <= tolerance (1 + |expected|).
inline constexpr double kEncoderExampleTolerance = 1e-4;

// The targets of one encoder. What Input() returns views them.
struct EncoderExamples {
  EncoderInput Input() const;

  // What one relation reads.
  struct Relation {
    std::vector<uint64_t> begin;
    std::vector<std::span<const float>> features;
    std::vector<uint32_t> row;
    std::span<const float> weight;
  };

  // One layer of the neighbourhood.
  struct Layer {
    std::vector<EncoderSide> side;
    std::vector<uint32_t> self;
    std::vector<uint64_t> begin;
    std::vector<uint32_t> neighbor;
    std::span<const float> weight;
  };

  size_t targets = 0;
  std::vector<uint32_t> row;
  std::vector<uint64_t> begin;
  std::vector<uint32_t> neighbor;
  std::vector<uint64_t> degree;
  std::vector<int64_t> count;
  std::vector<int64_t> time_s;
  std::vector<std::span<const float>> vector;
  std::vector<int64_t> clusters;
  std::vector<std::span<const float>> features;
  std::vector<Relation> relations;
  std::vector<EncoderRelationLists> lists;  // views of `relations`
  std::vector<EncoderSide> side;            // of layer 0's nodes, which `features` are of as well
  std::vector<Layer> layers;
  std::vector<EncoderBlock> blocks;  // views of `layers`
  SafetensorsFile file;              // which spans of floats view
  std::span<const float> expected;   // targets x dim
  std::vector<int64_t> known;        // 0 or 1 by target; empty where the file does not say
};

// The tensors of an encoder, whose names begin with `prefix`. Which ones follows from what it
// reads. Errors are InvalidArgument or NotFound and name the tensor and what would be right.
absl::StatusOr<EncoderExamples> ReadEncoderExamples(const SafetensorsFile& file,
                                                    const std::string& prefix,
                                                    const Encoder& encoder,
                                                    const TrainedVectors& trained);

// Encodes the targets of every encoder and compares. By encoder, in the manifest's order: the
// number of targets and the largest difference. InvalidArgument when one is beyond the tolerance
// (naming the encoder, its worst target and the remedy), when an encoder has no examples, when a
// tensor is no encoder's, and for whatever is wrong with the tensors.
// REQUIRES: one encoder per entry of the manifest, in its order.
struct EncoderAgreement {
  std::string encoder;
  size_t targets = 0;
  double max_abs_error = 0;
};
absl::StatusOr<std::vector<EncoderAgreement>> CheckEncoderExamples(
    const SafetensorsFile& file, const Manifest& manifest,
    std::span<const std::unique_ptr<Encoder>> encoders, const TrainedVectors& trained);

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_SNAPSHOT_ENCODER_EXAMPLES_H_
