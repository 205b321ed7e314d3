// PinSage (arXiv 1806.01973), over neighbours that have weights a, as visits of walks:
//
//   n_v = sum_j a_j ReLU(Q h_j + q) / sum_j a_j,   0 without neighbours
//   h_v = l2( ReLU( W [h_v | n_v] + w ) )
//   z_v = G2 ReLU(G1 h_v + g)                      behind the last layer
#ifndef GROUNDSWELL_MODELS_ENCODERS_PINSAGE_ENCODER_H_
#define GROUNDSWELL_MODELS_ENCODERS_PINSAGE_ENCODER_H_

#include <memory>

#include "absl/status/statusor.h"
#include "models/encoder.h"
#include "models/encoders/target_encoder.h"
#include "models/files/manifest.h"
#include "models/files/safetensors.h"

namespace groundswell {

// Tensors (out, in): `convs.K.{Q,W}.{weight,bias}`, `G1.{weight,bias}`, `G2.weight`. Options
// `layers` and `output_norm` "none" (also when it is absent) or "l2".
absl::StatusOr<std::unique_ptr<Encoder>> MakePinsageEncoder(const Manifest::Encoder& encoder,
                                                            const SafetensorsFile& file,
                                                            const TrainedVectors& trained);

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_ENCODERS_PINSAGE_ENCODER_H_
