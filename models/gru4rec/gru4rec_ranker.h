// GRU4Rec behind the Ranker interface: a GRU over the history, and what it makes of a candidate.
// docs/models.md has the two variants.
#ifndef GROUNDSWELL_MODELS_GRU4REC_GRU4REC_RANKER_H_
#define GROUNDSWELL_MODELS_GRU4REC_GRU4REC_RANKER_H_

#include <cstddef>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "models/files/manifest.h"
#include "models/files/safetensors.h"
#include "models/gru4rec/weights.h"
#include "models/ranker.h"
#include "models/sequence/candidate_head.h"
#include "models/sequence/gru.h"
#include "models/sequence/sequence_ranker.h"

namespace groundswell {

// The intermediates of the user, for tests too.
struct Gru4recScratch final : SequenceScratch {
  Gru4recScratch(const Gru4recWeights& weights, size_t block_size);

  size_t length = 0;           // items of the history that are read
  std::vector<float> history;  // L x width, the oldest first
  GruScratch gru;
  CandidateHeadScratch head;
};

// Errors: see LoadGru4recWeights.
absl::StatusOr<std::unique_ptr<Ranker>> MakeGru4recRanker(const Manifest::Model& model,
                                                          const SafetensorsFile& file);

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_GRU4REC_GRU4REC_RANKER_H_
