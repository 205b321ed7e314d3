#include "models/slirec/slirec_ranker.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <utility>

#include "models/math/elementwise.h"
#include "models/math/kernels.h"
#include "models/math/transcendental.h"

namespace groundswell {
namespace {

// The least time that is told apart, in units; also of what lies ahead of now.
constexpr double kLeastTime = 0.5;

float TimeFeature(int64_t time_us, double unit_us) {
  return static_cast<float>(std::log(std::max(static_cast<double>(time_us) / unit_us, kLeastTime)));
}

// scratch.to_now and scratch.last.
void FillTimes(const SlirecWeights& weights, const UserFeatures& user, SlirecScratch& scratch) {
  const size_t n = scratch.length;
  const std::span<const int64_t> newest_first = user.recent_times_us;
  for (size_t position = 0; position < n; ++position) {
    const size_t at = n - 1 - position;  // in newest_first
    const int64_t time_us = newest_first[at];
    scratch.to_now[position] = TimeFeature(user.now_us - time_us, weights.time_unit_us);
    if (weights.time_last == SlirecTimeLast::kFirstAction) {
      const int64_t next_us = at == 0 ? user.now_us : newest_first[at - 1];
      scratch.last[position] = TimeFeature(next_us - user.first_time_us, weights.time_unit_us);
    } else {
      const bool is_first = at + 1 == newest_first.size();
      scratch.last[position] =
          is_first ? 0.0f : TimeFeature(time_us - newest_first[at + 1], weights.time_unit_us);
    }
  }
}

// long = sum_i w_i e_i, w the softmax of long.query . e_i, over the history and, where it counts,
// as often row 0 as positions are without an item.
void AverageLongTerm(const SlirecWeights& weights, SlirecScratch& scratch) {
  const size_t d = weights.width();
  const size_t n = scratch.length;
  const auto row = [&](size_t i) { return std::span(scratch.history).subspan(i * d, d); };
  // Row 0 stands behind the history.
  weights.items.Embed(0, row(n));
  const size_t padding = weights.padding == SlirecPadding::kIncluded ? weights.max_history - n : 0;
  const size_t rows = padding > 0 ? n + 1 : n;
  float largest = Dot(weights.long_query, row(0));
  for (size_t i = 0; i < rows; ++i) {
    scratch.long_weight[i] = Dot(weights.long_query, row(i));
    largest = std::max(largest, scratch.long_weight[i]);
  }
  ExpMinus(largest, std::span(scratch.long_weight).first(rows));
  if (padding > 0) scratch.long_weight[n] *= static_cast<float>(padding);
  double sum = 0;
  for (size_t i = 0; i < rows; ++i) sum += double{scratch.long_weight[i]};
  std::fill(scratch.long_term.begin(), scratch.long_term.end(), 0.0f);
  for (size_t i = 0; i < rows; ++i) {
    AddScaled(row(i), static_cast<float>(scratch.long_weight[i] / sum), scratch.long_term);
  }
}

// The LSTM's parts that do not hang on its state, for all positions at once.
void PrepareLstm(const SlirecWeights& weights, SlirecScratch& scratch) {
  const SlirecLstm& lstm = weights.lstm;
  const size_t h = weights.width();
  const size_t n = scratch.length;
  for (size_t i = 0; i < n; ++i) {
    float* const tn = scratch.times.data() + i * 2 * h;
    for (size_t k = 0; k < h; ++k) {
      tn[k] = scratch.to_now[i] * lstm.now_scale[k];
      tn[h + k] = scratch.last[i] * lstm.last_scale[k];
    }
    AddTanh(lstm.now_bias, std::span(tn, h));
    AddTanh(lstm.last_bias, std::span(tn + h, h));
  }
  // The embedding's first numbers are the item's, without its category.
  ApplyInF32(lstm.input, {scratch.history.data(), h}, n, scratch.inputs.data());
  float* const now_gates = scratch.time_gates.data();
  float* const last_gates = now_gates + scratch.time_gates.size() / 2;
  MultiplyInF32(lstm.now_time, {scratch.times.data(), 2 * h}, n, now_gates);
  MultiplyInF32(lstm.last_time, {scratch.times.data() + h, 2 * h}, n, last_gates);
  MultiplyInF32(lstm.output_time, {scratch.times.data(), 2 * h}, n, scratch.output_time.data());
  for (size_t i = 0; i < n; ++i) {
    const auto input = std::span(scratch.inputs).subspan(i * 6 * h, 6 * h);
    AddSigmoid(input.subspan(4 * h, h), std::span(now_gates + i * h, h));
    AddSigmoid(input.subspan(5 * h, h), std::span(last_gates + i * h, h));
    AddScaled(std::span(scratch.output_time).subspan(i * h, h), 1.0f, input.subspan(3 * h, h));
  }
}

void RunLstm(const SlirecWeights& weights, SlirecScratch& scratch) {
  const size_t h = weights.width();
  PrepareLstm(weights, scratch);
  const float* const now_gates = scratch.time_gates.data();
  const float* const last_gates = now_gates + scratch.time_gates.size() / 2;
  std::fill(scratch.cell.begin(), scratch.cell.end(), 0.0f);
  const std::span<float> gates = scratch.gates;
  const auto gate = [&](size_t which) { return gates.subspan(which * h, h); };
  for (size_t i = 0; i < scratch.length; ++i) {
    const auto input = std::span<const float>(scratch.inputs).subspan(i * 6 * h, 4 * h);
    const std::span<const float> before =
        i == 0 ? std::span<const float>(scratch.zeros)
               : std::span<const float>(scratch.states).subspan((i - 1) * h, h);
    RowTimes(before, weights.lstm.gates_state.weight.values, gates);
    AddSigmoid(input.first(h), gate(0));
    AddTanh(input.subspan(h, h), gate(1));
    AddSigmoid(input.subspan(2 * h), gates.subspan(2 * h));
    float* const state = scratch.states.data() + i * h;
    for (size_t k = 0; k < h; ++k) {
      scratch.cell[k] = gate(2)[k] * last_gates[i * h + k] * scratch.cell[k] +
                        gate(0)[k] * now_gates[i * h + k] * gate(1)[k];
      state[k] = scratch.cell[k];
    }
    AddTanh(scratch.zeros, std::span(state, h));
    for (size_t k = 0; k < h; ++k) state[k] *= gate(3)[k];
  }
}

class SlirecRanker final : public SequenceRanker {
 public:
  SlirecRanker(std::string name, SlirecWeights weights)
      : SequenceRanker(std::move(name), weights.precision), weights_(std::move(weights)) {}

  RankerShape shape() const override {
    const bool reads_previous = weights_.time_last == SlirecTimeLast::kPreviousAction;
    return {.item_rows = weights_.items.rows,
            .recent_items = weights_.max_history,
            .recent_times = weights_.max_history + (reads_previous ? 1 : 0)};
  }

  std::unique_ptr<RankerScratch> NewScratch(size_t block_size) const override {
    return std::make_unique<SlirecScratch>(weights_, block_size);
  }

  absl::Status PrepareUser(const UserFeatures& user, RankerScratch& of_thread) const override {
    if (user.recent_items.empty()) return NoHistory();
    auto& scratch = static_cast<SlirecScratch&>(of_thread);
    scratch.length =
        EmbedHistory(weights_.items, user.recent_items, weights_.max_history, scratch.history);
    FillTimes(weights_, user, scratch);
    AverageLongTerm(weights_, scratch);
    RunLstm(weights_, scratch);
    PrepareAttention(weights_.attention, scratch.states.data(), scratch.length, scratch.attention);
    PrepareAlpha(scratch);
    return absl::OkStatus();
  }

  void ScoreItems(const ItemFeatures& items, RankerScratch& of_thread,
                  std::span<float> logits) const override {
    auto& scratch = static_cast<SlirecScratch&>(of_thread);
    const size_t n = logits.size();
    const size_t d = weights_.width();
    weights_.items.EmbedAll(items.rows, scratch.targets);
    Attend(weights_.attention, scratch.targets.data(), n, scratch.length, scratch.attention,
           scratch.products);
    SumByAttention(scratch.attention, scratch.states.data(), d, n, scratch.length,
                   {scratch.short_term.data(), d});
    Blend(n, scratch);
    MultiplyBoth(weights_.head_blend, scratch.blended, weights_.head_target, scratch.targets, n,
                 scratch.head);
    FinishMlp(weights_.head, weights_.head_blend.bias, n, scratch.head, scratch.products,
              {logits.data(), 1});
  }

 private:
  // scratch.hidden1 = x first' + y second'.
  static void MultiplyBoth(const DenseLayer& first, const std::vector<float>& x,
                           const DenseLayer& second, const std::vector<float>& y, size_t n,
                           MlpScratch& scratch) {
    const size_t hidden = first.out();
    MultiplyInF32(first, {x.data(), first.in()}, n, scratch.hidden1.data());
    Multiply({y.data(), second.in()}, {second.weight.values.data(), hidden},
             {scratch.hidden1.data(), hidden}, n, hidden, second.in(), /*accumulate=*/true);
  }

  // What long and tau add to alpha.0.
  void PrepareAlpha(SlirecScratch& scratch) const {
    const bool has_newest =
        weights_.padding == SlirecPadding::kMasked || scratch.length == weights_.max_history;
    const float tau = has_newest ? scratch.to_now[scratch.length - 1] : 0.0f;
    ApplyToRow(weights_.alpha_long, scratch.long_term, scratch.alpha_user);
    AddScaled(weights_.alpha_tau.weight.values, tau, scratch.alpha_user);
  }

  // a = sigmoid(MLP(alpha; [t | long | short | tau])), and a long + (1 - a) short.
  void Blend(size_t n, SlirecScratch& scratch) const {
    const size_t d = weights_.width();
    MultiplyBoth(weights_.alpha_target, scratch.targets, weights_.alpha_short, scratch.short_term,
                 n, scratch.alpha);
    FinishMlp(weights_.alpha, scratch.alpha_user, n, scratch.alpha, scratch.products,
              {scratch.blend.data(), 1});
    AddSigmoid(std::span(scratch.no_shift).first(n), std::span(scratch.blend).first(n));
    for (size_t row = 0; row < n; ++row) {
      const float a = scratch.blend[row];
      const float* const short_term = scratch.short_term.data() + row * d;
      float* const blended = scratch.blended.data() + row * d;
      for (size_t k = 0; k < d; ++k) {
        blended[k] = a * scratch.long_term[k] + (1.0f - a) * short_term[k];
      }
    }
  }

  const SlirecWeights weights_;
};

}  // namespace

SlirecScratch::SlirecScratch(const SlirecWeights& weights, size_t block_size)
    : history(PaddedRows(weights.max_history + 1) * weights.width()),
      to_now(weights.max_history),
      last(weights.max_history),
      long_weight(weights.max_history + 1),
      long_term(weights.width()),
      times(PaddedRows(weights.max_history) * 2 * weights.width()),
      inputs(PaddedRows(weights.max_history) * weights.lstm.input.out()),
      time_gates(times.size()),
      output_time(PaddedRows(weights.max_history) * weights.width()),
      states(output_time.size()),
      gates(4 * weights.width()),
      cell(weights.width()),
      zeros(weights.width()),
      alpha_user(weights.alpha.first.out()),
      targets(PaddedRows(block_size) * weights.width()),
      attention(weights.attention, weights.max_history, block_size),
      short_term(targets.size()),
      blend(block_size),
      no_shift(block_size),
      blended(targets.size()),
      alpha(weights.alpha, block_size),
      head(weights.head, block_size) {}

absl::StatusOr<std::unique_ptr<Ranker>> MakeSlirecRanker(const Manifest::Model& model,
                                                         const SafetensorsFile& file) {
  absl::StatusOr<SlirecWeights> weights = LoadSlirecWeights(file, model.options);
  if (!weights.ok()) return weights.status();
  return std::unique_ptr<Ranker>(new SlirecRanker(model.name, *std::move(weights)));
}

}  // namespace groundswell
