#include "models/sequence/gru.h"

#include <algorithm>

#include "models/math/elementwise.h"
#include "models/math/transcendental.h"
#include "models/sequence/limits.h"

namespace groundswell {

Gru ReadGru(CheckpointReader& reader, const std::string& name, size_t in, GruReset reset) {
  const std::string gates = name + ".gates";
  const std::string candidate = name + ".candidate";
  const size_t h =
      reader.MatrixShape(candidate + ".weight", kSequenceWidthMax, 3 * kSequenceWidthMax)[0];
  const auto gates_weight = reader.Read(gates + ".weight", {2 * h, in + h});
  const auto gates_bias = reader.Read(gates + ".bias", {2 * h});
  const auto candidate_weight = reader.Read(candidate + ".weight", {h, in + h});
  const auto candidate_bias = reader.Read(candidate + ".bias", {h});
  const auto state_bias = reset == GruReset::kAfter ? reader.Read(candidate + ".state_bias", {h})
                                                    : std::span<const float>();
  if (!reader.ok()) return {};
  std::vector<float> both(gates_weight.begin(), gates_weight.end());
  both.insert(both.end(), candidate_weight.begin(), candidate_weight.end());
  Gru gru{.input = InputsOf(Transposed(both, 3 * h, in + h), 0, in),
          .gates_state = InputsOf(Transposed(gates_weight, 2 * h, in + h), in, h),
          .candidate_state = InputsOf(Transposed(candidate_weight, h, in + h), in, h),
          .reset = reset};
  std::copy(gates_bias.begin(), gates_bias.end(), gru.input.bias.begin());
  std::copy(candidate_bias.begin(), candidate_bias.end(),
            gru.input.bias.begin() + static_cast<ptrdiff_t>(2 * h));
  std::copy(state_bias.begin(), state_bias.end(), gru.candidate_state.bias.begin());
  return gru;
}

GruScratch::GruScratch(const Gru& gru, size_t max_history)
    : inputs(PaddedRows(max_history) * gru.input.out()),
      states(PaddedRows(max_history) * gru.state_width()),
      gates(2 * gru.state_width()),
      reset(gru.state_width()),
      candidate(gru.state_width()) {}

void RunGru(const Gru& gru, const float* x, size_t length, GruScratch& scratch) {
  const size_t h = gru.state_width();
  const bool is_after = gru.reset == GruReset::kAfter;
  ApplyInF32(gru.input, {x, gru.input.in()}, length, scratch.inputs.data());
  // The first step reads a state of 0 where it will write its own.
  std::fill_n(scratch.states.begin(), h, 0.0f);
  for (size_t step = 0; step < length; ++step) {
    const auto input = std::span<const float>(scratch.inputs).subspan(step * 3 * h, 3 * h);
    const std::span<float> state = std::span(scratch.states).subspan(step * h, h);
    const std::span<const float> before =
        step == 0 ? state : std::span(scratch.states).subspan((step - 1) * h, h);
    RowTimes(before, gru.gates_state.weight.values, scratch.gates);
    AddSigmoid(input.first(2 * h), scratch.gates);
    const float* const r = scratch.gates.data();
    const float* const u = r + h;
    if (is_after) {
      RowTimes(before, gru.candidate_state.weight.values, scratch.candidate);
      for (size_t k = 0; k < h; ++k) {
        scratch.candidate[k] = r[k] * (scratch.candidate[k] + gru.candidate_state.bias[k]);
      }
    } else {
      for (size_t k = 0; k < h; ++k) scratch.reset[k] = r[k] * before[k];
      RowTimes(scratch.reset, gru.candidate_state.weight.values, scratch.candidate);
    }
    AddTanh(input.subspan(2 * h), scratch.candidate);
    for (size_t k = 0; k < h; ++k) {
      state[k] = scratch.candidate[k] + u[k] * (before[k] - scratch.candidate[k]);
    }
  }
}

std::span<const float> LastState(const Gru& gru, size_t length, const GruScratch& scratch) {
  const size_t h = gru.state_width();
  return std::span(scratch.states).subspan((length - 1) * h, h);
}

AugruScratch::AugruScratch(const Gru& gru, size_t rows)
    : state(PaddedRows(rows) * gru.state_width()),
      reset(state.size()),
      gates(2 * state.size()),
      candidate(state.size()) {}

void AugruStep(const Gru& augru, AugruUpdate update, std::span<const float> input,
               ConstMatrix attention, size_t rows, AugruScratch& scratch, Bf16Scratch& products) {
  const size_t h = augru.state_width();
  MultiplyByWeight({scratch.state.data(), h}, augru.gates_state.weight, rows, scratch.gates.data(),
                   products);
  for (size_t row = 0; row < rows; ++row) {
    const std::span<float> gates = std::span(scratch.gates).subspan(row * 2 * h, 2 * h);
    AddSigmoid(input.first(2 * h), gates);
    const float* const state = scratch.state.data() + row * h;
    float* const reset = scratch.reset.data() + row * h;
    for (size_t k = 0; k < h; ++k) reset[k] = gates[k] * state[k];
  }
  MultiplyByWeight({scratch.reset.data(), h}, augru.candidate_state.weight, rows,
                   scratch.candidate.data(), products);
  for (size_t row = 0; row < rows; ++row) {
    const std::span<float> candidate = std::span(scratch.candidate).subspan(row * h, h);
    AddTanh(input.subspan(2 * h), candidate);
    const float* const u = scratch.gates.data() + row * 2 * h + h;
    const float a = attention.data[row * attention.stride];
    // Both forms of u' are scale u + offset.
    const float scale = update == AugruUpdate::kCode ? 1.0f - a : a;
    const float offset = update == AugruUpdate::kCode ? 0.0f : 1.0f - a;
    float* const state = scratch.state.data() + row * h;
    for (size_t k = 0; k < h; ++k) {
      state[k] = candidate[k] + (scale * u[k] + offset) * (state[k] - candidate[k]);
    }
  }
}

}  // namespace groundswell
