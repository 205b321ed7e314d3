// What encoders share that work layer by layer: each layer makes a row of every node of its list,
// out of what the layer below made of the node itself and of its neighbours. Layer 0 are features.
#ifndef GROUNDSWELL_MODELS_ENCODERS_LAYERED_ENCODER_H_
#define GROUNDSWELL_MODELS_ENCODERS_LAYERED_ENCODER_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/encoder.h"
#include "models/encoders/target_encoder.h"
#include "models/files/manifest.h"
#include "models/math/kernels.h"
#include "models/sequence/layers.h"

namespace groundswell {

inline constexpr size_t kLayeredLayersMax = 8;
inline constexpr size_t kLayeredFeaturesMax = 65'536;

// The rows of one list.
struct LayerRows {
  std::span<const std::span<const float>> features;  // of layer 0
  std::span<const float> made;                       // of the others, row-major
  size_t width = 0;                                  // of `made`

  size_t size() const { return width > 0 ? made.size() / width : features.size(); }
  std::span<const float> operator[](size_t node) const {
    return width > 0 ? VectorRow(made, width, node) : features[node];
  }
};

// Working memory that grows with the lists. `made` and `head` are for tests too.
struct LayeredScratch final : EncoderScratch {
  explicit LayeredScratch(size_t layers) : made(layers) {}

  // At least so many floats; what is in them stays.
  static float* Reserve(std::vector<float>& values, size_t count) {
    if (values.size() < count) values.resize(count);
    return values.data();
  }

  std::vector<std::vector<float>> made;  // by layer: padded nodes x its width
  std::vector<float> gathered;           // the input of one product, kRowsAtOnce rows
  std::vector<float> prepared;           // of all nodes below
  std::vector<float> self, neighbor;     // products, of one side's nodes
  std::vector<float> hidden, head;       // behind the last layer, of all targets
  std::vector<double> scores;            // of one node's neighbours
  std::vector<uint32_t> order;           // the nodes of one side
};

// out (padded count x out) = W x_i + b, where gather(i, x) writes the i-th x. Each product has the
// same bits whatever the count and its place: kernels.h.
template <typename Gather>
void ApplyToGathered(const DenseLayer& layer, size_t count, const Gather& gather,
                     LayeredScratch& scratch, float* out) {
  const size_t in = layer.in();
  float* const gathered = LayeredScratch::Reserve(scratch.gathered, kRowsAtOnce * in);
  for (size_t begin = 0; begin < count; begin += kRowsAtOnce) {
    const size_t rows = std::min(kRowsAtOnce, count - begin);
    for (size_t i = 0; i < rows; ++i) gather(begin + i, std::span(gathered + i * in, in));
    ApplyInF32(layer, {gathered, in}, rows, out + begin * layer.out());
  }
}

class LayeredEncoder : public Encoder {
 public:
  LayeredEncoder(const Manifest::Encoder& encoder, size_t dim, bool is_normalized)
      : name_(encoder.name), side_(encoder.side), dim_(dim), is_normalized_(is_normalized) {}

  std::string_view name() const final { return name_; }
  EncoderSide side() const final { return side_; }
  std::unique_ptr<EncoderScratch> NewScratch() const final {
    return std::make_unique<LayeredScratch>(shape().layers);
  }
  void Encode(const EncoderInput& input, EncoderScratch& scratch, std::span<float> out,
              std::span<bool> known) const final;

 protected:
  size_t dim() const { return dim_; }

 private:
  // Numbers of a row that the layer makes.
  virtual size_t WidthOfLayer(size_t layer) const = 0;
  // Writes a row for each node of the block into `made`, which has room for padded rows.
  virtual void ApplyLayer(size_t layer, const EncoderBlock& block, const LayerRows& below,
                          LayeredScratch& scratch, float* made) const = 0;
  // What the vectors are, before their length is made 1: the last layer's rows, unless a kind has
  // more behind it.
  virtual LayerRows FinishTargets(const LayerRows& top, LayeredScratch& scratch) const;

  const std::string name_;
  const EncoderSide side_;
  const size_t dim_;
  const bool is_normalized_;  // vectors are l2'd
};

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_ENCODERS_LAYERED_ENCODER_H_
