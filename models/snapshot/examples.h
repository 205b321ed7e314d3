// Example rows, by which a snapshot proves itself: features as a ranker reads them, and the logits
// that the exporter's own code gave them.
//
// examples.safetensors (docs/snapshot.md) is made by the trainer out of the PyTorch modules. Before
// a snapshot serves, every model scores the rows here, through the interface that requests use: a
// tensor that was transposed, statistics that were not frozen or an option that was forgotten give
// a snapshot that loads, and answers that are wrong. This finds them.
#ifndef GROUNDSWELL_MODELS_SNAPSHOT_EXAMPLES_H_
#define GROUNDSWELL_MODELS_SNAPSHOT_EXAMPLES_H_

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "models/files/manifest.h"
#include "models/files/safetensors.h"
#include "models/ranker.h"
#include "models/snapshot/encoder_examples.h"
#include "models/snapshot/snapshot.h"

namespace groundswell {

inline constexpr char kExamplesFile[] = "examples.safetensors";
inline constexpr size_t kExamplesMax = 10'000;
// Numbers in one matrix of features.
inline constexpr size_t kExampleFeaturesMax = size_t{1} << 24;

// |logit - expected| <= tolerance (1 + |expected|). The second is for models whose option
// `precision` is "bf16", also where the processor computes them in f32: whether a snapshot is
// refused should not depend on the machine.
inline constexpr double kExampleTolerance = 1e-4;
inline constexpr double kExampleToleranceBf16 = 0.025;

struct ExampleAgreement {
  size_t rows = 0;  // 0: the snapshot has no examples, and is unproved
  // By model, in the manifest's order: the largest |logit - expected|.
  std::vector<std::pair<std::string, double>> max_abs_error;
  bool has_encoders = false;
  // Of encoder_examples.safetensors, by encoder; empty: the snapshot has no such examples.
  std::vector<EncoderAgreement> encoders;
};

// Scores every row of `file` by every ranker. InvalidArgument when a logit differs by more than the
// tolerance (naming the model, its worst row, both logits and the remedy), when a model has no
// score for a row, and for whatever is wrong with the tensors; NotFound when one of the features is
// missing. Tensors of features that no ranker reads may be left out.
// REQUIRES: one ranker per model of the manifest, in its order.
absl::StatusOr<ExampleAgreement> CheckExamples(const SafetensorsFile& file,
                                               const Manifest& manifest,
                                               std::span<const std::unique_ptr<Ranker>> rankers);

// The examples of rankers and encoders among the files of a snapshot, if they have any.
absl::StatusOr<ExampleAgreement> CheckExamples(const Snapshot& snapshot,
                                               const SnapshotFiles& files);

// For people: "proved by 300 examples: macgnn within 1.2e-06, dot within 0", or "unproved: ...";
// with encoders also "; encoders: users within 1.2e-07 by 100 examples".
std::string Describe(const ExampleAgreement& agreement);

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_SNAPSHOT_EXAMPLES_H_
