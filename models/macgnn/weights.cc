#include "models/macgnn/weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "models/files/checkpoint_reader.h"

namespace groundswell {
namespace {

// Far above every published model; below them no derived table or scratch can exhaust the memory.
constexpr size_t kEmbeddingRowsMax = 1'000'000'001;
constexpr size_t kMacgnnWidthMax = 1'024;             // d
constexpr size_t kAggregateMax = 4'096;               // h
constexpr size_t kMacgnnHiddenMax = 16'384;           // rows of mlp.0 and mlp.2
constexpr size_t kMacgnnClustersMax = 65'536;         // P and Q
constexpr size_t kClusterTableMax = size_t{1} << 24;  // P h, P d, Q h and Q d, floats
constexpr size_t kRecentLenMax = 1'000;
constexpr double kTauMin = 0.01;
constexpr double kTauMax = 100.0;

float ReadScalar(CheckpointReader& reader, const std::string& name) {
  const std::span<const float> values = reader.Read(name, {1});
  return values.empty() ? 0.0f : values[0];
}

MacgnnDice ReadDice(CheckpointReader& reader, const std::string& layer, size_t width) {
  if (!reader.Has(layer + ".mean") || !reader.Has(layer + ".std")) {
    reader.Refuse(fmt::format(
        "tensors \"{0}.mean\" and \"{0}.std\" are missing: the checkpoint's Dice uses the "
        "statistics of each batch, which cannot be served. Freeze them: run the training rows "
        "through the model and store the mean and the unbiased standard deviation of the input "
        "of {0} (docs/training.md)",
        layer));
    return {};
  }
  MacgnnDice dice{.mean = reader.Read(layer + ".mean", {width}),
                  .inverse_std = {},
                  .alpha = ReadScalar(reader, layer + ".alpha")};
  for (const float std : reader.Read(layer + ".std", {width})) {
    if (!(std > 0) || !std::isfinite(1.0f / std)) {
      reader.Refuse(
          fmt::format("tensor \"{}.std\": element {} is {}; every element must be positive and "
                      "have a finite inverse",
                      layer, dice.inverse_std.size(), std));
    }
    dice.inverse_std.push_back(1.0f / std);
  }
  return dice;
}

// a b (rows x columns), in double, once; b is inner x columns.
std::vector<float> Product(std::span<const float> a, std::span<const float> b, size_t inner,
                           size_t columns, double scale = 1) {
  std::vector<float> result(a.size() / inner * columns);
  for (size_t at = 0; at < result.size(); ++at) {
    double sum = 0;
    for (size_t k = 0; k < inner; ++k) {
      sum += double{a[at / columns * inner + k]} * double{b[k * columns + at % columns]};
    }
    result[at] = static_cast<float>(scale * sum);
  }
  return result;
}

std::vector<float> Transposed(std::span<const float> matrix, size_t columns) {
  const size_t rows = matrix.size() / columns;
  std::vector<float> result(matrix.size());
  for (size_t row = 0; row < rows; ++row) {
    for (size_t column = 0; column < columns; ++column) {
      result[column * rows + row] = matrix[row * columns + column];
    }
  }
  return result;
}

MacgnnSide ReadSide(CheckpointReader& reader, const std::string& prefix, size_t clusters,
                    const MacgnnShape& shape) {
  const auto [d, h] = std::pair(shape.d, shape.h);
  const std::string aggregator = prefix + "_shared_aggregator.";
  const auto embeddings = reader.Read(prefix + "_macro_embed.weight", {clusters, d});
  const auto query = reader.Read(aggregator + "Q_w.weight", {h, d});
  const auto key = reader.Read(aggregator + "K_w.weight", {h, d});
  const auto value = reader.Read(aggregator + "V_w.weight", {h, d});
  if (!reader.ok()) return {};
  // Queries and keys meet in inner products alone, so their two matrices become one here: a request
  // multiplies by d x d where it would multiply by two of h x d, and a cluster's part is known.
  MacgnnSide side{
      .value = Transposed(value, d), .score = {}, .cluster_values = {}, .cluster_scores = {}};
  side.score = Product(Transposed(query, d), key, h, d, 1 / std::sqrt(static_cast<double>(h)));
  side.cluster_values = Product(embeddings, side.value, d, h);
  side.cluster_scores = Product(embeddings, side.score, d, d);
  return side;
}

absl::Status ReadMacgnnOptions(const std::map<std::string, std::string>& options,
                               MacgnnWeights& weights) {
  OptionReader option("macgnn", options);
  weights.attention = option.Choice("attention", {"none", "neighbours"}) == 0
                          ? MacgnnAttention::kNone
                          : MacgnnAttention::kNeighbours;
  weights.precision = option.ReadPrecision();
  const double tau = option.PositiveNumber("tau", kTauMin, kTauMax);
  weights.inverse_tau = static_cast<float>(1.0 / tau);
  weights.shape.recent_len = option.Size("recent_len", kRecentLenMax);
  return option.Finish();
}

void ReadMacgnnShape(CheckpointReader& reader, MacgnnShape& shape) {
  const auto rows = [&](const char* name, size_t rows_max, size_t columns_max) {
    return reader.MatrixShape(name, rows_max, columns_max)[0];
  };
  shape.users = rows("user_embed.weight", kEmbeddingRowsMax, kMacgnnWidthMax);
  const auto item_embed =
      reader.MatrixShape("item_embed.weight", kEmbeddingRowsMax, kMacgnnWidthMax);
  shape.items = item_embed[0];
  shape.d = item_embed[1];
  shape.h = rows("u_shared_aggregator.V_w.weight", kAggregateMax, kMacgnnWidthMax);
  const size_t clusters_max =
      std::min(kMacgnnClustersMax, kClusterTableMax / std::max({shape.h, shape.d, size_t{1}}));
  shape.user_clusters = rows("u_macro_embed.weight", clusters_max, kMacgnnWidthMax);
  shape.item_clusters = rows("i_macro_embed.weight", clusters_max, kMacgnnWidthMax);
  shape.hidden1 = rows("mlp.0.weight", kMacgnnHiddenMax, 2 * (kMacgnnWidthMax + 3 * kAggregateMax));
  shape.hidden2 = rows("mlp.2.weight", kMacgnnHiddenMax, kMacgnnHiddenMax);
}

std::vector<Lanes> PaddedRowsOf(std::span<const float> table, size_t width) {
  const size_t lanes = LanesOf(width);
  std::vector<Lanes> rows(table.size() / width * lanes);
  for (size_t at = 0; at < table.size(); ++at) {
    const size_t column = at % width;
    rows[at / width * lanes + column / kLanes].values[column % kLanes] = table[at];
  }
  return rows;
}

// The parts of W0', by what they depend on.
absl::Status SplitFirstLayer(MacgnnWeights& weights) {
  const auto [d, h] = std::pair(weights.shape.d, weights.shape.h);
  const size_t hidden1 = weights.shape.hidden1;
  const std::vector<float> transposed = Transposed(weights.mlp0, weights.shape.concat());
  // Rows of it from `begin` of the user's or the item's half, whose inputs are [embedding | one-hop
  // | two-hop | recent] of d, h, h and h numbers.
  const auto append = [&](size_t half, size_t begin, size_t count, std::vector<float>& to) {
    const auto from = transposed.begin() +
                      static_cast<ptrdiff_t>((half * weights.shape.half() + begin) * hidden1);
    to.insert(to.end(), from, from + static_cast<ptrdiff_t>(count * hidden1));
  };
  append(0, 0, weights.shape.half(), weights.user_layer);
  std::vector<float> item, pair;
  append(1, 0, d, item);
  append(1, d + h, h, item);  // i2
  const bool attends = weights.attention == MacgnnAttention::kNeighbours;
  if (!attends) {
    append(1, d, h, item);          // i1
    append(1, d + 2 * h, h, item);  // ir
  }
  const size_t items_in = item.size() / hidden1;
  // In f32 always: what is kept is made once, and read by many requests.
  auto item_layer = MakeWeight(std::move(item), items_in, hidden1, Precision::kF32);
  if (!item_layer.ok()) return item_layer.status();
  weights.item_layer = *std::move(item_layer);
  if (!attends) return absl::OkStatus();

  // ir is V of a sum of the newest users' embeddings: V and the layer's rows become one matrix,
  // which takes the sum, half as wide.
  std::vector<float> ir;
  append(1, d + 2 * h, h, ir);
  const std::vector<float> of_sum = Product(weights.users.value, ir, h, hidden1);
  append(1, d, h, pair);  // i1
  pair.insert(pair.end(), of_sum.begin(), of_sum.end());
  append(0, d, h, pair);          // u1
  append(0, d + 2 * h, h, pair);  // ur
  const size_t pairs_in = pair.size() / hidden1;
  auto pair_layer = MakeWeight(std::move(pair), pairs_in, hidden1, weights.precision);
  if (!pair_layer.ok()) return pair_layer.status();
  weights.pair_layer = *std::move(pair_layer);
  return absl::OkStatus();
}

absl::Status Precompute(MacgnnWeights& weights, std::span<const float> mlp2) {
  const MacgnnShape& shape = weights.shape;
  if (absl::Status s = SplitFirstLayer(weights); !s.ok()) return s;
  auto second_layer =
      MakeWeight(Transposed(mlp2, shape.hidden1), shape.hidden1, shape.hidden2, weights.precision);
  if (!second_layer.ok()) return second_layer.status();
  weights.second_layer = *std::move(second_layer);
  weights.user_rows = PaddedRowsOf(weights.user_embed, shape.d);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<MacgnnWeights> LoadMacgnnWeights(const SafetensorsFile& file,
                                                const std::map<std::string, std::string>& options) {
  MacgnnWeights weights{.file = file};
  if (absl::Status s = ReadMacgnnOptions(options, weights); !s.ok()) return s;
  CheckpointReader reader(file);
  MacgnnShape& shape = weights.shape;
  ReadMacgnnShape(reader, shape);
  weights.user_embed = reader.Read("user_embed.weight", {shape.users, shape.d});
  weights.item_embed = reader.Read("item_embed.weight", {shape.items, shape.d});
  weights.users = ReadSide(reader, "u", shape.user_clusters, shape);
  weights.items = ReadSide(reader, "i", shape.item_clusters, shape);
  weights.mlp0 = reader.Read("mlp.0.weight", {shape.hidden1, shape.concat()});
  weights.bias0 = reader.Read("mlp.0.bias", {shape.hidden1});
  weights.dice1 = ReadDice(reader, "mlp.1", shape.hidden1);
  const auto mlp2 = reader.Read("mlp.2.weight", {shape.hidden2, shape.hidden1});
  weights.bias2 = reader.Read("mlp.2.bias", {shape.hidden2});
  weights.dice3 = ReadDice(reader, "mlp.3", shape.hidden2);
  weights.mlp4 = reader.Read("mlp.4.weight", {1, shape.hidden2});
  weights.bias4 = ReadScalar(reader, "mlp.4.bias");
  reader.Skip("cate_embed.weight");  // the authors' code has and never reads it
  if (absl::Status s = reader.Finish(); !s.ok()) return s;
  if (absl::Status s = Precompute(weights, mlp2); !s.ok()) return s;
  return weights;
}

}  // namespace groundswell
