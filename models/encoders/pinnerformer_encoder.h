// PinnerFormer (arXiv 2205.04507): a transformer over a user's newest items, of which the newest
// token becomes the vector.
//
//   token_j = [ e_{i_j} | log(1 + A[u,i_j]) | tau_absolute(t_j) | tau_age(t_0 - t_j)
//             | tau_gap(t_j - t_{j+1}, 0 for the last) ],   j from 0, the newest first
//   tau(t)  = [ cos(2 pi t / P + phi_0) for all P | sin(2 pi t / P + phi_1) | log(1 + t) ]
//   x_j     = input.weight token_j + input.bias + position.weight[j]
//   e_u     = l2( output.2 GELU( output.0 LayerNorm( x_0 behind the layers ) ) )
//
// Layers have the norm before, and token j reads itself and what is older.
#ifndef GROUNDSWELL_MODELS_ENCODERS_PINNERFORMER_ENCODER_H_
#define GROUNDSWELL_MODELS_ENCODERS_PINNERFORMER_ENCODER_H_

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "models/encoder.h"
#include "models/encoders/target_encoder.h"
#include "models/encoders/transformer.h"
#include "models/files/manifest.h"
#include "models/files/safetensors.h"
#include "models/sequence/layers.h"

namespace groundswell {

// tau: of so many periods 2 P + 1 numbers.
struct PinnerformerTime {
  std::span<const float> period;
  std::span<const float> phase;  // of the cosines, then of the sines

  size_t width() const { return 2 * period.size() + 1; }
};

// Immutable. Spans point into the file's bytes, which `file` keeps alive.
struct PinnerformerWeights {
  SafetensorsFile file;
  size_t max_history = 0;
  std::array<PinnerformerTime, 3> times;  // absolute, age, gap
  DenseLayer input;
  std::span<const float> position;  // max_history x width
  std::vector<TransformerLayer> layers;
  LayerNorm output_norm;
  DenseLayer output0, output2;

  size_t width() const { return input.out(); }
};

// The intermediates of the target that was encoded last, for tests too.
struct PinnerformerScratch final : EncoderScratch {
  explicit PinnerformerScratch(const PinnerformerWeights& weights);

  std::vector<size_t> taken;  // positions of the items that are read
  std::vector<float> tokens;  // history x input.in
  std::vector<float> x;       // history x width
  std::vector<float> first;   // width: x_0 before the layers
  std::vector<float> hidden;  // of output.0
  TransformerScratch transformer;
};

// Of users alone. Tensors `input`, `position.weight` (max_history, H), `time.NAME.period` (P) and
// `time.NAME.phase` (2, P) for absolute, age and gap, `layers.L.*` by PyTorch's names,
// `output.norm`, `output.0`, `output.2`. Options `max_history`, `heads`, `activation` of the layers
// "gelu" (also when it is absent) or "relu", and `norm` "pre".
absl::StatusOr<std::unique_ptr<Encoder>> MakePinnerformerEncoder(const Manifest::Encoder& encoder,
                                                                 const SafetensorsFile& file,
                                                                 const TrainedVectors& trained);

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_ENCODERS_PINNERFORMER_ENCODER_H_
