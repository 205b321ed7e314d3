#include "models/macgnn/weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <set>
#include <utility>

#include "models/elementwise.h"
namespace groundswell {
namespace {

// Far above every published model; below them no derived table or scratch can exhaust the memory.
constexpr size_t kEmbeddingRowsMax = 1'000'000'001;
constexpr size_t kWidthMax = 1'024;                // d
constexpr size_t kAggregateMax = 4'096;            // h
constexpr size_t kHiddenMax = 16'384;              // rows of mlp.0 and mlp.2
constexpr size_t kNodesMax = 65'536;               // P and Q
constexpr size_t kNodeTableMax = size_t{1} << 24;  // P h and Q h, floats
constexpr size_t kRecentLenMax = 1'000;
constexpr double kTauMin = 0.01;
constexpr double kTauMax = 100.0;
// Counts below this have their logarithm in a table (16 KiB, stays in the first-level cache).
constexpr size_t kLogTableSize = 4'096;

// Collects tensors; after the first error it does nothing.
class TensorReader {
 public:
  explicit TensorReader(const SafetensorsFile& file) : file_(file) {}

  // Rows and columns of a matrix, whatever they are below the limits; {0, 0} on an error.
  std::array<size_t, 2> MatrixShape(const std::string& name, size_t rows_max, size_t columns_max) {
    const auto at = file_.tensors().find(name);
    if (at == file_.tensors().end()) {
      Refuse(absl::NotFoundError(fmt::format(
          "{}: tensor \"{}\" is missing; export the whole state_dict", file_.name(), name)));
      return {0, 0};
    }
    const std::vector<size_t>& shape = at->second.shape;
    if (shape.size() != 2 || shape[0] == 0 || shape[1] == 0) {
      Refuse(absl::InvalidArgumentError(
          fmt::format("{}: tensor \"{}\" must be a matrix that is not empty", file_.name(), name)));
      return {0, 0};
    }
    if (shape[0] > rows_max || shape[1] > columns_max) {
      Refuse(absl::InvalidArgumentError(
          fmt::format("{}: tensor \"{}\" has shape [{}, {}]; at most [{}, {}] is served",
                      file_.name(), name, shape[0], shape[1], rows_max, columns_max)));
      return {0, 0};
    }
    return {shape[0], shape[1]};
  }

  std::span<const float> Read(const std::string& name, std::initializer_list<size_t> shape) {
    read_.insert(name);
    if (!status_.ok()) return {};
    const absl::StatusOr<std::span<const float>> values =
        file_.Floats(name, std::span(shape.begin(), shape.size()));
    if (!values.ok()) {
      Refuse(values.status());
      return {};
    }
    return *values;
  }

  float ReadScalar(const std::string& name) {
    const std::span<const float> values = Read(name, {1});
    return values.empty() ? 0.0f : values[0];
  }

  // Every tensor must have been read or be known to be without use.
  void RefuseOthers() {
    for (const auto& [name, tensor] : file_.tensors()) {
      if (read_.contains(name) || name == "cate_embed.weight") continue;
      Refuse(absl::InvalidArgumentError(
          fmt::format("{}: tensor \"{}\" is not part of MacGNN; is the manifest's kind right?",
                      file_.name(), name)));
    }
  }

  void Refuse(absl::Status status) {
    if (status_.ok()) status_ = std::move(status);
  }
  const absl::Status& status() const { return status_; }

 private:
  const SafetensorsFile& file_;
  std::set<std::string> read_;
  absl::Status status_;
};

MacgnnDice ReadDice(const SafetensorsFile& file, TensorReader& reader, const std::string& layer,
                    size_t width) {
  if (!file.tensors().contains(layer + ".mean") || !file.tensors().contains(layer + ".std")) {
    reader.Refuse(absl::FailedPreconditionError(fmt::format(
        "{0}: tensors \"{1}.mean\" and \"{1}.std\" are missing: the checkpoint's Dice uses the "
        "statistics of each batch, which cannot be served. Freeze them: run the training rows "
        "through the model and store the mean and the unbiased standard deviation of the input "
        "of {1} (docs/training.md)",
        file.name(), layer)));
    return {};
  }
  MacgnnDice dice{.mean = reader.Read(layer + ".mean", {width}),
                  .inverse_std = {},
                  .alpha = reader.ReadScalar(layer + ".alpha")};
  for (const float std : reader.Read(layer + ".std", {width})) {
    if (!(std > 0) || !std::isfinite(1.0f / std)) {
      reader.Refuse(absl::InvalidArgumentError(
          fmt::format("{}: tensor \"{}.std\" holds {}; every element must be positive and have a "
                      "finite inverse",
                      file.name(), layer, std)));
    }
    dice.inverse_std.push_back(1.0f / std);
  }
  return dice;
}

MacgnnAggregator ReadAggregator(TensorReader& reader, const std::string& name,
                                const MacgnnShape& shape) {
  return {.query = reader.Read(name + ".Q_w.weight", {shape.h, shape.d}),
          .key = reader.Read(name + ".K_w.weight", {shape.h, shape.d}),
          .value = reader.Read(name + ".V_w.weight", {shape.h, shape.d})};
}

// rows x h = E (rows x d) * W' with W h x d; computed row by row in double, once.
std::vector<float> Transform(std::span<const float> embeddings, std::span<const float> weight,
                             size_t rows, const MacgnnShape& shape) {
  std::vector<float> result(rows * shape.h);
  for (size_t row = 0; row < rows; ++row) {
    for (size_t out = 0; out < shape.h; ++out) {
      double sum = 0;
      for (size_t i = 0; i < shape.d; ++i) {
        sum += double{weight[out * shape.d + i]} * double{embeddings[row * shape.d + i]};
      }
      result[row * shape.h + out] = static_cast<float>(sum);
    }
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

absl::Status BadOption(std::string_view option, std::string_view value, std::string_view remedy) {
  return absl::InvalidArgumentError(
      fmt::format("manifest.json: option \"{}\" of a macgnn model is \"{}\"; it must be {}", option,
                  value, remedy));
}

absl::Status ReadOptions(const std::map<std::string, std::string>& options,
                         MacgnnWeights& weights) {
  for (const auto& [name, value] : options) {
    if (name != "attention" && name != "tau" && name != "recent_len") {
      return BadOption(name, value, "one of attention, tau, recent_len");
    }
  }
  const auto get = [&](const char* name) {
    const auto at = options.find(name);
    return at == options.end() ? std::string() : at->second;
  };
  const std::string attention = get("attention");
  if (attention != "none" && attention != "neighbours") {
    return BadOption("attention", attention,
                     "\"none\" (the authors' checkpoints) or \"neighbours\" (eq. 7)");
  }
  weights.attention = attention == "none" ? MacgnnAttention::kNone : MacgnnAttention::kNeighbours;

  const std::string tau = get("tau");
  double tau_value = 0;
  const auto tau_end = std::from_chars(tau.data(), tau.data() + tau.size(), tau_value);
  if (tau_end.ec != std::errc() || tau_end.ptr != tau.data() + tau.size() ||
      !(tau_value >= kTauMin && tau_value <= kTauMax)) {
    return BadOption("tau", tau, fmt::format("a number from {} to {}", kTauMin, kTauMax));
  }
  weights.inverse_tau = static_cast<float>(1.0 / tau_value);

  const std::string recent = get("recent_len");
  const auto recent_end =
      std::from_chars(recent.data(), recent.data() + recent.size(), weights.shape.recent_len);
  if (recent_end.ec != std::errc() || recent_end.ptr != recent.data() + recent.size() ||
      weights.shape.recent_len < 1 || weights.shape.recent_len > kRecentLenMax) {
    return BadOption("recent_len", recent, fmt::format("an integer from 1 to {}", kRecentLenMax));
  }
  return absl::OkStatus();
}

void ReadShape(TensorReader& reader, MacgnnShape& shape) {
  const auto rows = [&](const char* name, size_t rows_max, size_t columns_max) {
    return reader.MatrixShape(name, rows_max, columns_max)[0];
  };
  shape.users = rows("user_embed.weight", kEmbeddingRowsMax, kWidthMax);
  const auto item_embed = reader.MatrixShape("item_embed.weight", kEmbeddingRowsMax, kWidthMax);
  shape.items = item_embed[0];
  shape.d = item_embed[1];
  shape.h = rows("u_shared_aggregator.V_w.weight", kAggregateMax, kWidthMax);
  const size_t nodes_max = std::min(kNodesMax, kNodeTableMax / std::max(shape.h, size_t{1}));
  shape.user_nodes = rows("u_macro_embed.weight", nodes_max, kWidthMax);
  shape.item_nodes = rows("i_macro_embed.weight", nodes_max, kWidthMax);
  shape.hidden1 = rows("mlp.0.weight", kHiddenMax, 2 * (kWidthMax + 3 * kAggregateMax));
  shape.hidden2 = rows("mlp.2.weight", kHiddenMax, kHiddenMax);
}

void Precompute(MacgnnWeights& weights, std::span<const float> user_nodes,
                std::span<const float> item_nodes) {
  const MacgnnShape& shape = weights.shape;
  weights.user_node_values =
      Transform(user_nodes, weights.user_aggregator.value, shape.user_nodes, shape);
  weights.item_node_values =
      Transform(item_nodes, weights.item_aggregator.value, shape.item_nodes, shape);
  weights.user_node_queries =
      Transform(user_nodes, weights.user_aggregator.query, shape.user_nodes, shape);
  weights.item_node_queries =
      Transform(item_nodes, weights.item_aggregator.query, shape.item_nodes, shape);
  weights.mlp0_transposed = Transposed(weights.mlp0, shape.concat());
  weights.mlp2_transposed = Transposed(weights.mlp2, shape.hidden1);
  weights.log_counts.resize(kLogTableSize);
  for (size_t count = 0; count < kLogTableSize; ++count) {
    weights.log_counts[count] = LogOfCount(static_cast<int64_t>(count)) * weights.inverse_tau;
  }
}

}  // namespace

absl::StatusOr<MacgnnWeights> LoadMacgnnWeights(const SafetensorsFile& file,
                                                const std::map<std::string, std::string>& options) {
  MacgnnWeights weights{.file = file};
  if (absl::Status s = ReadOptions(options, weights); !s.ok()) return s;
  TensorReader reader(file);
  MacgnnShape& shape = weights.shape;
  ReadShape(reader, shape);
  weights.user_embed = reader.Read("user_embed.weight", {shape.users, shape.d});
  weights.item_embed = reader.Read("item_embed.weight", {shape.items, shape.d});
  const auto user_nodes = reader.Read("u_macro_embed.weight", {shape.user_nodes, shape.d});
  const auto item_nodes = reader.Read("i_macro_embed.weight", {shape.item_nodes, shape.d});
  weights.user_aggregator = ReadAggregator(reader, "u_shared_aggregator", shape);
  weights.item_aggregator = ReadAggregator(reader, "i_shared_aggregator", shape);
  weights.mlp0 = reader.Read("mlp.0.weight", {shape.hidden1, shape.concat()});
  weights.bias0 = reader.Read("mlp.0.bias", {shape.hidden1});
  weights.dice1 = ReadDice(file, reader, "mlp.1", shape.hidden1);
  weights.mlp2 = reader.Read("mlp.2.weight", {shape.hidden2, shape.hidden1});
  weights.bias2 = reader.Read("mlp.2.bias", {shape.hidden2});
  weights.dice3 = ReadDice(file, reader, "mlp.3", shape.hidden2);
  weights.mlp4 = reader.Read("mlp.4.weight", {1, shape.hidden2});
  weights.bias4 = reader.ReadScalar("mlp.4.bias");
  reader.RefuseOthers();
  if (!reader.status().ok()) return reader.status();
  Precompute(weights, user_nodes, item_nodes);
  return weights;
}

}  // namespace groundswell
