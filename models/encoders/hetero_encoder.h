// OmniSage (arXiv 2504.17811) and MultiBiSage (arXiv 2205.10666): a transformer over what a target
// is itself and over its neighbours by several relations.
//
//   self token   MLP_self(x_v)                            MLP: NAME.0, ReLU, NAME.2
//   neighbour    MLP_r(x_j) * (g_r log(1 + weight) + c_r); of entities R.embed.weight's row instead
//   "one"        [cls, self, all neighbours] + position
//   "per_graph"  per relation [R.cls, self, its neighbours] + R.position -> R.layers, token 0 =
//   g_r;
//                then [cls, g_1, ..] + position
//   vector       l2( output.2 GELU( output.0 token 0 behind the layers ) )
//
// A place of `position` belongs to each place of each relation; of what is missing it is not used.
#ifndef GROUNDSWELL_MODELS_ENCODERS_HETERO_ENCODER_H_
#define GROUNDSWELL_MODELS_ENCODERS_HETERO_ENCODER_H_

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

inline constexpr size_t kHeteroRelationsMax = 16;
inline constexpr size_t kHeteroNeighborsMax = 1'000;  // of all relations together

// NAME.0, ReLU, NAME.2
struct HeteroMlp {
  DenseLayer first, second;
};

struct HeteroRelation {
  HeteroMlp mlp;                           // of items
  std::span<const float> embed;            // of entities: rows x H, row 0 unknown
  std::span<const float> gate, gate_bias;  // H
  // Of fusion "per_graph".
  std::span<const float> cls;       // H
  std::span<const float> position;  // (2 + neighbours) x H
  std::vector<TransformerLayer> layers;
};

// Immutable. Spans point into the file's bytes, which `file` keeps alive.
struct HeteroWeights {
  SafetensorsFile file;
  bool is_per_graph = false;
  size_t width = 0;  // H
  size_t features = 0;
  std::vector<std::string> names;         // which `relations` views
  std::vector<EncoderRelation> shapes;    // by relation
  std::vector<HeteroRelation> relations;  // likewise
  HeteroMlp self;
  std::span<const float> cls;       // H
  std::span<const float> position;  // slots x H
  std::vector<TransformerLayer> layers;
  DenseLayer output0, output2;

  size_t neighbors() const;  // at most, of all relations
};

// The intermediates of the target that was encoded last, for tests too.
struct HeteroScratch final : EncoderScratch {
  explicit HeteroScratch(const HeteroWeights& weights);

  std::vector<float> self;                       // H
  std::vector<float> features;                   // of one relation's neighbours, side by side
  std::vector<float> hidden;                     // of their MLP
  std::vector<float> neighbors;                  // of one relation x H
  std::vector<float> tokens;                     // of one sequence x H
  std::vector<float> graphs;                     // relations x H: g_r
  std::vector<float> summary;                    // H: token 0 behind the layers
  std::vector<float> output;                     // of output.0
  std::vector<TransformerScratch> transformers;  // of the relations, if any, then the last one
};

// Tensors `self.{0,2}`, `cls` (H), `position.weight` (2 + all neighbours, H; of "per_graph" 1 +
// relations), `layers.L.*` by PyTorch's names, `output.{0,2}`; per relation R `R.gate.weight` (H,
// 1), `R.gate.bias`, `R.mlp.{0,2}` or `R.embed.weight`, and of "per_graph" `R.cls`,
// `R.position.weight`, `R.layers.L.*`. Options `fusion`, `relations`
// "NAME:item:NEIGHBOURS,NAME:entity:NEIGHBOURS,..", `heads`, `activation` "gelu" (also when it is
// absent) or "relu", `norm` "post" (also when it is absent) or "pre".
absl::StatusOr<std::unique_ptr<Encoder>> MakeHeteroEncoder(const Manifest::Encoder& encoder,
                                                           const SafetensorsFile& file,
                                                           const TrainedVectors& trained);

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_ENCODERS_HETERO_ENCODER_H_
