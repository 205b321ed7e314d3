#include "models/encoders/layered_encoder.h"

#include "models/encoders/transformer.h"

namespace groundswell {

void LayeredEncoder::Encode(const EncoderInput& input, EncoderScratch& of_thread,
                            std::span<float> out, std::span<bool> known) const {
  auto& scratch = static_cast<LayeredScratch&>(of_thread);
  LayerRows rows{.features = input.blocks.features, .made = {}};
  for (size_t layer = 0; layer < input.blocks.layers.size(); ++layer) {
    const EncoderBlock& block = input.blocks.layers[layer];
    const size_t width = WidthOfLayer(layer);
    float* const made =
        LayeredScratch::Reserve(scratch.made[layer], PaddedRows(block.self.size()) * width);
    ApplyLayer(layer, block, rows, scratch, made);
    rows = {.features = {}, .made = std::span(made, block.self.size() * width), .width = width};
  }
  rows = FinishTargets(rows, scratch);
  for (size_t t = 0; t < input.targets; ++t) {
    const std::span<float> vector = out.subspan(t * dim_, dim_);
    const std::span<const float> row = rows[t];
    std::copy(row.begin(), row.end(), vector.begin());
    if (is_normalized_) NormalizeLength(vector);
    known[t] = KeepIfUsable(vector);
  }
}

LayerRows LayeredEncoder::FinishTargets(const LayerRows& top, LayeredScratch& /*scratch*/) const {
  return top;
}

}  // namespace groundswell
