// DIEN behind the Ranker interface: a GRU finds interests in the history, every candidate attends
// to them, and an AUGRU follows how those it cares for evolve. docs/models.md has the two variants.
//
// Every candidate of a block has the same positions and the same inputs; only the attention
// differs, so that all of them take a recurrent step together.
#ifndef GROUNDSWELL_MODELS_DIEN_DIEN_RANKER_H_
#define GROUNDSWELL_MODELS_DIEN_DIEN_RANKER_H_

#include <cstddef>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "models/dien/weights.h"
#include "models/files/manifest.h"
#include "models/files/safetensors.h"
#include "models/ranker.h"
#include "models/sequence/gru.h"
#include "models/sequence/layers.h"
#include "models/sequence/sequence_ranker.h"
#include "models/sequence/target_attention.h"

namespace groundswell {

// The intermediates, for tests too. n are the candidates of a block.
struct DienScratch final : SequenceScratch {
  DienScratch(const DienWeights& weights, size_t block_size);

  // Of the user.
  size_t length = 0;              // items of the history that are read
  std::vector<float> history;     // L x d, the oldest first
  GruScratch gru;                 // its states are the interests H, where there is a GRU
  std::vector<float> sum;         // d: S
  std::vector<float> inputs;      // L x 3g: of the AUGRU, W H_i + b
  std::vector<float> of_user;     // what the user adds to head.0, its bias included
  std::vector<float> of_targets;  // d x hidden: W_t + W_p diag(S), transposed
  std::vector<float> term;        // hidden
  // Of the candidates.
  std::vector<float> targets;  // n x d: t
  TargetAttentionScratch attention;
  AugruScratch augru;  // its state is s
  MlpScratch head;
};

// Errors: see LoadDienWeights.
absl::StatusOr<std::unique_ptr<Ranker>> MakeDienRanker(const Manifest::Model& model,
                                                       const SafetensorsFile& file);

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_DIEN_DIEN_RANKER_H_
