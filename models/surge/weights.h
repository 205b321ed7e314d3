// The tensors of a SURGE checkpoint (SIGIR 2021, arXiv 2106.14226), checked, and what is computed
// from them once.
#ifndef GROUNDSWELL_MODELS_SURGE_WEIGHTS_H_
#define GROUNDSWELL_MODELS_SURGE_WEIGHTS_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "models/files/safetensors.h"
#include "models/math/weight.h"
#include "models/sequence/gru.h"
#include "models/sequence/layers.h"

namespace groundswell {

// Which SURGE a checkpoint was trained as; docs/models.md has the differences.
enum class SurgeVariant {
  kAuthors,  // what the authors' published code computes: pooling keeps the best positions
  kPaper,    // the equations as printed: soft pooling into clusters
};

// Sizes; all of them come from the tensors and the manifest.
struct SurgeShape {
  size_t items = 0;           // rows of item_embed, row 0 (unknown) included
  size_t categories = 0;      // rows of cate_embed, row 0 included
  size_t item_width = 0;      // columns of item_embed
  size_t category_width = 0;  // columns of cate_embed
  size_t heads = 0;           // of the metric that the interest graph comes from
  size_t state_width = 0;     // h, of the AUGRU
  size_t max_history = 0;     // L
  size_t pool_length = 0;     // authors: positions kept
  size_t clusters = 0;        // paper: m

  size_t d() const { return item_width + category_width; }
  size_t head_input() const { return state_width + 3 * d(); }
};

// softmax(MLP([a, q, a - q, a * q])), a = W_att x, of the authors' variant. With the first layer
// [W_a W_q W_d W_p], z = (W_a + W_d) a + b + ((W_q - W_d) + W_p diag(a)) q.
struct SurgeAttention {
  DenseLayer transform;      // W_att
  DenseLayer own;            // W_a + W_d, with the first layer's bias
  DenseLayer query;          // W_q - W_d
  DenseLayer query_product;  // W_p
  DenseLayer first;          // the whole first layer, for queries that differ from row to row
  DenseLayer second;
  DenseLayer third;  // one output
};

// MLP([a, t, a * t]), a = W_q x, of the paper's variant. With the first layer [W_a W_t W_p],
// z = W_a a + b + (W_t + W_p diag(a)) t.
struct SurgeQuery {
  DenseLayer transform;
  DenseLayer own;            // W_a, with the first layer's bias
  DenseLayer query;          // W_t
  DenseLayer query_product;  // W_p
  DenseLayer second;         // one output
};

// Immutable. Spans point into the file's bytes, which `file` keeps alive.
struct SurgeWeights {
  SafetensorsFile file;
  SurgeVariant variant = SurgeVariant::kAuthors;
  Precision precision = Precision::kF32;
  SurgeShape shape;

  std::span<const float> item_embed;       // items x item_width
  std::span<const float> cate_embed;       // categories x category_width
  std::vector<uint32_t> category_of_item;  // items
  std::span<const float> metric;           // heads x d
  DenseLayer fusion;
  Gru augru;
  DenseLayer head0, head2, head4;

  SurgeAttention f1, f2, evolution;  // authors
  SurgeQuery query;                  // paper
  DenseLayer pool;                   // paper: d x m

  // out = [item_embed | cate_embed of its category] of one row of the item table.
  void Embed(uint32_t item, std::span<float> out) const;
};

// `options` are the manifest's: variant ("authors" or "paper"), max_history, for the authors'
// variant pool_length, and precision ("f32" or "bf16") if it is there. Every error is an
// InvalidArgument that names the option or the tensor, what it is, and the remedy; a checkpoint
// with unfolded batch normalisation is told how to fold it.
absl::StatusOr<SurgeWeights> LoadSurgeWeights(const SafetensorsFile& file,
                                              const std::map<std::string, std::string>& options);

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_SURGE_WEIGHTS_H_
