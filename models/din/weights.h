// The tensors of a DIN checkpoint (KDD 2018, arXiv 1706.06978), checked and split.
#ifndef GROUNDSWELL_MODELS_DIN_WEIGHTS_H_
#define GROUNDSWELL_MODELS_DIN_WEIGHTS_H_

#include <cstddef>
#include <map>
#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "models/files/safetensors.h"
#include "models/math/weight.h"
#include "models/sequence/items.h"
#include "models/sequence/layers.h"
#include "models/sequence/target_attention.h"

namespace groundswell {

enum class DinVariant {
  kDeeprec,   // logit = head([t | sum X | sum att X])
  kOriginal,  // u = W_user sum att X + b; logit = head([u | t | u * t]) + item_bias
};

// Immutable. Spans point into the file's bytes, which `file` keeps alive.
struct DinWeights {
  SafetensorsFile file;
  DinVariant variant = DinVariant::kDeeprec;
  Precision precision = Precision::kF32;
  size_t max_history = 0;  // L
  SequenceItems items;     // d wide
  TargetAttention attention;
  Mlp head;
  // The parts of head.0: deeprec's reads [t | sum att X] per candidate and sum X once per user,
  // original's reads all of [u | t | u * t].
  DenseLayer head_of_candidate;
  DenseLayer head_of_sum;            // deeprec
  DenseLayer user;                   // original
  std::span<const float> item_bias;  // original: items
};

// `options` are the manifest's (docs/snapshot.md). Errors: see CheckpointReader.
absl::StatusOr<DinWeights> LoadDinWeights(const SafetensorsFile& file,
                                          const std::map<std::string, std::string>& options);

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_DIN_WEIGHTS_H_
