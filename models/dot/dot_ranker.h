// The dot product of the snapshot's embeddings, as retrieval orders items: the baseline that a
// trained ranker has to beat.
//
//   logit(u, i) = <user_u, item_i>
//
// Its file holds `user` (users, d) and `item` (items, d): embeddings.safetensors does. Row r of the
// model is row r - 1 of the tensor. A user without a trained embedding has no score, an item
// without one comes last.
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
