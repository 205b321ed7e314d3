// NCF (NeuMF) behind the Ranker interface: it reads no history, only who and what.
//
//   z = ReLU layers over [user_mlp_u | item_mlp_i]
//   logit = output [user_gmf_u * item_gmf_i | z]
#ifndef GROUNDSWELL_MODELS_NCF_NCF_RANKER_H_
#define GROUNDSWELL_MODELS_NCF_NCF_RANKER_H_

#include <cstddef>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "models/files/manifest.h"
#include "models/files/safetensors.h"
#include "models/ncf/weights.h"
#include "models/ranker.h"
#include "models/sequence/sequence_ranker.h"

namespace groundswell {

// The intermediates of the user and of the block, for tests too.
struct NcfScratch final : SequenceScratch {
  NcfScratch(const NcfWeights& weights, size_t block_size);

  // Of the user.
  std::vector<float> gmf;    // k: output_gmf * user_gmf_u
  std::vector<float> first;  // first_of_user user_mlp_u + b
  // Of the candidates.
  std::vector<float> targets;   // n x m'
  std::vector<float> prepared;  // n x (layer 1 + k)
  std::vector<float> layer;     // n x the widest layer: the one at hand, at last z
  std::vector<float> next;      // likewise
};

// Errors: see LoadNcfWeights.
absl::StatusOr<std::unique_ptr<Ranker>> MakeNcfRanker(const Manifest::Model& model,
                                                      const SafetensorsFile& file);

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_NCF_NCF_RANKER_H_
