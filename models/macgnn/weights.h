// The tensors of a MacGNN checkpoint (WWW 2024, arXiv 2401.14939), checked, and what is computed
// from them once.
#ifndef GROUNDSWELL_MODELS_MACGNN_WEIGHTS_H_
#define GROUNDSWELL_MODELS_MACGNN_WEIGHTS_H_

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "models/files/safetensors.h"
#include "models/math/elementwise.h"
#include "models/math/transcendental.h"
#include "models/math/weight.h"

namespace groundswell {

// Sizes; all of them come from the tensors and the manifest.
struct MacgnnShape {
  size_t d = 0;              // width of the embeddings
  size_t h = 0;              // 2 d, width of an aggregate
  size_t hidden1 = 0;        // rows of mlp.0
  size_t hidden2 = 0;        // rows of mlp.2
  size_t users = 0;          // rows of user_embed, row 0 included
  size_t items = 0;          // rows of item_embed, row 0 included
  size_t user_clusters = 0;  // P
  size_t item_clusters = 0;  // Q
  size_t recent_len = 0;     // L

  size_t half() const { return d + 3 * h; }  // 7 d: what one side adds to the concatenation
  size_t concat() const { return 2 * half(); }
};

// What the manifest's "attention" says the aggregation weighs neighbours by.
enum class MacgnnAttention {
  kNone,        // 1: what the authors' checkpoints compute
  kNeighbours,  // softmax over the neighbours, as eq. 7 intends
};

// Frozen statistics and slope of one Dice layer.
struct MacgnnDice {
  std::span<const float> mean;
  std::vector<float> inverse_std;
  float alpha = 0;

  DiceLayer layer() const { return {mean, inverse_std, alpha}; }
};

// What is computed from one side's embeddings and its shared aggregator at load. The attention of a
// neighbour's embedding e to a key is (Q e) . (K key) / sqrt(h) = e' B key, B = Q' K / sqrt(h).
struct MacgnnSide {
  std::vector<float> value;           // V' (d x h)
  std::vector<float> score;           // B (d x d)
  std::vector<float> cluster_values;  // E V' of the clusters (rows x h)
  std::vector<float> cluster_scores;  // E B (rows x d)
};

// Immutable. Spans point into the file's bytes, which `file` keeps alive.
struct MacgnnWeights {
  SafetensorsFile file;
  MacgnnShape shape;
  MacgnnAttention attention = MacgnnAttention::kNone;
  Precision precision = Precision::kF32;
  float inverse_tau = 1;

  std::span<const float> user_embed;  // users x d
  std::span<const float> item_embed;  // items x d
  std::span<const float> mlp0;        // hidden1 x 14d
  std::span<const float> bias0;
  MacgnnDice dice1;
  std::span<const float> bias2;
  MacgnnDice dice3;
  std::span<const float> mlp4;  // hidden2
  float bias4 = 0;

  // Computed at load. The first layer is split by what its inputs depend on; [ir] is the layer's
  // product with V_u, whose input is the weighted sum of embeddings.
  std::vector<float> user_layer;  // [user_embed | u1 | u2 | ur] x hidden1
  Weight item_layer;              // [item_embed | i2], without attention also [| i1 | ir] x hidden1
  Weight pair_layer;              // with attention: [i1 | [ir] | u1 | ur] x hidden1
  Weight second_layer;            // hidden1 x hidden2
  MacgnnSide users;               // of user_embed, u_macro_embed and their aggregator
  MacgnnSide items;
  std::vector<Lanes> user_rows;  // user_embed, to be gathered
};

// `options` are the manifest's: attention ("none" or "neighbours"), tau, recent_len, and precision
// ("f32" or "bf16") if it is there. Every error of theirs is an InvalidArgument that names the
// option or the tensor, what it is, and the remedy; a checkpoint without frozen Dice statistics is
// told how to freeze them.
absl::StatusOr<MacgnnWeights> LoadMacgnnWeights(const SafetensorsFile& file,
                                                const std::map<std::string, std::string>& options);

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_MACGNN_WEIGHTS_H_
