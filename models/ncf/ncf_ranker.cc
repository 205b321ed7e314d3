#include "models/ncf/ncf_ranker.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <string>
#include <utility>

#include "models/math/elementwise.h"
#include "models/math/kernels.h"

namespace groundswell {
namespace {

// Stands first in what is kept of an item without a row, which comes last.
constexpr float kNcfUnknown = -std::numeric_limits<float>::infinity();

class NcfRanker final : public SequenceRanker {
 public:
  NcfRanker(std::string name, NcfWeights weights)
      : SequenceRanker(std::move(name), weights.precision), weights_(std::move(weights)) {}

  RankerShape shape() const override {
    return {.user_rows = weights_.user_gmf.rows, .item_rows = weights_.item_gmf.rows};
  }

  std::unique_ptr<RankerScratch> NewScratch(size_t block_size) const override {
    return std::make_unique<NcfScratch>(weights_, block_size);
  }

  absl::Status PrepareUser(const UserFeatures& user, RankerScratch& of_thread) const override {
    if (user.row == 0) {
      return absl::FailedPreconditionError(
          "the user came after the snapshot, so the model has no embedding to rank by");
    }
    auto& scratch = static_cast<NcfScratch&>(of_thread);
    const std::span<const float> gmf = weights_.user_gmf.Row(user.row);
    for (size_t k = 0; k < gmf.size(); ++k) scratch.gmf[k] = weights_.output_gmf[k] * gmf[k];
    const DenseLayer& first = weights_.first_of_user;
    RowTimes(weights_.user_mlp.Row(user.row), first.weight.values, scratch.first);
    AddScaled(first.bias, 1.0f, scratch.first);
    return absl::OkStatus();
  }

  void ScoreItems(const ItemFeatures& items, RankerScratch& of_thread,
                  std::span<float> logits) const override {
    const std::span<float> prepared = std::span(static_cast<NcfScratch&>(of_thread).prepared)
                                          .first(items.rows.size() * prepared_width());
    PrepareItems(items, of_thread, prepared);
    ScorePrepared(prepared, of_thread, logits);
  }

  size_t prepared_width() const override {
    return weights_.first_of_item.out() + weights_.item_gmf.width;
  }

  // [first_of_item item_mlp_i | item_gmf_i], or kNcfUnknown.
  void PrepareItems(const ItemFeatures& items, RankerScratch& of_thread,
                    std::span<float> prepared) const override {
    auto& scratch = static_cast<NcfScratch&>(of_thread);
    const DenseLayer& first = weights_.first_of_item;
    for (size_t i = 0; i < items.rows.size(); ++i) {
      const std::span<const float> item = weights_.item_mlp.Row(items.rows[i]);
      std::copy(item.begin(), item.end(), scratch.targets.begin() + i * item.size());
    }
    MultiplyInF32(first, {scratch.targets.data(), first.in()}, items.rows.size(),
                  scratch.layer.data());
    for (size_t i = 0; i < items.rows.size(); ++i) {
      float* const out = prepared.data() + i * prepared_width();
      const std::span<const float> gmf = weights_.item_gmf.Row(items.rows[i]);
      std::copy_n(scratch.layer.data() + i * first.out(), first.out(), out);
      std::copy(gmf.begin(), gmf.end(), out + first.out());
      if (items.rows[i] == 0) out[0] = kNcfUnknown;
    }
  }

  void ScorePrepared(std::span<const float> prepared, RankerScratch& of_thread,
                     std::span<float> logits) const override {
    auto& scratch = static_cast<NcfScratch&>(of_thread);
    const size_t n = logits.size();
    size_t width = weights_.first_of_item.out();
    for (size_t i = 0; i < n; ++i) {
      const auto row = std::span(scratch.layer).subspan(i * width, width);
      std::copy_n(prepared.data() + i * prepared_width(), width, row.begin());
      if (row[0] == kNcfUnknown) std::fill(row.begin(), row.end(), 0.0f);
      AddRelu(scratch.first, row);
    }
    for (const DenseLayer& layer : weights_.behind) {
      MultiplyByWeight({scratch.layer.data(), width}, layer.weight, n, scratch.next.data(),
                       scratch.products);
      width = layer.out();
      for (size_t i = 0; i < n; ++i) {
        AddRelu(layer.bias, std::span(scratch.next).subspan(i * width, width));
      }
      std::swap(scratch.layer, scratch.next);
    }
    for (size_t i = 0; i < n; ++i) {
      const std::span<const float> kept = prepared.subspan(i * prepared_width(), prepared_width());
      const std::span<const float> z = std::span(scratch.layer).subspan(i * width, width);
      logits[i] = kept[0] == kNcfUnknown ? kNcfUnknown
                                         : weights_.output_bias + Dot(weights_.output_mlp, z) +
                                               Dot(scratch.gmf, kept.last(scratch.gmf.size()));
    }
  }

 private:
  const NcfWeights weights_;
};

size_t WidestNcfLayer(const NcfWeights& weights) {
  size_t widest = weights.first_of_item.out();
  for (const DenseLayer& layer : weights.behind) widest = std::max(widest, layer.out());
  return widest;
}

}  // namespace

NcfScratch::NcfScratch(const NcfWeights& weights, size_t block_size)
    : gmf(weights.item_gmf.width),
      first(weights.first_of_user.out()),
      targets(PaddedRows(block_size) * weights.first_of_item.in()),
      prepared(block_size * (weights.first_of_item.out() + weights.item_gmf.width)),
      layer(PaddedRows(block_size) * WidestNcfLayer(weights)),
      next(layer.size()) {}

absl::StatusOr<std::unique_ptr<Ranker>> MakeNcfRanker(const Manifest::Model& model,
                                                      const SafetensorsFile& file) {
  absl::StatusOr<NcfWeights> weights = LoadNcfWeights(file, model.options);
  if (!weights.ok()) return weights.status();
  return std::unique_ptr<Ranker>(new NcfRanker(model.name, *std::move(weights)));
}

}  // namespace groundswell
