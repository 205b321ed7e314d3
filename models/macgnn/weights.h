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
#include "models/ranker.h"
#include "models/safetensors.h"

namespace groundswell {

// Sizes; all of them come from the tensors and the manifest.
struct MacgnnShape {
  size_t d = 0;           // width of the embeddings
  size_t h = 0;           // 2 d, width of an aggregate
  size_t hidden1 = 0;     // rows of mlp.0
  size_t hidden2 = 0;     // rows of mlp.2
  size_t users = 0;       // rows of user_embed, row 0 included
  size_t items = 0;       // rows of item_embed, row 0 included
  size_t user_nodes = 0;  // P
  size_t item_nodes = 0;  // Q
  size_t recent_len = 0;  // L

  size_t half() const { return d + 3 * h; }  // 7 d: what one side adds to the concatenation
  size_t concat() const { return 2 * half(); }
};

// What the manifest's "attention" says the aggregation weighs neighbours by.
enum class MacgnnAttention {
  kNone,        // 1: what the authors' checkpoints compute
  kNeighbours,  // softmax over the neighbours, as eq. 7 intends
};

// One side's shared aggregator: weights (h x d), without bias.
struct MacgnnAggregator {
  std::span<const float> query;
  std::span<const float> key;
  std::span<const float> value;
};

// Frozen statistics and slope of one Dice layer.
struct MacgnnDice {
  std::span<const float> mean;
  std::vector<float> inverse_std;
  float alpha = 0;
};

// Immutable. Spans point into the file's bytes, which `file` keeps alive.
struct MacgnnWeights {
  SafetensorsFile file;
  MacgnnShape shape;
  MacgnnAttention attention = MacgnnAttention::kNone;
  float inverse_tau = 1;

  std::span<const float> user_embed;  // users x d
  std::span<const float> item_embed;  // items x d
  MacgnnAggregator user_aggregator;
  MacgnnAggregator item_aggregator;
  std::span<const float> mlp0;  // hidden1 x 14d
  std::span<const float> bias0;
  MacgnnDice dice1;
  std::span<const float> mlp2;  // hidden2 x hidden1
  std::span<const float> bias2;
  MacgnnDice dice3;
  std::span<const float> mlp4;  // hidden2
  float bias4 = 0;

  // Computed at load.
  std::vector<float> mlp0_transposed;    // 14d x hidden1
  std::vector<float> mlp2_transposed;    // hidden1 x hidden2
  std::vector<float> user_node_values;   // V_u E: P x h
  std::vector<float> item_node_values;   // V_i E: Q x h
  std::vector<float> user_node_queries;  // Q_u E: P x h
  std::vector<float> item_node_queries;  // Q_i E: Q x h
  // log1p(count) / tau of small counts, which nearly all are.
  std::vector<float> log_counts;
};

// `options` are the manifest's: attention ("none" or "neighbours"), tau, recent_len. Errors name
// the option or the tensor, what it is, and the remedy; a checkpoint without frozen Dice statistics
// is told how to freeze them.
absl::StatusOr<MacgnnWeights> LoadMacgnnWeights(const SafetensorsFile& file,
                                                const std::map<std::string, std::string>& options);

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_MACGNN_WEIGHTS_H_
