// The recurrent layers: a GRU over a user's history, and an AUGRU over it for every candidate.
#ifndef GROUNDSWELL_MODELS_SEQUENCE_GRU_H_
#define GROUNDSWELL_MODELS_SEQUENCE_GRU_H_

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "models/files/checkpoint_reader.h"
#include "models/math/weight.h"
#include "models/sequence/layers.h"

namespace groundswell {

// Whether the reset gate acts before or after the state's product:
//   r, u = sigmoid(Wg [x, s] + bg)
//   c = tanh(Wc [x, r * s] + bc)                      before: TensorFlow, Hidasi's Theano
//   c = tanh(Wx x + bc + r * (Ws s + bs))             after: PyTorch, cuDNN, Keras
//   s = u s + (1 - u) c
enum class GruReset { kBefore, kAfter };

// The layers split into the parts of the input and of the state.
struct Gru {
  DenseLayer input;            // in x 3h: reset, update, candidate; all biases but the state's
  DenseLayer gates_state;      // h x 2h: reset, update
  DenseLayer candidate_state;  // h x h; its bias is bs, zeros for kBefore
  GruReset reset = GruReset::kBefore;

  size_t state_width() const { return candidate_state.out(); }
};

// NAME.gates.{weight,bias}, NAME.candidate.{weight,bias} and, for kAfter,
// NAME.candidate.state_bias. The width of the state is that of the tensors.
Gru ReadGru(CheckpointReader& reader, const std::string& name, size_t in, GruReset reset);

// Working memory of one user's GRU.
struct GruScratch {
  GruScratch(const Gru& gru, size_t max_history);

  std::vector<float> inputs;     // L x 3h: W x + b
  std::vector<float> states;     // L x h: after each item, the oldest first
  std::vector<float> gates;      // 2h, of one step
  std::vector<float> reset;      // h
  std::vector<float> candidate;  // h
};

// The states after each of `length` inputs x (length x in), from a state of 0; in f32.
// REQUIRES: 1 <= length; x has PaddedRows(length) rows.
void RunGru(const Gru& gru, const float* x, size_t length, GruScratch& scratch);

// The last of them.
std::span<const float> LastState(const Gru& gru, size_t length, const GruScratch& scratch);

// How attention changes the update gate u of an AUGRU: u' = (1 - a) u, as published code has it, or
// u' = 1 - a (1 - u), as the paper of DIEN has it.
enum class AugruUpdate { kCode, kPaper };

// Working memory of a block's AUGRU: a row per candidate.
struct AugruScratch {
  AugruScratch(const Gru& gru, size_t rows);

  std::vector<float> state;      // h
  std::vector<float> reset;      // h: r * s
  std::vector<float> gates;      // 2h
  std::vector<float> candidate;  // h
};

// One step for the first `rows` candidates, who all take the same input (3h: W x + b) and differ in
// the attention to it, the first column of `attention`. The reset acts before.
void AugruStep(const Gru& augru, AugruUpdate update, std::span<const float> input,
               ConstMatrix attention, size_t rows, AugruScratch& scratch, Bf16Scratch& products);

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_SEQUENCE_GRU_H_
