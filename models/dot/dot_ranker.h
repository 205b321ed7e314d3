// The dot product of embeddings, as retrieval orders items: the baseline that a trained ranker has
// to beat.
//
//   logit(u, i) = <user_u, item_i>
//
// Its file holds `user` (users, d) and `item` (items, d); row r of the model is row r - 1 of the
// tensor. Where the file is the snapshot's embeddings.safetensors, both are the vectors that the
// live graph has now (UserFeatures::vector, ItemFeatures::vectors): users and items that came or
// moved since the training are scored like all others. Other tables are another space, which the
// live graph has no vectors in: a user without a row has no score, an item without one comes last.
#ifndef GROUNDSWELL_MODELS_DOT_DOT_RANKER_H_
#define GROUNDSWELL_MODELS_DOT_DOT_RANKER_H_

#include <memory>

#include "absl/status/statusor.h"
#include "models/files/manifest.h"
#include "models/files/safetensors.h"
#include "models/ranker.h"

namespace groundswell {

// Takes no options.
absl::StatusOr<std::unique_ptr<Ranker>> MakeDotRanker(const Manifest::Model& model,
                                                      const SafetensorsFile& file);

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_DOT_DOT_RANKER_H_
