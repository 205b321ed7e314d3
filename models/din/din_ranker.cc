#include "models/din/din_ranker.h"

#include <algorithm>
#include <span>
#include <string>
#include <utility>

#include "models/math/kernels.h"

namespace groundswell {
namespace {

class DinRanker final : public SequenceRanker {
 public:
  DinRanker(std::string name, DinWeights weights)
      : SequenceRanker(std::move(name), weights.precision), weights_(std::move(weights)) {}

  RankerShape shape() const override {
    return {.item_rows = weights_.items.rows, .recent_items = weights_.max_history};
  }

  std::unique_ptr<RankerScratch> NewScratch(size_t block_size) const override {
    return std::make_unique<DinScratch>(weights_, block_size);
  }

  absl::Status PrepareUser(const UserFeatures& user, RankerScratch& of_thread) const override {
    if (user.recent_items.empty()) return NoHistory();
    auto& scratch = static_cast<DinScratch&>(of_thread);
    scratch.length =
        EmbedHistory(weights_.items, user.recent_items, weights_.max_history, scratch.history);
    PrepareAttention(weights_.attention, scratch.history.data(), scratch.length, scratch.attention);
    if (is_deeprec()) {
      SumRows(scratch.history, scratch.length, scratch.sum);
      ApplyToRow(weights_.head_of_sum, scratch.sum, scratch.of_user);
    } else {
      const std::vector<float>& bias = weights_.head.first.bias;
      std::copy(bias.begin(), bias.end(), scratch.of_user.begin());
    }
    return absl::OkStatus();
  }

  void ScoreItems(const ItemFeatures& items, RankerScratch& of_thread,
                  std::span<float> logits) const override {
    auto& scratch = static_cast<DinScratch&>(of_thread);
    const size_t n = logits.size();
    const size_t d = weights_.items.width();
    weights_.items.EmbedAll(items.rows, scratch.targets);
    Attend(weights_.attention, scratch.targets.data(), n, scratch.length, scratch.attention,
           scratch.products);
    SumByAttention(scratch.attention, scratch.history.data(), d, n, scratch.length,
                   {scratch.pooled.data(), d});
    FillHeadInput(n, scratch);
    MultiplyInF32(weights_.head_of_candidate,
                  {scratch.input.data(), weights_.head_of_candidate.in()}, n,
                  scratch.head.hidden1.data());
    FinishMlp(weights_.head, scratch.of_user, n, scratch.head, scratch.products,
              {logits.data(), 1});
    if (is_deeprec()) return;
    for (size_t i = 0; i < n; ++i) logits[i] += weights_.item_bias[items.rows[i]];
  }

 private:
  bool is_deeprec() const { return weights_.variant == DinVariant::kDeeprec; }

  // deeprec [t | pooled]; original [u | t | u * t].
  void FillHeadInput(size_t n, DinScratch& scratch) const {
    const size_t d = weights_.items.width();
    if (!is_deeprec()) {
      ApplyInF32(weights_.user, {scratch.pooled.data(), d}, n, scratch.user.data());
    }
    for (size_t row = 0; row < n; ++row) {
      const float* const t = scratch.targets.data() + row * d;
      if (is_deeprec()) {
        float* const out = scratch.input.data() + row * 2 * d;
        std::copy_n(t, d, out);
        std::copy_n(scratch.pooled.data() + row * d, d, out + d);
        continue;
      }
      const float* const u = scratch.user.data() + row * d;
      float* const out = scratch.input.data() + row * 3 * d;
      std::copy_n(u, d, out);
      std::copy_n(t, d, out + d);
      for (size_t k = 0; k < d; ++k) out[2 * d + k] = u[k] * t[k];
    }
  }

  const DinWeights weights_;
};

}  // namespace

DinScratch::DinScratch(const DinWeights& weights, size_t block_size)
    : history(PaddedRows(weights.max_history) * weights.items.width()),
      sum(weights.items.width()),
      of_user(weights.head.first.out()),
      attention(weights.attention, weights.max_history, block_size),
      targets(PaddedRows(block_size) * weights.items.width()),
      pooled(targets.size()),
      user(targets.size()),
      input(PaddedRows(block_size) * weights.head_of_candidate.in()),
      head(weights.head, block_size) {}

absl::StatusOr<std::unique_ptr<Ranker>> MakeDinRanker(const Manifest::Model& model,
                                                      const SafetensorsFile& file) {
  absl::StatusOr<DinWeights> weights = LoadDinWeights(file, model.options);
  if (!weights.ok()) return weights.status();
  return std::unique_ptr<Ranker>(new DinRanker(model.name, *std::move(weights)));
}

}  // namespace groundswell
