// A user's vector out of the newest items alone, for any vectors of items: node2vec, DeepWalk.
//
//   e_u = sum_k w_k e_{i_k},   w_k = 1, or 2^(-k / half),   k from 0, the newest first
#ifndef GROUNDSWELL_MODELS_ENCODERS_NEWEST_ENCODER_H_
#define GROUNDSWELL_MODELS_ENCODERS_NEWEST_ENCODER_H_

#include <memory>

#include "absl/status/statusor.h"
#include "models/encoder.h"
#include "models/encoders/target_encoder.h"
#include "models/files/manifest.h"
#include "models/files/safetensors.h"

namespace groundswell {

// Of users alone. Its file is embeddings.safetensors, whose item vectors it sums up. Options
// `neighbors`, the newest items that count (all of them when it is absent), and `half`, after how
// many places a weight is halved (never when it is absent). Items without a vector are left out
// before counting.
absl::StatusOr<std::unique_ptr<Encoder>> MakeNewestEncoder(const Manifest::Encoder& encoder,
                                                           const SafetensorsFile& file,
                                                           const TrainedVectors& trained);

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_ENCODERS_NEWEST_ENCODER_H_
