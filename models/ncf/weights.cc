#include "models/ncf/weights.h"

#include <fmt/format.h>

#include "models/files/checkpoint_reader.h"
#include "models/sequence/limits.h"

namespace groundswell {
namespace {

constexpr size_t kNcfLayersMax = 8;

// `width` 0: as the tensor says. `rows` likewise.
NcfTable ReadNcfTable(CheckpointReader& reader, const std::string& name, size_t rows,
                      size_t width) {
  const auto shape = reader.MatrixShape(name, kSequenceRowsMax, kSequenceWidthMax);
  NcfTable table{
      .values = {}, .rows = rows == 0 ? shape[0] : rows, .width = width == 0 ? shape[1] : width};
  table.values = reader.Read(name, {table.rows, table.width});
  return table;
}

// mlp.{0,2,..}: the first is split by whose its inputs are, the others are as they are.
void ReadNcfLayers(CheckpointReader& reader, NcfWeights& weights) {
  const size_t of_user = weights.user_mlp.width;
  const size_t of_item = weights.item_mlp.width;
  size_t in = of_user + of_item;
  for (size_t at = 0; at == 0 || reader.Has(fmt::format("mlp.{}.weight", 2 * at)); ++at) {
    const std::string name = fmt::format("mlp.{}", 2 * at);
    if (at == kNcfLayersMax) {
      reader.Refuse(fmt::format("tensor \"{}.weight\" is of layer {}; at most {} are served", name,
                                at + 1, kNcfLayersMax));
      return;
    }
    const size_t out =
        reader.MatrixShape(name + ".weight", kSequenceLayerMax, kSequenceLayerMax)[0];
    DenseLayer layer = ReadDense(reader, name, out, in);
    if (!reader.ok()) return;
    if (at == 0) {
      weights.first_of_user = InputsOf(layer, 0, of_user);
      weights.first_of_user.bias = layer.bias;
      weights.first_of_item = InputsOf(layer, of_user, of_item);
    } else {
      weights.behind.push_back(std::move(layer));
    }
    in = out;
  }
}

void ReadNcfOutput(CheckpointReader& reader, NcfWeights& weights) {
  const DenseLayer& last = weights.behind.empty() ? weights.first_of_item : weights.behind.back();
  const size_t k = weights.item_gmf.width;
  const auto output = reader.Read("output.weight", {1, k + last.out()});
  const auto bias =
      reader.Has("output.bias") ? reader.Read("output.bias", {1}) : std::span<const float>();
  if (!reader.ok()) return;
  weights.output_gmf.assign(output.begin(), output.begin() + static_cast<ptrdiff_t>(k));
  weights.output_mlp.assign(output.begin() + static_cast<ptrdiff_t>(k), output.end());
  if (!bias.empty()) weights.output_bias = bias[0];
}

}  // namespace

absl::StatusOr<NcfWeights> LoadNcfWeights(const SafetensorsFile& file,
                                          const std::map<std::string, std::string>& options) {
  NcfWeights weights{.file = file};
  OptionReader option("ncf", options);
  weights.precision = option.ReadPrecision();
  if (absl::Status s = option.Finish(); !s.ok()) return s;

  CheckpointReader reader(file);
  weights.user_gmf = ReadNcfTable(reader, "user_gmf.weight", 0, 0);
  weights.item_gmf = ReadNcfTable(reader, "item_gmf.weight", 0, weights.user_gmf.width);
  weights.user_mlp = ReadNcfTable(reader, "user_mlp.weight", weights.user_gmf.rows, 0);
  weights.item_mlp = ReadNcfTable(reader, "item_mlp.weight", weights.item_gmf.rows, 0);
  ReadNcfLayers(reader, weights);
  ReadNcfOutput(reader, weights);
  if (absl::Status s = reader.Finish(); !s.ok()) return s;
  for (DenseLayer& layer : weights.behind) {
    if (absl::Status s = PackLayer(weights.precision, layer); !s.ok()) return s;
  }
  return weights;
}

}  // namespace groundswell
