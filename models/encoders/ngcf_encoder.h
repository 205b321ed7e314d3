// The fold-in of NGCF (arXiv 1905.08108): its layers over the neighbours as they were trained. The
// vector is [e^(0) | block 1 | .. | block L]; e^(0) of a new target is 0.
//
//   "paper"    s = sum_j e_j / sqrt(|N_v| |N_j|);  e' = LeakyReLU(W1 (e + s) + W2 (s * e));  block
//   e' "authors"  s = own e + sum_j p e_j;  e' = LeakyReLU(W1 s + b1) + LeakyReLU(W2 (e * s) + b2);
//              block l2(e'), while the next layer reads e' itself
//
// Option `adjacency` of the authors': "norm" (p = own = 1 / (|N_v| + 1)), "ngcf" (own 1, p
// 1/|N_v|), "mean" (own 0, p 1/|N_v|), "plain" (own 0, p 1). With the authors' biases a new target
// without neighbours has a vector too, of them alone.
#ifndef GROUNDSWELL_MODELS_ENCODERS_NGCF_ENCODER_H_
#define GROUNDSWELL_MODELS_ENCODERS_NGCF_ENCODER_H_

#include <memory>

#include "absl/status/statusor.h"
#include "models/encoder.h"
#include "models/encoders/target_encoder.h"
#include "models/files/manifest.h"
#include "models/files/safetensors.h"

namespace groundswell {

// Tensors `layers.L.W1.weight`, `layers.L.W2.weight` (out, in), of the authors' variant also
// `.bias`, and `user_scale`, `item_scale` (rows, layers): the lengths of e' that l2 took away.
// The vectors themselves are the snapshot's. Options `variant`, `adjacency` ("symmetric" of the
// paper), `slope` (0.2 when it is absent) and, of items, `length`.
absl::StatusOr<std::unique_ptr<Encoder>> MakeNgcfEncoder(const Manifest::Encoder& encoder,
                                                         const SafetensorsFile& file,
                                                         const TrainedVectors& trained);

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_ENCODERS_NGCF_ENCODER_H_
