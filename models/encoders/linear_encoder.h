// The fold-in of whatever is a sum of powers of a fixed adjacency: matrix factorisation, LightGCN,
// item-item LightGCN. With the training graph as the live one it gives the trained vector.
//
//   user:  alpha_0 b_u + sum over all items i of u of  |N_u|^-r |N_i|^-(1-r) C_i
//
// and likewise an item from its users. b and C, base and context, are the file's tables.
#ifndef GROUNDSWELL_MODELS_ENCODERS_LINEAR_ENCODER_H_
#define GROUNDSWELL_MODELS_ENCODERS_LINEAR_ENCODER_H_

#include <memory>

#include "absl/status/statusor.h"
#include "models/encoder.h"
#include "models/encoders/target_encoder.h"
#include "models/files/manifest.h"
#include "models/files/safetensors.h"

namespace groundswell {

// Tensors `user_base`, `item_base`, `user_context`, `item_context` (rows, d): its side's base,
// which may be absent and is 0 then, and the other's context; the other two may be there for the
// other side's encoder. Options `r` (0 to 1), `alpha` (numbers between commas, of the layers from
// 0) and, of items, `length`. Errors: see CheckpointReader and OptionReader.
absl::StatusOr<std::unique_ptr<Encoder>> MakeLinearEncoder(const Manifest::Encoder& encoder,
                                                           const SafetensorsFile& file,
                                                           const TrainedVectors& trained);

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_ENCODERS_LINEAR_ENCODER_H_
