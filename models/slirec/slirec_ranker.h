// SLi-Rec behind the Ranker interface: a long-term interest, the average of the history, and a
// short-term one, of an LSTM that knows when things happened, blended for every candidate.
//
// Its scores change with time alone: what is made of a user is of one moment.
#ifndef GROUNDSWELL_MODELS_SLIREC_SLIREC_RANKER_H_
#define GROUNDSWELL_MODELS_SLIREC_SLIREC_RANKER_H_

#include <cstddef>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "models/files/manifest.h"
#include "models/files/safetensors.h"
#include "models/ranker.h"
#include "models/sequence/layers.h"
#include "models/sequence/sequence_ranker.h"
#include "models/sequence/target_attention.h"
#include "models/slirec/weights.h"

namespace groundswell {

// The intermediates, for tests too. n are the candidates of a block.
struct SlirecScratch final : SequenceScratch {
  SlirecScratch(const SlirecWeights& weights, size_t block_size);

  // Of the user; by position, the oldest first, where L is said.
  size_t length = 0;               // items of the history that are read
  std::vector<float> history;      // L x d
  std::vector<float> to_now;       // L: to_now_k
  std::vector<float> last;         // L: last_k
  std::vector<float> long_weight;  // L + 1: exp of long.query . e, of row 0 at the end
  std::vector<float> long_term;    // d
  std::vector<float> times;        // L x 2h: [tn | tl]
  std::vector<float> inputs;       // L x 6h: of the gates, then of both time gates
  std::vector<float> time_gates;   // L x h, twice: Tn, then Tl
  std::vector<float> output_time;  // L x h
  std::vector<float> states;       // L x h: m
  std::vector<float> gates;        // 4h, of one step
  std::vector<float> cell;         // h: c, of one step
  std::vector<float> zeros;        // h
  std::vector<float> alpha_user;   // hidden: what the user adds to alpha.0
  // Of the candidates.
  std::vector<float> targets;  // n x d: t
  TargetAttentionScratch attention;
  std::vector<float> short_term;  // n x d
  std::vector<float> blend;       // n: a
  std::vector<float> no_shift;    // n: zeros
  std::vector<float> blended;     // n x d: a long + (1 - a) short
  MlpScratch alpha, head;
};

// Errors: see LoadSlirecWeights.
absl::StatusOr<std::unique_ptr<Ranker>> MakeSlirecRanker(const Manifest::Model& model,
                                                         const SafetensorsFile& file);

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_SLIREC_SLIREC_RANKER_H_
