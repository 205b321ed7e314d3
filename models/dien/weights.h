// The tensors of a DIEN checkpoint (AAAI 2019, arXiv 1809.03672), checked and split.
#ifndef GROUNDSWELL_MODELS_DIEN_WEIGHTS_H_
#define GROUNDSWELL_MODELS_DIEN_WEIGHTS_H_

#include <cstddef>
#include <map>
#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "models/files/safetensors.h"
#include "models/math/weight.h"
#include "models/sequence/gru.h"
#include "models/sequence/items.h"
#include "models/sequence/layers.h"
#include "models/sequence/target_attention.h"

namespace groundswell {

enum class DienVariant {
  kDeeprec,   // logit = head([t | s | S | t * S]), S = sum X
  kOriginal,  // logit = head([user | t | S | t * S | s])
};

// What the attention and the AUGRU read: the states of a GRU over the history, or its embeddings.
enum class DienFirstLayer { kGru, kNone };

// head.0, split by what its inputs depend on.
struct DienHeadParts {
  DenseLayer target;   // d: t
  DenseLayer product;  // d: t * S
  DenseLayer state;    // g: s
  DenseLayer sum;      // d: S, with the bias
  DenseLayer user;     // d_u, original
};

// Immutable. Spans point into the file's bytes, which `file` keeps alive.
struct DienWeights {
  SafetensorsFile file;
  DienVariant variant = DienVariant::kDeeprec;
  DienFirstLayer first_layer = DienFirstLayer::kGru;
  AugruUpdate update = AugruUpdate::kCode;
  Precision asked = Precision::kF32;  // the manifest's; served is f32
  size_t max_history = 0;             // L
  SequenceItems items;                // d wide
  Gru gru;                            // h
  TargetAttention attention;
  Gru augru;  // g; its input is h wide
  Mlp head;
  DienHeadParts parts;
  std::span<const float> user_embed;  // original: users x user_width
  size_t users = 0;
  size_t user_width = 0;  // d_u

  // h: of what the attention and the AUGRU read.
  size_t interest_width() const { return augru.input.in(); }
};

// `options` are the manifest's (docs/snapshot.md). Errors: see CheckpointReader.
absl::StatusOr<DienWeights> LoadDienWeights(const SafetensorsFile& file,
                                            const std::map<std::string, std::string>& options);

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_DIEN_WEIGHTS_H_
