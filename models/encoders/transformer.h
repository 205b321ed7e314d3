// Layers of PyTorch's TransformerEncoderLayer, by its names, over the tokens of one target. A
// target's tokens are computed by themselves, so that others do not change its bits.
#ifndef GROUNDSWELL_MODELS_ENCODERS_TRANSFORMER_H_
#define GROUNDSWELL_MODELS_ENCODERS_TRANSFORMER_H_

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "models/files/checkpoint_reader.h"
#include "models/sequence/layers.h"

namespace groundswell {

inline constexpr size_t kTransformerLayersMax = 16;
inline constexpr size_t kTransformerHeadsMax = 64;

// In double, with an eps of 1e-5.
struct LayerNorm {
  std::vector<float> weight, bias;
};
LayerNorm ReadLayerNorm(CheckpointReader& reader, const std::string& name, size_t width);
// `out` may be `x`.
void ApplyLayerNorm(const LayerNorm& norm, std::span<const float> x, std::span<float> out);

// x = GELU(x), the one with erf.
void ApplyGelu(std::span<float> x);

// x = x / max(|x|, 1e-12)
void NormalizeLength(std::span<float> x);

// out (rows x out) = x W + b; of one row without room for more (models/math/kernels.h).
void ApplyToRows(const DenseLayer& layer, const float* x, size_t rows, float* out);

struct TransformerOptions {
  size_t heads = 1;
  bool is_pre_norm = false;  // else norms follow
  bool is_relu = false;      // else GELU
  bool is_causal = false;    // token t reads itself and those behind it
};

struct TransformerLayer {
  TransformerOptions options;
  DenseLayer query, key_value, output, linear1, linear2;
  LayerNorm norm1, norm2;
};

// NAME.layers.0, NAME.layers.1 .. as many as there are, at least one; NAME has its dot, or is
// empty.
std::vector<TransformerLayer> ReadTransformer(CheckpointReader& reader, const std::string& name,
                                              size_t width, const TransformerOptions& options);

// Working memory for up to so many tokens.
struct TransformerScratch {
  TransformerScratch(const std::vector<TransformerLayer>& layers, size_t tokens);

  std::vector<float> normed, query, key_value, attended, product, hidden, scores;
};

// Applies the layers to `tokens` rows of x, whose padding rows exist. Only the first row of the
// result is of use: of the last layer it alone is made.
void ApplyTransformer(const std::vector<TransformerLayer>& layers, size_t tokens, float* x,
                      TransformerScratch& scratch);

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_ENCODERS_TRANSFORMER_H_
