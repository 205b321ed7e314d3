// Graph attention (arXiv 1710.10903), by the names of PyTorch Geometric's GATConv:
//
//   z = W h
//   a_vj = softmax over v and its neighbours j of LeakyReLU( att_dst z_v + att_src z_j + att_bias )
//   y_v  = sum_j a_vj z_j                  each head by itself; v stands once, also if its list has
//   it h_v  = ELU( [y of all heads] + bias ), of the last layer the mean of the heads + bias
#ifndef GROUNDSWELL_MODELS_ENCODERS_GAT_ENCODER_H_
#define GROUNDSWELL_MODELS_ENCODERS_GAT_ENCODER_H_

#include <memory>

#include "absl/status/statusor.h"
#include "models/encoder.h"
#include "models/encoders/target_encoder.h"
#include "models/files/manifest.h"
#include "models/files/safetensors.h"

namespace groundswell {

// Tensors, of H heads of D numbers: `convs.K.lin.weight` (H D, in), or `lin_src.weight`, as some
// versions call it; `convs.K.att_src`, `.att_dst` (1, H, D), `.bias` (H D; of the last layer D)
// and, if the model has it, `.att_bias` (H). Options `layers` and `output_norm` "none" (also when
// it is absent) or "l2".
absl::StatusOr<std::unique_ptr<Encoder>> MakeGatEncoder(const Manifest::Encoder& encoder,
                                                        const SafetensorsFile& file,
                                                        const TrainedVectors& trained);

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_ENCODERS_GAT_ENCODER_H_
