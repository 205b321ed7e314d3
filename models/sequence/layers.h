// The layers that the sequence rankers share: dense layers, their activations, and networks of
// three of them.
//
// A matrix of a block's candidates has room for PaddedRows(rows) rows (models/math/kernels.h).
#ifndef GROUNDSWELL_MODELS_SEQUENCE_LAYERS_H_
#define GROUNDSWELL_MODELS_SEQUENCE_LAYERS_H_

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "models/files/checkpoint_reader.h"
#include "models/math/kernels.h"
#include "models/math/weight.h"

namespace groundswell {

// y = W x + b with W transposed (in x out).
struct DenseLayer {
  Weight weight;
  std::vector<float> bias;  // zeros where the layer has none

  size_t in() const { return weight.in; }
  size_t out() const { return weight.out; }
  bool empty() const { return weight.values.empty(); }
};

// The tensors NAME.weight (out, in) and NAME.bias (out).
DenseLayer ReadDense(CheckpointReader& reader, const std::string& name, size_t out, size_t in,
                     bool has_bias = true);

// A weight (rows, columns) as a file has it, transposed, without a bias.
DenseLayer Transposed(std::span<const float> weight, size_t rows, size_t columns);

// The part of a layer that reads its inputs [begin, begin + count), without the bias.
DenseLayer InputsOf(const DenseLayer& layer, size_t begin, size_t count);

// One layer over the inputs of both side by side, of as many outputs each; without a bias.
DenseLayer JoinInputs(const DenseLayer& first, const DenseLayer& second);

// weight += scale * the other's, of the same sizes.
void AddScaledLayer(const DenseLayer& other, float scale, DenseLayer& layer);

// Packs the layer's weight for products in this precision.
absl::Status PackLayer(Precision precision, DenseLayer& layer);

// out (rows x out) = x W: without the bias, and in f32 whatever the layer's precision.
void MultiplyInF32(const DenseLayer& layer, ConstMatrix x, size_t rows, float* out);

// out = x W + b of one row, summed up in double: what a user adds to the first layer of a head is
// large beside what tells candidates apart.
void ApplyToRow(const DenseLayer& layer, std::span<const float> x, std::span<float> out);

// out (rows x out) = x W + b, in f32: of a user's history.
void ApplyInF32(const DenseLayer& layer, ConstMatrix x, size_t rows, float* out);

enum class Activation { kRelu, kSigmoid, kDice };

// What follows a layer; with the statistics of Dice, frozen, by channel.
struct ActivationLayer {
  Activation kind = Activation::kRelu;
  std::vector<float> mean, inverse_std, alpha;  // Dice
};

// Of Dice NAME.{alpha,mean,std} (width); of the others nothing.
ActivationLayer ReadActivation(CheckpointReader& reader, const std::string& name, size_t width,
                               Activation kind);

// x = activation(x + y), of one row.
void Activate(const ActivationLayer& activation, std::span<const float> y, std::span<float> x);

// Three layers with one output: third(activation(second(activation(first(x))))). Who splits the
// first by its inputs leaves its sizes here, without the values (DropValues).
struct Mlp {
  DenseLayer first, second, third;
  ActivationLayer behind_first, behind_second;
};

// Frees the layer's values; its sizes stay.
void DropValues(DenseLayer& layer);

// NAME.{0,2,4}.{weight,bias}, the first of `in` inputs, with NAME.{1,3} for Dice.
Mlp ReadMlp(CheckpointReader& reader, const std::string& name, size_t in, Activation activation);

// Working memory of a network for blocks of up to so many rows.
struct MlpScratch {
  MlpScratch(const Mlp& mlp, size_t rows);

  std::vector<float> hidden1, hidden2;
};

// Writes the network's output for each row to the first column of `out`. scratch.hidden1 holds what
// varies of the rows' first layer, to which `added` is added, its bias included.
void FinishMlp(const Mlp& mlp, std::span<const float> added, size_t rows, MlpScratch& scratch,
               Bf16Scratch& products, MutableMatrix out);

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_SEQUENCE_LAYERS_H_
