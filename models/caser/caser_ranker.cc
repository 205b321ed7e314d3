#include "models/caser/caser_ranker.h"

#include <algorithm>
#include <limits>
#include <span>
#include <string>
#include <utility>

#include "models/math/elementwise.h"
#include "models/math/kernels.h"

namespace groundswell {
namespace {

// out (n_h) = max over all windows within the first `positions` of the picture of
// ReLU(W [P_begin .. P_begin+k-1] + b); 0 where there is none.
void MaxOverWindows(const DenseLayer& filter, size_t width, size_t positions, CaserScratch& scratch,
                    std::span<float> out) {
  std::fill(out.begin(), out.end(), 0.0f);  // where ReLU's maximum begins
  const size_t k = filter.in() / width;
  if (positions < k) return;
  const size_t count = positions - k + 1;
  // A window's product is the sum of its positions'.
  for (size_t offset = 0; offset < k; ++offset) {
    Multiply({scratch.picture.data() + offset * width, width},
             {filter.weight.values.data() + offset * width * out.size(), out.size()},
             {scratch.windows.data(), out.size()}, count, out.size(), width,
             /*accumulate=*/offset > 0);
  }
  for (size_t window = 0; window < count; ++window) {
    const float* const product = scratch.windows.data() + window * out.size();
    for (size_t i = 0; i < out.size(); ++i) out[i] = std::max(out[i], product[i] + filter.bias[i]);
  }
}

// Writes the features of all horizontal filters to `out`; returns what is left of it.
std::span<float> WriteHorizontal(const CaserFilters& filters, size_t positions,
                                 CaserScratch& scratch, std::span<float> out) {
  for (const DenseLayer& filter : filters.horizontal) {
    MaxOverWindows(filter, filters.width, positions, scratch, out.first(filter.out()));
    out = out.subspan(filter.out());
  }
  return out;
}

class CaserRanker final : public SequenceRanker {
 public:
  CaserRanker(std::string name, CaserWeights weights)
      : SequenceRanker(std::move(name), weights.precision), weights_(std::move(weights)) {}

  RankerShape shape() const override {
    return {.user_rows = weights_.users,
            .item_rows = weights_.items.rows,
            .recent_items = weights_.max_history};
  }

  std::unique_ptr<RankerScratch> NewScratch(size_t block_size) const override {
    return std::make_unique<CaserScratch>(weights_, block_size);
  }

  absl::Status PrepareUser(const UserFeatures& user, RankerScratch& of_thread) const override {
    if (user.recent_items.empty()) return NoHistory();
    auto& scratch = static_cast<CaserScratch&>(of_thread);
    if (!is_deeprec()) {
      PrepareOriginal(user, scratch);
      return absl::OkStatus();
    }
    const SequenceItems& items = weights_.items;
    const auto item_part = [&](uint32_t item) { return items.ItemPart(item); };
    const auto cate_part = [&](uint32_t item) { return items.CategoryPart(item); };
    const std::span<float> of_cate =
        WritePart(weights_.item, item_part, user.recent_items, scratch, scratch.features);
    WritePart(weights_.cate, cate_part, user.recent_items, scratch, of_cate);
    PrepareHeadUser(weights_.head, scratch.features, scratch.head);
    return absl::OkStatus();
  }

  void ScoreItems(const ItemFeatures& items, RankerScratch& of_thread,
                  std::span<float> logits) const override {
    auto& scratch = static_cast<CaserScratch&>(of_thread);
    if (is_deeprec()) {
      const std::span<float> prepared =
          std::span(scratch.head.prepared).first(items.rows.size() * prepared_width());
      PrepareItems(items, scratch, prepared);
      ScorePrepared(prepared, scratch, logits);
      return;
    }
    const size_t width = scratch.output.size();
    for (size_t i = 0; i < logits.size(); ++i) {
      const uint32_t row = items.rows[i];
      logits[i] = row == 0 ? -std::numeric_limits<float>::infinity()
                           : Dot(weights_.output.subspan(row * width, width), scratch.output) +
                                 weights_.bias[row];
    }
  }

  size_t prepared_width() const override {
    return is_deeprec() ? weights_.head.prepared_width() : 0;
  }

  void PrepareItems(const ItemFeatures& items, RankerScratch& scratch,
                    std::span<float> prepared) const override {
    if (!is_deeprec()) return;
    PrepareHeadItems(weights_.head, weights_.items, items.rows,
                     static_cast<CaserScratch&>(scratch).head, prepared);
  }

  void ScorePrepared(std::span<const float> prepared, RankerScratch& of_thread,
                     std::span<float> logits) const override {
    if (!is_deeprec()) return;
    auto& scratch = static_cast<CaserScratch&>(of_thread);
    ScoreHeadPrepared(weights_.head, prepared, scratch.head, scratch.products, logits);
  }

 private:
  bool is_deeprec() const { return weights_.variant == CaserVariant::kDeeprec; }

  // deeprec: writes a part's features to `out`; returns what is left of it.
  template <typename Row>
  std::span<float> WritePart(const CaserFilters& filters, const Row& row_of,
                             std::span<const uint32_t> newest_first, CaserScratch& scratch,
                             std::span<float> out) const {
    const size_t n = LengthOf(newest_first, weights_.max_history);
    const size_t positions = weights_.padding == CaserPadding::kMasked ? n : weights_.max_history;
    for (size_t position = 0; position < positions; ++position) {
      const std::span<const float> row =
          row_of(position < n ? ItemAt(newest_first, n, position) : 0);
      std::copy(row.begin(), row.end(), scratch.picture.data() + position * filters.width);
    }
    const std::span<float> vertical = out.first(filters.vertical.out());
    RowTimes(std::span(scratch.picture).first(positions * filters.width),
             filters.vertical.weight.values, vertical);
    AddRelu(filters.vertical.bias, vertical);
    return WriteHorizontal(filters, positions, scratch, out.subspan(vertical.size()));
  }

  void PrepareOriginal(const UserFeatures& user, CaserScratch& scratch) const {
    const size_t l = weights_.max_history;
    const size_t d = weights_.items.width();
    const size_t n = LengthOf(user.recent_items, l);
    for (size_t position = 0; position < l; ++position) {
      const size_t padding = l - n;  // in front
      const uint32_t item =
          position < padding ? 0 : ItemAt(user.recent_items, n, position - padding);
      weights_.items.Embed(item, std::span(scratch.picture).subspan(position * d, d));
    }
    std::span<float> left = scratch.features;
    for (size_t filter = 0; filter < weights_.vertical_bias.size(); ++filter) {
      const std::span<float> out = left.first(d);
      RowTimes(weights_.vertical.subspan(filter * l, l), std::span(scratch.picture).first(l * d),
               out);
      for (float& value : out) value += weights_.vertical_bias[filter];
      left = left.subspan(d);
    }
    WriteHorizontal(weights_.filters, l, scratch, left);
    const std::span<float> z = std::span(scratch.output).first(weights_.fc.out());
    RowTimes(scratch.features, weights_.fc.weight.values, z);
    AddRelu(weights_.fc.bias, z);
    const auto of_user =
        weights_.user_embed.subspan(user.row * weights_.user_width, weights_.user_width);
    std::copy(of_user.begin(), of_user.end(), scratch.output.data() + z.size());
  }

  const CaserWeights weights_;
};

size_t WidestHorizontal(const CaserWeights& weights) {
  if (weights.variant == CaserVariant::kOriginal) return weights.filters.horizontal[0].out();
  return std::max(weights.item.horizontal[0].out(), weights.cate.horizontal[0].out());
}

}  // namespace

// The products of windows read up to kRowGranularity rows behind the last position.
CaserScratch::CaserScratch(const CaserWeights& weights, size_t block_size)
    : picture((weights.max_history + kRowGranularity) * weights.items.width()),
      windows(PaddedRows(weights.max_history) * WidestHorizontal(weights)),
      features(weights.features()),
      output(weights.fc.out() + weights.user_width),
      head(weights.head, block_size) {}

absl::StatusOr<std::unique_ptr<Ranker>> MakeCaserRanker(const Manifest::Model& model,
                                                        const SafetensorsFile& file) {
  absl::StatusOr<CaserWeights> weights = LoadCaserWeights(file, model.options);
  if (!weights.ok()) return weights.status();
  return std::unique_ptr<Ranker>(new CaserRanker(model.name, *std::move(weights)));
}

}  // namespace groundswell
