// GraphSAGE (arXiv 1706.02216) with the mean of the neighbours, over users and items in turn, which
// have weights of their own:
//
//   m_v      the mean of h_j over v's neighbours, 0 without any
//   paper    h_v = l2( ReLU( W_self h_v + W_neighbor m_v ) )
//   authors  h_v = ReLU( [W_self h_v | W_neighbor m_v] ), the last layer without ReLU, then l2
#ifndef GROUNDSWELL_MODELS_ENCODERS_GRAPHSAGE_ENCODER_H_
#define GROUNDSWELL_MODELS_ENCODERS_GRAPHSAGE_ENCODER_H_

#include <memory>

#include "absl/status/statusor.h"
#include "models/encoder.h"
#include "models/encoders/target_encoder.h"
#include "models/files/manifest.h"
#include "models/files/safetensors.h"

namespace groundswell {

// Tensors `layers.K.{item,user}.{self,neighbor}.weight` (out, in): in are the numbers of a row of
// the layer below, of layer 0 of the item's or user's features. Options `variant` "authors" (also
// when it is absent) or "paper", `layers`.
absl::StatusOr<std::unique_ptr<Encoder>> MakeGraphsageEncoder(const Manifest::Encoder& encoder,
                                                              const SafetensorsFile& file,
                                                              const TrainedVectors& trained);

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_ENCODERS_GRAPHSAGE_ENCODER_H_
