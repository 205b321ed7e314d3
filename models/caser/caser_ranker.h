// Caser behind the Ranker interface: convolutions over the picture that the embeddings of the
// newest items are, one below the other. docs/models.md has the two variants.
#ifndef GROUNDSWELL_MODELS_CASER_CASER_RANKER_H_
#define GROUNDSWELL_MODELS_CASER_CASER_RANKER_H_

#include <cstddef>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "models/caser/weights.h"
#include "models/files/manifest.h"
#include "models/files/safetensors.h"
#include "models/ranker.h"
#include "models/sequence/candidate_head.h"
#include "models/sequence/sequence_ranker.h"

namespace groundswell {

// The intermediates of the user, for tests too.
struct CaserScratch final : SequenceScratch {
  CaserScratch(const CaserWeights& weights, size_t block_size);

  std::vector<float> picture;   // positions x width of the part at hand, and rows to multiply by
  std::vector<float> windows;   // windows x n_h of the filter at hand
  std::vector<float> features;  // CaserWeights::features
  std::vector<float> output;    // original: [z | user_embed_u]
  CandidateHeadScratch head;    // deeprec
};

// Errors: see LoadCaserWeights.
absl::StatusOr<std::unique_ptr<Ranker>> MakeCaserRanker(const Manifest::Model& model,
                                                        const SafetensorsFile& file);

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_CASER_CASER_RANKER_H_
