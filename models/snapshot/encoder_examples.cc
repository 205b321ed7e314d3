#include "models/snapshot/encoder_examples.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string_view>

namespace groundswell {
namespace {

constexpr char kEncoderRemedy[] =
    "export the encoder's file and its examples together again, or take "
    "encoder_examples.safetensors out of the manifest and the directory to serve the snapshot "
    "unproved";
constexpr int64_t kExampleTimeMax = std::numeric_limits<uint32_t>::max();

// How the tensors of an encoder are called; empty: it does not read them.
struct ExampleNames {
  std::string row, begin, length, neighbor, degree, count, time, clusters, vectors;
  std::string expected = "vector";
};

ExampleNames ExampleNamesOf(const EncoderShape& shape, EncoderSide side) {
  ExampleNames names;
  const std::string target = NameOf(side), neighbor = NameOf(OtherSide(side));
  if (shape.clusters > 0) names.clusters = "in.h1";
  if (shape.neighbors == 0) return names;
  if (shape.degrees) {
    const std::string fold = "fold." + target;
    names.begin = "in." + fold + ".begin";
    names.neighbor = "in." + fold + ".neighbor";
    names.degree = "in." + fold + ".neighbor_degree";
    // Also where there is no table of rows, so that encoders of one kind are proved by one format.
    names.row = "in." + fold + ".row";
    names.expected = fold;
    return names;
  }
  names.neighbor = "in." + neighbor;
  if (shape.counts) names.count = "in.count";
  if (shape.times) names.time = "in.time_s";
  if (shape.counts && !shape.times) {
    names.begin = "in." + target + "_begin";
  } else {
    names.length = "in.length";
  }
  names.vectors = "in." + neighbor + "_vectors";
  return names;
}

// Reads the tensors of one encoder, and keeps the first error.
class ExampleReader {
 public:
  ExampleReader(const SafetensorsFile& file, const std::string& prefix)
      : file_(file), prefix_(prefix) {}

  // The integers of a list that is there, each from `least` to `most`.
  std::vector<int64_t> List(const std::string& name, size_t count, int64_t least, int64_t most) {
    const std::array<size_t, 1> shape{count};
    return Integers(name, shape, least, most);
  }

  std::vector<int64_t> Matrix(const std::string& name, size_t rows, size_t columns) {
    const std::array<size_t, 2> shape{rows, columns};
    return Integers(name, shape, 0, std::numeric_limits<int64_t>::max());
  }

  std::span<const float> Floats(const std::string& name, size_t rows, size_t columns) {
    const std::array<size_t, 2> shape{rows, columns};
    return FloatsOf(name, shape);
  }

  std::span<const float> Floats(const std::string& name, size_t count) {
    const std::array<size_t, 1> shape{count};
    return FloatsOf(name, shape);
  }

  bool Has(const std::string& name) const { return file_.tensors().contains(prefix_ + name); }

  // Rows of a tensor, at most `most`; 0 and an error where it has more or is not there.
  size_t RowsOf(const std::string& name, size_t most) {
    const auto at = file_.tensors().find(prefix_ + name);
    if (at == file_.tensors().end() || at->second.shape.empty()) {
      Refuse(name, "is missing", "it has one row for each, and the encoder reads it");
      return 0;
    }
    if (at->second.shape[0] <= most) return at->second.shape[0];
    Refuse(name, fmt::format("has {} rows", at->second.shape[0]), fmt::format("at most {}", most));
    return 0;
  }

  void Refuse(const std::string& name, std::string_view what, std::string_view remedy) {
    if (!status_.ok()) return;
    status_ = absl::InvalidArgumentError(
        fmt::format("{}: tensor \"{}{}\" {}; {}", file_.name(), prefix_, name, what, remedy));
  }
  const absl::Status& status() const { return status_; }

 private:
  std::span<const float> FloatsOf(const std::string& name, std::span<const size_t> shape) {
    if (!status_.ok()) return {};
    const auto values = file_.Floats(prefix_ + name, shape);
    if (values.ok()) return *values;
    status_ = values.status();
    return {};
  }

  std::vector<int64_t> Integers(const std::string& name, std::span<const size_t> shape,
                                int64_t least, int64_t most) {
    if (!status_.ok()) return {};
    auto values = file_.Integers(prefix_ + name, shape);
    if (!values.ok()) {
      status_ = values.status();
      return {};
    }
    for (size_t i = 0; i < values->size(); ++i) {
      const int64_t value = (*values)[i];
      if (value >= least && value <= most) continue;
      Refuse(name, fmt::format("has {} as element {}", value, i),
             fmt::format("it must be {} to {}", least, most));
      return {};
    }
    return *std::move(values);
  }

  const SafetensorsFile& file_;
  const std::string prefix_;
  absl::Status status_;
};

std::vector<uint64_t> ReadBeginsOf(const std::string& name, size_t targets, ExampleReader& reader) {
  const int64_t most = kEncoderExampleNeighborsMax;
  const std::vector<int64_t> begin = reader.List(name, targets + 1, 0, most);
  if (!reader.status().ok()) return {0};
  if (begin[0] != 0 || !std::is_sorted(begin.begin(), begin.end())) {
    reader.Refuse(name, "does not rise from 0", "it has the first position of each target");
  }
  return {begin.begin(), begin.end()};
}

void ReadBegins(const ExampleNames& names, ExampleReader& reader, EncoderExamples& examples) {
  examples.begin.assign(1, 0);
  const int64_t most = kEncoderExampleNeighborsMax;
  if (!names.length.empty()) {
    for (const int64_t length : reader.List(names.length, examples.targets, 0, most)) {
      examples.begin.push_back(examples.begin.back() + static_cast<uint64_t>(length));
    }
    return;
  }
  examples.begin = ReadBeginsOf(names.begin, examples.targets, reader);
}

void ReadNeighbors(const ExampleNames& names, const EncoderShape& shape, EncoderSide side,
                   const TrainedVectors& trained, ExampleReader& reader,
                   EncoderExamples& examples) {
  ReadBegins(names, reader, examples);
  if (!reader.status().ok()) return;
  const size_t edges = examples.begin.back();
  std::span<const float> vectors = trained.Of(OtherSide(side));
  if (shape.vectors && reader.Has(names.vectors)) {
    const size_t rows = reader.RowsOf(names.vectors, kEncoderExampleNeighborsMax);
    vectors = reader.Floats(names.vectors, rows, shape.dim);
  }
  const size_t rows = shape.vectors ? vectors.size() / shape.dim : shape.neighbor_rows;
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  const std::vector<int64_t> neighbor =
      reader.List(names.neighbor, edges, -1, static_cast<int64_t>(rows) - 1);
  for (const int64_t row : neighbor) {
    examples.neighbor.push_back(row < 0 ? kNoRow : static_cast<uint32_t>(row));
    const bool has_vector = shape.vectors && row >= 0;
    examples.vector.push_back(has_vector ? VectorRow(vectors, shape.dim, static_cast<size_t>(row))
                                         : std::span<const float>());
  }
  if (shape.degrees) {
    const std::vector<int64_t> degree = reader.List(names.degree, edges, 1, kMost);
    examples.degree.assign(degree.begin(), degree.end());
  }
  if (shape.counts) examples.count = reader.List(names.count, edges, 1, kMost);
  if (shape.times) examples.time_s = reader.List(names.time, edges, 0, kExampleTimeMax);
}

// Rows of the features that the examples have, by target or neighbour.
std::vector<std::span<const float>> FeaturesOf(const std::vector<int64_t>& rows,
                                               std::span<const float> features, size_t width) {
  std::vector<std::span<const float>> of_rows;
  of_rows.reserve(rows.size());
  for (const int64_t row : rows) {
    of_rows.push_back(VectorRow(features, width, static_cast<size_t>(row)));
  }
  return of_rows;
}

std::span<const float> ReadWeights(const std::string& name, size_t count, ExampleReader& reader) {
  const std::span<const float> weights = reader.Floats(name, count);
  for (const float weight : weights) {
    if (weight >= 0) continue;
    reader.Refuse(name, fmt::format("has the element {}", weight), "a weight is at least 0");
  }
  return weights;
}

void ReadRelations(const EncoderShape& shape, ExampleReader& reader, EncoderExamples& examples) {
  const size_t rows = reader.RowsOf("in.features", kEncoderExampleNeighborsMax);
  const auto features = reader.Floats("in.features", rows, shape.features);
  const auto last = static_cast<int64_t>(rows) - 1;
  examples.features =
      FeaturesOf(reader.List("in.row", examples.targets, 0, last), features, shape.features);
  constexpr int64_t kMost = std::numeric_limits<uint32_t>::max();
  for (const EncoderRelation& relation : shape.relations) {
    const std::string name = "in." + std::string(relation.name);
    EncoderExamples::Relation lists;
    lists.begin = ReadBeginsOf(name + ".begin", examples.targets, reader);
    if (!reader.status().ok()) return;
    const size_t edges = lists.begin.back();
    const std::vector<int64_t> neighbor =
        reader.List(name + ".neighbor", edges, 0, relation.entity_rows > 0 ? kMost : last);
    if (relation.entity_rows > 0) {
      lists.row.assign(neighbor.begin(), neighbor.end());
    } else {
      lists.features = FeaturesOf(neighbor, features, shape.features);
    }
    lists.weight = ReadWeights(name + ".weight", edges, reader);
    examples.relations.push_back(std::move(lists));
  }
  for (const EncoderExamples::Relation& lists : examples.relations) {
    examples.lists.push_back({.begin = lists.begin,
                              .features = lists.features,
                              .row = lists.row,
                              .weight = lists.weight});
  }
}

// The sides of a list's nodes, all items where the encoder reads no users.
std::vector<EncoderSide> SidesOf(size_t layer, size_t nodes, const EncoderShape& shape,
                                 ExampleReader& reader) {
  std::vector<EncoderSide> sides;
  if (shape.user_features == 0) return sides;
  for (const int64_t type : reader.List(fmt::format("in.layer.{}.type", layer), nodes, 0, 1)) {
    sides.push_back(type == 1 ? EncoderSide::kUser : EncoderSide::kItem);
  }
  return sides;
}

// Layer 0; the sides of its nodes.
void ReadNodes(const EncoderShape& shape, ExampleReader& reader, EncoderExamples& examples) {
  const auto read_features = [&](const char* name, size_t width) {
    return reader.Floats(name, reader.RowsOf(name, kEncoderExampleNeighborsMax), width);
  };
  const size_t nodes = reader.RowsOf("in.layer.0.row", kEncoderExampleNeighborsMax);
  examples.side = SidesOf(0, nodes, shape, reader);
  const bool has_users = shape.user_features > 0;
  const auto items = read_features(has_users ? "in.item_features" : "in.features", shape.features);
  const auto users =
      has_users ? read_features("in.user_features", shape.user_features) : std::span<const float>();
  if (!reader.status().ok()) return;
  const std::vector<int64_t> rows =
      reader.List("in.layer.0.row", nodes, 0, kEncoderExampleNeighborsMax);
  for (size_t node = 0; node < rows.size(); ++node) {
    const bool is_user = has_users && examples.side[node] == EncoderSide::kUser;
    const size_t width = is_user ? shape.user_features : shape.features;
    const auto row = static_cast<size_t>(rows[node]);
    const size_t count = (is_user ? users : items).size() / width;
    if (row >= count) {
      return reader.Refuse(
          "in.layer.0.row", fmt::format("has {} as element {}", row, node),
          fmt::format("there are features of {} {}", count, is_user ? "users" : "items"));
    }
    examples.features.push_back(VectorRow(is_user ? users : items, width, row));
  }
}

// Where users and items are read, a node is the same below, and its neighbours of the other side:
// their rows have other sizes.
void CheckSides(const std::string& name, const EncoderExamples::Layer& layer,
                std::span<const EncoderSide> below, ExampleReader& reader) {
  for (size_t v = 0; v < layer.side.size(); ++v) {
    if (below[layer.self[v]] != layer.side[v]) {
      return reader.Refuse(name + ".self", fmt::format("makes node {} of another type below", v),
                           "a node is a user in all layers, or an item");
    }
    for (uint64_t at = layer.begin[v]; at < layer.begin[v + 1]; ++at) {
      if (below[layer.neighbor[at]] != layer.side[v]) continue;
      return reader.Refuse(
          name + ".neighbor",
          fmt::format("has a neighbour of node {}'s own type as element {}", v, at),
          "the neighbours of an item are users, those of a user items");
    }
  }
}

void ReadBlocks(const EncoderShape& shape, ExampleReader& reader, EncoderExamples& examples) {
  ReadNodes(shape, reader, examples);
  size_t below = examples.features.size();
  for (size_t k = 1; k <= shape.layers && reader.status().ok(); ++k) {
    const std::string name = fmt::format("in.layer.{}", k);
    const auto last = static_cast<int64_t>(below) - 1;
    const size_t nodes = k == shape.layers
                             ? examples.targets
                             : reader.RowsOf(name + ".self", kEncoderExampleNeighborsMax);
    EncoderExamples::Layer layer;
    layer.side = SidesOf(k, nodes, shape, reader);
    const std::vector<int64_t> self = reader.List(name + ".self", nodes, 0, last);
    layer.self.assign(self.begin(), self.end());
    layer.begin = ReadBeginsOf(name + ".begin", nodes, reader);
    const size_t edges = layer.begin.back();
    const std::vector<int64_t> neighbor = reader.List(name + ".neighbor", edges, 0, last);
    layer.neighbor.assign(neighbor.begin(), neighbor.end());
    if (shape.weights) layer.weight = ReadWeights(name + ".weight", edges, reader);
    if (!reader.status().ok()) return;
    CheckSides(name, layer, k == 1 ? examples.side : examples.layers.back().side, reader);
    below = nodes;
    examples.layers.push_back(std::move(layer));
  }
  for (const EncoderExamples::Layer& layer : examples.layers) {
    examples.blocks.push_back({.side = layer.side,
                               .self = layer.self,
                               .begin = layer.begin,
                               .neighbor = layer.neighbor,
                               .weight = layer.weight});
  }
}

// How many targets the examples have, by what every encoder of this shape has.
size_t CountTargets(const ExampleNames& names, ExampleReader& reader) {
  const size_t targets = reader.RowsOf(names.expected, kEncoderExampleTargetsMax);
  if (reader.status().ok() && targets == 0) {
    reader.Refuse(names.expected, "has no rows", "write some 100 targets");
  }
  return targets;
}

absl::StatusOr<EncoderAgreement> CheckOneEncoder(const SafetensorsFile& file,
                                                 const Encoder& encoder,
                                                 const TrainedVectors& trained) {
  const std::string name(encoder.name());
  const auto examples = ReadEncoderExamples(file, name + ".", encoder, trained);
  if (!examples.ok()) return examples.status();
  const size_t dim = encoder.shape().dim;
  std::vector<float> vectors(examples->targets * dim);
  const std::unique_ptr<bool[]> known(new bool[examples->targets]);
  const std::unique_ptr<EncoderScratch> scratch = encoder.NewScratch();
  encoder.Encode(examples->Input(), *scratch, vectors, std::span(known.get(), examples->targets));
  EncoderAgreement agreement{.encoder = name, .targets = examples->targets};
  double worst_share = 0;
  size_t worst = 0;
  for (size_t i = 0; i < vectors.size(); ++i) {
    const double expected = examples->expected[i];
    const double difference = std::abs(double{vectors[i]} - expected);
    agreement.max_abs_error = std::max(agreement.max_abs_error, difference);
    const double share = difference / (kEncoderExampleTolerance * (1 + std::abs(expected)));
    if (share <= worst_share) continue;
    worst_share = share;
    worst = i;
  }
  if (worst_share > 1) {
    return absl::InvalidArgumentError(
        fmt::format("{}: encoder \"{}\" gives target {} the number {} in place {} of its vector, "
                    "the exporter's "
                    "is {}; at most {} (1 + |number|) may lie between. {}",
                    file.name(), name, worst / dim, vectors[worst], worst % dim,
                    examples->expected[worst], kEncoderExampleTolerance, kEncoderRemedy));
  }
  for (size_t t = 0; t < examples->known.size(); ++t) {
    if (known[t] == (examples->known[t] == 1)) continue;
    return absl::InvalidArgumentError(fmt::format(
        "{}: encoder \"{}\" has {} vector for target {}; \"{}.known\" is {}. {}", file.name(), name,
        known[t] ? "a" : "no", t, name, examples->known[t], kEncoderRemedy));
  }
  return agreement;
}

}  // namespace

EncoderInput EncoderExamples::Input() const {
  return {.targets = targets,
          .row = row,
          .neighbors = {.begin = begin,
                        .row = neighbor,
                        .degree = degree,
                        .count = count,
                        .time_s = time_s,
                        .vector = vector},
          .clusters = clusters,
          .features = features,
          .relations = lists,
          .blocks = {.side = side, .features = features, .layers = blocks}};
}

absl::StatusOr<EncoderExamples> ReadEncoderExamples(const SafetensorsFile& file,
                                                    const std::string& prefix,
                                                    const Encoder& encoder,
                                                    const TrainedVectors& trained) {
  const EncoderShape shape = encoder.shape();
  const ExampleNames names = ExampleNamesOf(shape, encoder.side());
  ExampleReader reader(file, prefix);
  EncoderExamples examples{.targets = CountTargets(names, reader), .file = file};
  examples.expected = reader.Floats(names.expected, examples.targets, shape.dim);
  if (!names.row.empty()) {
    const auto rows = static_cast<int64_t>(trained.Of(encoder.side()).size() / trained.dim);
    for (const int64_t row : reader.List(names.row, examples.targets, -1, rows - 1)) {
      examples.row.push_back(row < 0 ? kNoRow : static_cast<uint32_t>(row));
    }
  }
  if (shape.clusters > 0) {
    examples.clusters = reader.Matrix(names.clusters, examples.targets, shape.clusters);
  }
  if (shape.neighbors > 0 && reader.status().ok()) {
    ReadNeighbors(names, shape, encoder.side(), trained, reader, examples);
  }
  if (shape.layers > 0 && reader.status().ok()) {
    ReadBlocks(shape, reader, examples);
  } else if (shape.features > 0 && reader.status().ok()) {
    ReadRelations(shape, reader, examples);
  }
  if (reader.Has("known")) examples.known = reader.List("known", examples.targets, 0, 1);
  if (!reader.status().ok()) return reader.status();
  return examples;
}

absl::StatusOr<std::vector<EncoderAgreement>> CheckEncoderExamples(
    const SafetensorsFile& file, const Manifest& manifest,
    std::span<const std::unique_ptr<Encoder>> encoders, const TrainedVectors& trained) {
  for (const auto& [name, tensor] : file.tensors()) {
    const std::string_view text = name;
    const bool is_of_encoder =
        std::any_of(manifest.encoders.begin(), manifest.encoders.end(),
                    [&](const auto& encoder) { return text.starts_with(encoder.name + "."); });
    if (is_of_encoder) continue;
    return absl::InvalidArgumentError(
        fmt::format("{}: tensor \"{}\" begins with the name of no encoder that the manifest lists, "
                    "and a dot",
                    file.name(), name));
  }
  std::vector<EncoderAgreement> agreements;
  for (const auto& encoder : encoders) {
    absl::StatusOr<EncoderAgreement> agreement = CheckOneEncoder(file, *encoder, trained);
    if (!agreement.ok()) return agreement.status();
    agreements.push_back(*std::move(agreement));
  }
  return agreements;
}

}  // namespace groundswell
