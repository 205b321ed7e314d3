#include "models/gru4rec/gru4rec_ranker.h"

#include <limits>
#include <span>
#include <string>
#include <utility>

#include "models/math/elementwise.h"
#include "models/math/kernels.h"

namespace groundswell {
namespace {

class Gru4recRanker final : public SequenceRanker {
 public:
  Gru4recRanker(std::string name, Gru4recWeights weights)
      : SequenceRanker(std::move(name), weights.precision), weights_(std::move(weights)) {}

  RankerShape shape() const override {
    return {.item_rows = weights_.items.rows, .recent_items = weights_.max_history};
  }

  std::unique_ptr<RankerScratch> NewScratch(size_t block_size) const override {
    return std::make_unique<Gru4recScratch>(weights_, block_size);
  }

  absl::Status PrepareUser(const UserFeatures& user, RankerScratch& of_thread) const override {
    if (user.recent_items.empty()) return NoHistory();
    auto& scratch = static_cast<Gru4recScratch&>(of_thread);
    scratch.length =
        EmbedHistory(weights_.items, user.recent_items, weights_.max_history, scratch.history);
    RunGru(weights_.gru, scratch.history.data(), scratch.length, scratch.gru);
    if (has_head()) PrepareHeadUser(weights_.head, State(scratch), scratch.head);
    return absl::OkStatus();
  }

  void ScoreItems(const ItemFeatures& items, RankerScratch& of_thread,
                  std::span<float> logits) const override {
    auto& scratch = static_cast<Gru4recScratch&>(of_thread);
    if (has_head()) {
      const std::span<float> prepared =
          std::span(scratch.head.prepared).first(items.rows.size() * prepared_width());
      PrepareItems(items, scratch, prepared);
      ScorePrepared(prepared, scratch, logits);
      return;
    }
    const std::span<const float> state = State(scratch);
    for (size_t i = 0; i < logits.size(); ++i) {
      const uint32_t row = items.rows[i];
      logits[i] = row == 0 ? -std::numeric_limits<float>::infinity()
                           : Dot(weights_.output.subspan(row * state.size(), state.size()), state) +
                                 weights_.bias[row];
    }
  }

  size_t prepared_width() const override { return has_head() ? weights_.head.prepared_width() : 0; }

  void PrepareItems(const ItemFeatures& items, RankerScratch& scratch,
                    std::span<float> prepared) const override {
    if (!has_head()) return;
    PrepareHeadItems(weights_.head, weights_.items, items.rows,
                     static_cast<Gru4recScratch&>(scratch).head, prepared);
  }

  void ScorePrepared(std::span<const float> prepared, RankerScratch& of_thread,
                     std::span<float> logits) const override {
    if (!has_head()) return;
    auto& scratch = static_cast<Gru4recScratch&>(of_thread);
    ScoreHeadPrepared(weights_.head, prepared, scratch.head, scratch.products, logits);
  }

 private:
  bool has_head() const { return weights_.variant == Gru4recVariant::kDeeprec; }

  std::span<const float> State(const Gru4recScratch& scratch) const {
    return LastState(weights_.gru, scratch.length, scratch.gru);
  }

  const Gru4recWeights weights_;
};

}  // namespace

Gru4recScratch::Gru4recScratch(const Gru4recWeights& weights, size_t block_size)
    : history(PaddedRows(weights.max_history) * weights.items.width()),
      gru(weights.gru, weights.max_history),
      head(weights.head, block_size) {}

absl::StatusOr<std::unique_ptr<Ranker>> MakeGru4recRanker(const Manifest::Model& model,
                                                          const SafetensorsFile& file) {
  absl::StatusOr<Gru4recWeights> weights = LoadGru4recWeights(file, model.options);
  if (!weights.ok()) return weights.status();
  return std::unique_ptr<Ranker>(new Gru4recRanker(model.name, *std::move(weights)));
}

}  // namespace groundswell
