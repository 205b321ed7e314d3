// The tensors of a Caser checkpoint (WSDM 2018, arXiv 1809.07426), checked and split.
#ifndef GROUNDSWELL_MODELS_CASER_WEIGHTS_H_
#define GROUNDSWELL_MODELS_CASER_WEIGHTS_H_

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "models/files/safetensors.h"
#include "models/math/weight.h"
#include "models/sequence/candidate_head.h"
#include "models/sequence/items.h"
#include "models/sequence/layers.h"

namespace groundswell {

enum class CaserVariant {
  kDeeprec,   // item and category apart, logit = head([features | t])
  kOriginal,  // one picture, logit = output_i . [z | user_embed_u] + output.bias_i
};

// deeprec: whether the positions without an item count.
enum class CaserPadding { kIncluded, kMasked };

// The filters over one picture of L positions of `width` numbers.
struct CaserFilters {
  size_t width = 0;
  DenseLayer vertical;  // deeprec: (L width) x n_v
  // Of k = 1, 2, ...: (k width) x n_h, over windows of k positions.
  std::vector<DenseLayer> horizontal;

  size_t horizontal_features() const { return horizontal.size() * horizontal.front().out(); }
};

// Immutable. Spans point into the file's bytes, which `file` keeps alive.
struct CaserWeights {
  SafetensorsFile file;
  CaserVariant variant = CaserVariant::kDeeprec;
  CaserPadding padding = CaserPadding::kIncluded;
  Precision precision = Precision::kF32;
  size_t max_history = 0;  // L
  SequenceItems items;

  // deeprec
  CaserFilters item, cate;
  CandidateHead head;

  // original
  CaserFilters filters;
  std::span<const float> vertical;       // n_v x L
  std::span<const float> vertical_bias;  // n_v
  DenseLayer fc;                         // (n_v d + L n_h) x d_z
  std::span<const float> user_embed;     // users x d_u
  size_t users = 0;
  size_t user_width = 0;          // d_u
  std::span<const float> output;  // items x (d_z + d_u)
  std::span<const float> bias;    // items

  // Of a user: what deeprec's head and original's fc read.
  size_t features() const;
};

// `options` are the manifest's (docs/snapshot.md). Errors: see CheckpointReader.
absl::StatusOr<CaserWeights> LoadCaserWeights(const SafetensorsFile& file,
                                              const std::map<std::string, std::string>& options);

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_CASER_WEIGHTS_H_
