#include "models/dien/dien_ranker.h"

#include <algorithm>
#include <span>
#include <string>
#include <utility>

#include "models/math/elementwise.h"
#include "models/math/kernels.h"

namespace groundswell {
namespace {

class DienRanker final : public SequenceRanker {
 public:
  DienRanker(std::string name, DienWeights weights)
      : SequenceRanker(std::move(name), Precision::kF32), weights_(std::move(weights)) {}

  RankerShape shape() const override {
    return {.user_rows = weights_.users,
            .item_rows = weights_.items.rows,
            .recent_items = weights_.max_history};
  }

  // Rounded to bf16 its logits are off by twice what other kinds' are (docs/models.md).
  std::string_view arithmetic() const override {
    return weights_.asked == Precision::kBf16 ? "f32 (dien is not served in bf16)" : "f32";
  }

  std::unique_ptr<RankerScratch> NewScratch(size_t block_size) const override {
    return std::make_unique<DienScratch>(weights_, block_size);
  }

  absl::Status PrepareUser(const UserFeatures& user, RankerScratch& of_thread) const override {
    if (user.recent_items.empty()) return NoHistory();
    auto& scratch = static_cast<DienScratch&>(of_thread);
    scratch.length =
        EmbedHistory(weights_.items, user.recent_items, weights_.max_history, scratch.history);
    const float* interests = scratch.history.data();
    if (weights_.first_layer == DienFirstLayer::kGru) {
      RunGru(weights_.gru, scratch.history.data(), scratch.length, scratch.gru);
      interests = scratch.gru.states.data();
    }
    PrepareAttention(weights_.attention, interests, scratch.length, scratch.attention);
    ApplyInF32(weights_.augru.input, {interests, weights_.interest_width()}, scratch.length,
               scratch.inputs.data());
    PrepareHead(user, scratch);
    return absl::OkStatus();
  }

  void ScoreItems(const ItemFeatures& items, RankerScratch& of_thread,
                  std::span<float> logits) const override {
    auto& scratch = static_cast<DienScratch&>(of_thread);
    const size_t n = logits.size();
    weights_.items.EmbedAll(items.rows, scratch.targets);
    Attend(weights_.attention, scratch.targets.data(), n, scratch.length, scratch.attention,
           scratch.products);
    Evolve(n, scratch);
    ScoreHead(n, scratch, logits);
  }

 private:
  // With S the sum of the history, head.0 is the user's W_S S + W_u user + b, a matrix of the user
  // for t, W_t + W_p diag(S), and one for s.
  void PrepareHead(const UserFeatures& user, DienScratch& scratch) const {
    const DienHeadParts& parts = weights_.parts;
    SumRows(scratch.history, scratch.length, scratch.sum);
    ApplyToRow(parts.sum, scratch.sum, scratch.of_user);
    if (weights_.variant == DienVariant::kOriginal) {
      ApplyToRow(parts.user,
                 weights_.user_embed.subspan(user.row * weights_.user_width, weights_.user_width),
                 scratch.term);
      AddScaled(scratch.term, 1.0f, scratch.of_user);
    }
    const size_t hidden = parts.target.out();
    const std::span<const float> product = parts.product.weight.values;
    std::copy(parts.target.weight.values.begin(), parts.target.weight.values.end(),
              scratch.of_targets.begin());
    for (size_t k = 0; k < scratch.sum.size(); ++k) {
      AddScaled(product.subspan(k * hidden, hidden), scratch.sum[k],
                std::span(scratch.of_targets).subspan(k * hidden, hidden));
    }
  }

  void Evolve(size_t n, DienScratch& scratch) const {
    const size_t g = weights_.augru.state_width();
    std::fill_n(scratch.augru.state.begin(), n * g, 0.0f);
    for (size_t i = 0; i < scratch.length; ++i) {
      AugruStep(weights_.augru, weights_.update,
                std::span(scratch.inputs).subspan(i * 3 * g, 3 * g),
                {scratch.attention.attention.data() + i, scratch.length}, n, scratch.augru,
                scratch.products);
    }
  }

  void ScoreHead(size_t n, DienScratch& scratch, std::span<float> logits) const {
    const DienHeadParts& parts = weights_.parts;
    const size_t hidden = parts.target.out();
    const MutableMatrix out{scratch.head.hidden1.data(), hidden};
    Multiply({scratch.targets.data(), parts.target.in()}, {scratch.of_targets.data(), hidden}, out,
             n, hidden, parts.target.in());
    Multiply({scratch.augru.state.data(), parts.state.in()},
             {parts.state.weight.values.data(), hidden}, out, n, hidden, parts.state.in(),
             /*accumulate=*/true);
    FinishMlp(weights_.head, scratch.of_user, n, scratch.head, scratch.products,
              {logits.data(), 1});
  }

  const DienWeights weights_;
};

}  // namespace

DienScratch::DienScratch(const DienWeights& weights, size_t block_size)
    : history(PaddedRows(weights.max_history) * weights.items.width()),
      gru(weights.gru, weights.max_history),
      sum(weights.items.width()),
      inputs(PaddedRows(weights.max_history) * weights.augru.input.out()),
      of_user(weights.head.first.out()),
      of_targets(weights.items.width() * weights.head.first.out()),
      term(weights.head.first.out()),
      targets(PaddedRows(block_size) * weights.items.width()),
      attention(weights.attention, weights.max_history, block_size),
      augru(weights.augru, block_size),
      head(weights.head, block_size) {}

absl::StatusOr<std::unique_ptr<Ranker>> MakeDienRanker(const Manifest::Model& model,
                                                       const SafetensorsFile& file) {
  absl::StatusOr<DienWeights> weights = LoadDienWeights(file, model.options);
  if (!weights.ok()) return weights.status();
  return std::unique_ptr<Ranker>(new DienRanker(model.name, *std::move(weights)));
}

}  // namespace groundswell
