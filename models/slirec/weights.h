// The tensors of a SLi-Rec checkpoint (IJCAI 2019), as Microsoft's deeprec has them, checked and
// split.
#ifndef GROUNDSWELL_MODELS_SLIREC_WEIGHTS_H_
#define GROUNDSWELL_MODELS_SLIREC_WEIGHTS_H_

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "models/files/safetensors.h"
#include "models/math/weight.h"
#include "models/sequence/items.h"
#include "models/sequence/layers.h"
#include "models/sequence/target_attention.h"

namespace groundswell {

// Whether the positions without an item take part in the long-term softmax, and leave their 0 as
// the time of the newest item.
enum class SlirecPadding { kIncluded, kMasked };

// What `last` of an item is: the time from the first action to the next item, or from the item
// before.
enum class SlirecTimeLast { kFirstAction, kPreviousAction };

// The LSTM with two time gates, split into what its layers read: y, the item's embedding without
// its category; m, the state; tn and tl, the layers of the times.
struct SlirecLstm {
  // d_i x 6h, with the biases: the gates [input | new | forget | output], then of the gates of the
  // time to now and of the last one.
  DenseLayer input;
  DenseLayer gates_state;          // h x 4h, of m
  DenseLayer now_time, last_time;  // h x h, of tn and of tl
  DenseLayer output_time;          // 2h x h, of [tn | tl]
  // tn = tanh(time * scale + bias), likewise tl; h.
  std::span<const float> now_scale, now_bias, last_scale, last_bias;
};

// Immutable. Spans point into the file's bytes, which `file` keeps alive.
struct SlirecWeights {
  SafetensorsFile file;
  SlirecPadding padding = SlirecPadding::kIncluded;
  SlirecTimeLast time_last = SlirecTimeLast::kFirstAction;
  double time_unit_us = 0;
  Precision precision = Precision::kF32;
  size_t max_history = 0;             // L
  SequenceItems items;                // d = h wide
  std::span<const float> long_query;  // d
  SlirecLstm lstm;
  TargetAttention attention;             // of the LSTM's states
  Mlp alpha;                             // of [t | long | short | tau]
  DenseLayer alpha_target, alpha_short;  // d x hidden
  DenseLayer alpha_long;                 // d x hidden, with the bias
  DenseLayer alpha_tau;                  // 1 x hidden
  Mlp head;                              // of [a long + (1 - a) short | t]
  DenseLayer head_blend, head_target;    // d x hidden; the blend's has the bias

  size_t width() const { return items.width(); }
};

// `options` are the manifest's (docs/snapshot.md). Errors: see CheckpointReader.
absl::StatusOr<SlirecWeights> LoadSlirecWeights(const SafetensorsFile& file,
                                                const std::map<std::string, std::string>& options);

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_SLIREC_WEIGHTS_H_
