#include "models/sequence/layers.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "models/math/elementwise.h"
#include "models/math/transcendental.h"
#include "models/sequence/limits.h"

namespace groundswell {
namespace {

// Of ApplyToRow at once.
constexpr size_t kColumnsOfRow = 64;

// sum_k weight_k activation(x_k + y_k); x is of no use afterwards.
float DotActivated(const ActivationLayer& activation, std::span<const float> y,
                   std::span<const float> weight, std::span<float> x) {
  if (activation.kind == Activation::kRelu) return DotAddRelu(x, y, weight);
  Activate(activation, y, x);
  return Dot(x, weight);
}

}  // namespace

DenseLayer Transposed(std::span<const float> weight, size_t rows, size_t columns) {
  DenseLayer layer{
      .weight = {.in = columns, .out = rows, .values = std::vector<float>(rows * columns)},
      .bias = std::vector<float>(rows)};
  for (size_t row = 0; row < rows; ++row) {
    for (size_t k = 0; k < columns; ++k) {
      layer.weight.values[k * rows + row] = weight[row * columns + k];
    }
  }
  return layer;
}

DenseLayer ReadDense(CheckpointReader& reader, const std::string& name, size_t out, size_t in,
                     bool has_bias) {
  const std::span<const float> weight = reader.Read(name + ".weight", {out, in});
  const std::span<const float> bias =
      has_bias ? reader.Read(name + ".bias", {out}) : std::span<const float>();
  if (!reader.ok()) return {};
  DenseLayer layer = Transposed(weight, out, in);
  if (has_bias) layer.bias.assign(bias.begin(), bias.end());
  return layer;
}

DenseLayer InputsOf(const DenseLayer& layer, size_t begin, size_t count) {
  if (layer.empty()) return {};
  const auto values = layer.weight.values.begin() + static_cast<ptrdiff_t>(begin * layer.out());
  return {.weight = {.in = count,
                     .out = layer.out(),
                     .values = {values, values + static_cast<ptrdiff_t>(count * layer.out())}},
          .bias = std::vector<float>(layer.out())};
}

DenseLayer JoinInputs(const DenseLayer& first, const DenseLayer& second) {
  DenseLayer both = first;
  both.weight.in += second.in();
  both.weight.values.insert(both.weight.values.end(), second.weight.values.begin(),
                            second.weight.values.end());
  both.bias.assign(both.out(), 0.0f);
  return both;
}

void AddScaledLayer(const DenseLayer& other, float scale, DenseLayer& layer) {
  AddScaled(other.weight.values, scale, layer.weight.values);
}

absl::Status PackLayer(Precision precision, DenseLayer& layer) {
  if (layer.empty()) return absl::OkStatus();
  auto packed = MakeWeight(std::move(layer.weight.values), layer.in(), layer.out(), precision);
  if (!packed.ok()) return packed.status();
  layer.weight = *std::move(packed);
  return absl::OkStatus();
}

void MultiplyInF32(const DenseLayer& layer, ConstMatrix x, size_t rows, float* out) {
  Multiply(x, {layer.weight.values.data(), layer.out()}, {out, layer.out()}, rows, layer.out(),
           layer.in());
}

void ApplyToRow(const DenseLayer& layer, std::span<const float> x, std::span<float> out) {
  for (size_t begin = 0; begin < out.size(); begin += kColumnsOfRow) {
    const size_t count = std::min(kColumnsOfRow, out.size() - begin);
    std::array<double, kColumnsOfRow> sums{};
    for (size_t i = 0; i < count; ++i) sums[i] = double{layer.bias[begin + i]};
    for (size_t k = 0; k < x.size(); ++k) {
      const float* const row = layer.weight.values.data() + k * layer.out() + begin;
      for (size_t i = 0; i < count; ++i) sums[i] += double{x[k]} * double{row[i]};
    }
    for (size_t i = 0; i < count; ++i) out[begin + i] = static_cast<float>(sums[i]);
  }
}

void ApplyInF32(const DenseLayer& layer, ConstMatrix x, size_t rows, float* out) {
  MultiplyInF32(layer, x, rows, out);
  for (size_t row = 0; row < rows; ++row) {
    AddScaled(layer.bias, 1.0f, std::span(out + row * layer.out(), layer.out()));
  }
}

ActivationLayer ReadActivation(CheckpointReader& reader, const std::string& name, size_t width,
                               Activation kind) {
  ActivationLayer activation{.kind = kind, .mean = {}, .inverse_std = {}, .alpha = {}};
  if (kind != Activation::kDice) return activation;
  const auto alpha = reader.Read(name + ".alpha", {width});
  const auto mean = reader.Read(name + ".mean", {width});
  const auto std = reader.Read(name + ".std", {width});
  if (!reader.ok()) return activation;
  activation.alpha.assign(alpha.begin(), alpha.end());
  activation.mean.assign(mean.begin(), mean.end());
  for (size_t i = 0; i < width; ++i) {
    activation.inverse_std.push_back(1.0f / std[i]);
    if (std::isfinite(activation.inverse_std.back())) continue;
    reader.Refuse(
        fmt::format("tensor \"{}.std\": element {} is {}; freeze Dice on rows in which every "
                    "channel varies, and add the framework's epsilon",
                    name, i, std[i]));
    return activation;
  }
  return activation;
}

void Activate(const ActivationLayer& activation, std::span<const float> y, std::span<float> x) {
  switch (activation.kind) {
    case Activation::kRelu:
      AddRelu(y, x);
      return;
    case Activation::kSigmoid:
      AddSigmoid(y, x);
      return;
    case Activation::kDice:
      AddDiceOfChannels(y, {activation.mean, activation.inverse_std, activation.alpha}, x);
      return;
  }
}

void DropValues(DenseLayer& layer) {
  std::vector<float>().swap(layer.weight.values);  // clear would keep the memory
}

Mlp ReadMlp(CheckpointReader& reader, const std::string& name, size_t in, Activation activation) {
  const size_t hidden1 =
      reader.MatrixShape(name + ".0.weight", kSequenceLayerMax, kSequenceInputsMax)[0];
  const size_t hidden2 =
      reader.MatrixShape(name + ".2.weight", kSequenceLayerMax, kSequenceLayerMax)[0];
  return {.first = ReadDense(reader, name + ".0", hidden1, in),
          .second = ReadDense(reader, name + ".2", hidden2, hidden1),
          .third = ReadDense(reader, name + ".4", 1, hidden2),
          .behind_first = ReadActivation(reader, name + ".1", hidden1, activation),
          .behind_second = ReadActivation(reader, name + ".3", hidden2, activation)};
}

MlpScratch::MlpScratch(const Mlp& mlp, size_t rows)
    : hidden1(PaddedRows(rows) * mlp.first.out()), hidden2(PaddedRows(rows) * mlp.second.out()) {}

void FinishMlp(const Mlp& mlp, std::span<const float> added, size_t rows, MlpScratch& scratch,
               Bf16Scratch& products, MutableMatrix out) {
  const size_t width1 = mlp.second.in();
  const size_t width2 = mlp.second.out();
  for (size_t row = 0; row < rows; ++row) {
    Activate(mlp.behind_first, added, std::span(scratch.hidden1).subspan(row * width1, width1));
  }
  MultiplyByWeight({scratch.hidden1.data(), width1}, mlp.second.weight, rows,
                   scratch.hidden2.data(), products);
  for (size_t row = 0; row < rows; ++row) {
    out.data[row * out.stride] =
        mlp.third.bias[0] + DotActivated(mlp.behind_second, mlp.second.bias,
                                         mlp.third.weight.values,
                                         std::span(scratch.hidden2).subspan(row * width2, width2));
  }
}

}  // namespace groundswell
