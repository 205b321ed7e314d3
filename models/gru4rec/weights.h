// The tensors of a GRU4Rec checkpoint (ICLR 2016, arXiv 1511.06939), checked and split.
#ifndef GROUNDSWELL_MODELS_GRU4REC_WEIGHTS_H_
#define GROUNDSWELL_MODELS_GRU4REC_WEIGHTS_H_

#include <cstddef>
#include <map>
#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "models/files/safetensors.h"
#include "models/math/weight.h"
#include "models/sequence/candidate_head.h"
#include "models/sequence/gru.h"
#include "models/sequence/items.h"

namespace groundswell {

enum class Gru4recVariant {
  kDeeprec,   // logit = head([s_n | e(candidate)])
  kOriginal,  // logit = output_i . s_n + output.bias_i
};

// Immutable. Spans point into the file's bytes, which `file` keeps alive.
struct Gru4recWeights {
  SafetensorsFile file;
  Gru4recVariant variant = Gru4recVariant::kDeeprec;
  Precision precision = Precision::kF32;
  size_t max_history = 0;  // L
  SequenceItems items;
  Gru gru;
  CandidateHead head;             // deeprec
  std::span<const float> output;  // original: items x h
  std::span<const float> bias;    // original: items
};

// `options` are the manifest's (docs/snapshot.md). Errors: see CheckpointReader.
absl::StatusOr<Gru4recWeights> LoadGru4recWeights(
    const SafetensorsFile& file, const std::map<std::string, std::string>& options);

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_GRU4REC_WEIGHTS_H_
