// DIN behind the Ranker interface: every candidate attends to the history, whose order is nothing
// to it. docs/models.md has the two variants.
#ifndef GROUNDSWELL_MODELS_DIN_DIN_RANKER_H_
#define GROUNDSWELL_MODELS_DIN_DIN_RANKER_H_

#include <cstddef>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "models/din/weights.h"
#include "models/files/manifest.h"
#include "models/files/safetensors.h"
#include "models/ranker.h"
#include "models/sequence/layers.h"
#include "models/sequence/sequence_ranker.h"
#include "models/sequence/target_attention.h"

namespace groundswell {

// The intermediates, for tests too. n are the candidates of a block.
struct DinScratch final : SequenceScratch {
  DinScratch(const DinWeights& weights, size_t block_size);

  // Of the user.
  size_t length = 0;           // items of the history that are read
  std::vector<float> history;  // L x d, the oldest first
  std::vector<float> sum;      // d: of the history
  std::vector<float> of_user;  // what the user adds to head.0, its bias included
  // Of the candidates.
  TargetAttentionScratch attention;
  std::vector<float> targets;  // n x d: t
  std::vector<float> pooled;   // n x d: sum_i att_i X_i
  std::vector<float> user;     // n x d: u of the original
  std::vector<float> input;    // n x (inputs of head_of_candidate)
  MlpScratch head;
};

// Errors: see LoadDinWeights.
absl::StatusOr<std::unique_ptr<Ranker>> MakeDinRanker(const Manifest::Model& model,
                                                      const SafetensorsFile& file);

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_DIN_DIN_RANKER_H_
