#include "models/encoders/hetero_encoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

#include "models/math/elementwise.h"
#include "models/math/kernels.h"
#include "models/sequence/limits.h"

namespace groundswell {
namespace {

constexpr size_t kHeteroFeaturesMax = 65'536;
constexpr size_t kHeteroEntitiesMax = 1'000'000'001;

// out (rows x H) = MLP of rows of features.
void ApplyHeteroMlp(const HeteroMlp& mlp, const float* x, size_t rows, std::vector<float>& hidden,
                    float* out) {
  ApplyToRows(mlp.first, x, rows, hidden.data());
  for (float& number : std::span(hidden).first(rows * mlp.first.out())) {
    number = std::max(number, 0.0f);
  }
  ApplyToRows(mlp.second, hidden.data(), rows, out);
}

class HeteroEncoder final : public TargetEncoder {
 public:
  HeteroEncoder(const Manifest::Encoder& encoder, size_t dim, HeteroWeights weights)
      : TargetEncoder(encoder, dim), weights_(std::move(weights)) {}

  EncoderShape shape() const override {
    return {.dim = dim(), .features = weights_.features, .relations = weights_.shapes};
  }
  std::unique_ptr<EncoderScratch> NewScratch() const override {
    return std::make_unique<HeteroScratch>(weights_);
  }

 private:
  void EncodeTarget(const EncoderInput& input, const EncoderTarget& target,
                    EncoderScratch& of_thread, std::span<float> out) const override {
    auto& scratch = static_cast<HeteroScratch&>(of_thread);
    const size_t width = weights_.width;
    ApplyHeteroMlp(weights_.self, target.features.data(), 1, scratch.hidden, scratch.self.data());
    size_t tokens = 0;
    if (weights_.is_per_graph) {
      for (size_t r = 0; r < weights_.relations.size(); ++r) {
        EncodeRelation(input, target.index, r, scratch);
      }
      Append(weights_.cls, weights_.position, 0, tokens, scratch);
      for (size_t r = 0; r < weights_.relations.size(); ++r) {
        Append(VectorRow(scratch.graphs, width, r), weights_.position, r + 1, tokens, scratch);
      }
    } else {
      Append(weights_.cls, weights_.position, 0, tokens, scratch);
      Append(scratch.self, weights_.position, 1, tokens, scratch);
      size_t slot = 2;
      for (size_t r = 0; r < weights_.relations.size(); ++r) {
        const size_t count = MakeNeighbors(input.relations[r], target.index, r, scratch);
        for (size_t i = 0; i < count; ++i) {
          Append(VectorRow(scratch.neighbors, width, i), weights_.position, slot + i, tokens,
                 scratch);
        }
        slot += weights_.shapes[r].neighbors;
      }
    }
    ApplyTransformer(weights_.layers, tokens, scratch.tokens.data(), scratch.transformers.back());
    std::copy_n(scratch.tokens.begin(), width, scratch.summary.begin());
    ApplyToRows(weights_.output0, scratch.summary.data(), 1, scratch.output.data());
    ApplyGelu(scratch.output);
    ApplyToRows(weights_.output2, scratch.output.data(), 1, out.data());
    NormalizeLength(out);
  }

  // One more token: x and the position of its slot.
  void Append(std::span<const float> x, std::span<const float> position, size_t slot,
              size_t& tokens, HeteroScratch& scratch) const {
    const size_t width = weights_.width;
    const auto token = std::span(scratch.tokens).subspan(tokens * width, width);
    std::copy(x.begin(), x.end(), token.begin());
    AddScaled(VectorRow(position, width, slot), 1, token);
    ++tokens;
  }

  // The tokens of a relation's first neighbours, without positions; how many there are.
  size_t MakeNeighbors(const EncoderRelationLists& lists, size_t target, size_t r,
                       HeteroScratch& scratch) const {
    const HeteroRelation& relation = weights_.relations[r];
    const size_t width = weights_.width;
    const size_t begin = lists.begin[target];
    const size_t count =
        std::min<size_t>(lists.begin[target + 1] - begin, weights_.shapes[r].neighbors);
    if (count == 0) return 0;
    if (weights_.shapes[r].entity_rows > 0) {
      for (size_t i = 0; i < count; ++i) {
        const uint32_t row = lists.row[begin + i];
        const auto embed =
            VectorRow(relation.embed, width, row < weights_.shapes[r].entity_rows ? row : 0);
        std::copy(embed.begin(), embed.end(),
                  scratch.neighbors.begin() + static_cast<ptrdiff_t>(i * width));
      }
    } else {
      for (size_t i = 0; i < count; ++i) {
        const std::span<const float> x = lists.features[begin + i];
        std::copy(x.begin(), x.end(),
                  scratch.features.begin() + static_cast<ptrdiff_t>(i * weights_.features));
      }
      ApplyHeteroMlp(relation.mlp, scratch.features.data(), count, scratch.hidden,
                     scratch.neighbors.data());
    }
    for (size_t i = 0; i < count; ++i) {
      const auto log = static_cast<float>(std::log1p(double{lists.weight[begin + i]}));
      for (size_t k = 0; k < width; ++k) {
        scratch.neighbors[i * width + k] *= relation.gate[k] * log + relation.gate_bias[k];
      }
    }
    return count;
  }

  // graphs[r] = g_r
  void EncodeRelation(const EncoderInput& input, size_t target, size_t r,
                      HeteroScratch& scratch) const {
    const HeteroRelation& relation = weights_.relations[r];
    const size_t width = weights_.width;
    const size_t count = MakeNeighbors(input.relations[r], target, r, scratch);
    size_t tokens = 0;
    Append(relation.cls, relation.position, 0, tokens, scratch);
    Append(scratch.self, relation.position, 1, tokens, scratch);
    for (size_t i = 0; i < count; ++i) {
      Append(VectorRow(scratch.neighbors, width, i), relation.position, 2 + i, tokens, scratch);
    }
    ApplyTransformer(relation.layers, tokens, scratch.tokens.data(), scratch.transformers[r]);
    std::copy_n(scratch.tokens.begin(), width,
                scratch.graphs.begin() + static_cast<ptrdiff_t>(r * width));
  }

  const HeteroWeights weights_;
};

// "NAME:item:NEIGHBOURS,NAME:entity:NEIGHBOURS,.."; false unless all of it is.
bool ParseHeteroRelations(std::string_view text, HeteroWeights& weights) {
  size_t neighbors_of_all = 0;
  for (bool is_last = false; !is_last;) {
    const size_t comma = text.find(',');
    is_last = comma == std::string_view::npos;
    const std::string_view entry = text.substr(0, comma);
    if (!is_last) text.remove_prefix(comma + 1);
    const size_t first = entry.find(':');
    if (first == std::string_view::npos || first == 0) return false;
    const size_t second = entry.find(':', first + 1);
    if (second == std::string_view::npos) return false;
    const std::string name(entry.substr(0, first));
    const std::string_view of = entry.substr(first + 1, second - first - 1);
    const std::string_view count = entry.substr(second + 1);
    size_t neighbors = 0;
    const auto end = std::from_chars(count.data(), count.data() + count.size(), neighbors);
    const bool is_count = end.ec == std::errc() && end.ptr == count.data() + count.size();
    if (!is_count || neighbors < 1 || neighbors > kHeteroNeighborsMax) return false;
    if (of != "item" && of != "entity") return false;
    if (std::count(weights.names.begin(), weights.names.end(), name) > 0) return false;
    if (weights.names.size() == kHeteroRelationsMax) return false;
    neighbors_of_all += neighbors;
    weights.names.push_back(name);
    // Rows of entities follow from the file; until then 1 says that they are entities.
    weights.shapes.push_back(
        {.name = {}, .neighbors = neighbors, .entity_rows = of == "entity" ? size_t{1} : 0});
  }
  return neighbors_of_all <= kHeteroNeighborsMax;
}

HeteroMlp ReadHeteroMlp(CheckpointReader& reader, const std::string& name, size_t features,
                        size_t width) {
  const size_t hidden =
      reader.MatrixShape(name + ".0.weight", kSequenceLayerMax, kHeteroFeaturesMax)[0];
  return {.first = ReadDense(reader, name + ".0", hidden, features),
          .second = ReadDense(reader, name + ".2", width, hidden)};
}

void ReadHeteroRelation(CheckpointReader& reader, const TransformerOptions& options, size_t r,
                        HeteroWeights& weights) {
  const std::string& name = weights.names[r];
  const size_t width = weights.width;
  HeteroRelation relation;
  EncoderRelation& shape = weights.shapes[r];
  shape.name = name;
  if (shape.entity_rows > 0) {
    const std::string embed = name + ".embed.weight";
    shape.entity_rows = reader.MatrixShape(embed, kHeteroEntitiesMax, kSequenceWidthMax)[0];
    relation.embed = reader.Read(embed, {shape.entity_rows, width});
  } else {
    relation.mlp = ReadHeteroMlp(reader, name + ".mlp", weights.features, width);
  }
  relation.gate = reader.Read(name + ".gate.weight", {width, 1});
  relation.gate_bias = reader.Read(name + ".gate.bias", {width});
  if (weights.is_per_graph && reader.ok()) {
    relation.cls = reader.Read(name + ".cls", {width});
    relation.position = reader.Read(name + ".position.weight", {2 + shape.neighbors, width});
    relation.layers = ReadTransformer(reader, name + ".", width, options);
  }
  weights.relations.push_back(std::move(relation));
}

}  // namespace

size_t HeteroWeights::neighbors() const {
  size_t sum = 0;
  for (const EncoderRelation& relation : shapes) sum += relation.neighbors;
  return sum;
}

HeteroScratch::HeteroScratch(const HeteroWeights& weights)
    : self(weights.width),
      graphs(weights.relations.size() * weights.width),
      summary(weights.width),
      output(weights.output0.out()) {
  size_t most = 1, widest = weights.self.first.out();
  for (size_t r = 0; r < weights.relations.size(); ++r) {
    most = std::max(most, weights.shapes[r].neighbors);
    widest = std::max(widest, weights.relations[r].mlp.first.out());
    if (weights.is_per_graph) {
      transformers.emplace_back(weights.relations[r].layers, weights.shapes[r].neighbors + 2);
    }
  }
  const size_t slots = weights.position.size() / weights.width;
  transformers.emplace_back(weights.layers, slots);
  features.resize(PaddedRows(most) * weights.features);
  hidden.resize(PaddedRows(most) * widest);
  neighbors.resize(PaddedRows(most) * weights.width);
  tokens.resize(PaddedRows(std::max(slots, most + 2)) * weights.width);
}

absl::StatusOr<std::unique_ptr<Encoder>> MakeHeteroEncoder(const Manifest::Encoder& encoder,
                                                           const SafetensorsFile& file,
                                                           const TrainedVectors& trained) {
  HeteroWeights weights{.file = file, .cls = {}, .position = {}};
  TransformerOptions options;
  OptionReader option("hetero", encoder.options);
  weights.is_per_graph = option.ChoiceOrFirst("fusion", {"one", "per_graph"}) == 1;
  if (!ParseHeteroRelations(option.Text("relations"), weights)) {
    option.Refuse("relations",
                  fmt::format("1 to {} relations NAME:item:NEIGHBOURS or NAME:entity:NEIGHBOURS "
                              "between commas, each of its own name, and at most {} neighbours of "
                              "all together",
                              kHeteroRelationsMax, kHeteroNeighborsMax));
  }
  options.heads = option.Size("heads", kTransformerHeadsMax);
  options.is_relu = option.ChoiceOrFirst("activation", {"gelu", "relu"}) == 1;
  options.is_pre_norm = option.ChoiceOrFirst("norm", {"post", "pre"}) == 1;
  if (absl::Status s = option.Finish(); !s.ok()) return s;

  CheckpointReader reader(file);
  weights.features = reader.MatrixShape("self.0.weight", kSequenceLayerMax, kHeteroFeaturesMax)[1];
  weights.width =
      reader.MatrixShape("position.weight", kHeteroNeighborsMax + 2, kSequenceWidthMax)[1];
  weights.self = ReadHeteroMlp(reader, "self", weights.features, weights.width);
  for (size_t r = 0; r < weights.names.size() && reader.ok(); ++r) {
    ReadHeteroRelation(reader, options, r, weights);
  }
  weights.cls = reader.Read("cls", {weights.width});
  const size_t slots = weights.is_per_graph ? 1 + weights.names.size() : 2 + weights.neighbors();
  weights.position = reader.Read("position.weight", {slots, weights.width});
  if (!reader.ok()) return reader.Finish();
  weights.layers = ReadTransformer(reader, "", weights.width, options);
  const size_t hidden =
      reader.MatrixShape("output.0.weight", kSequenceLayerMax, kSequenceLayerMax)[0];
  weights.output0 = ReadDense(reader, "output.0", hidden, weights.width);
  weights.output2 = ReadDense(reader, "output.2", trained.dim, hidden);
  if (absl::Status s = reader.Finish(); !s.ok()) return s;
  return std::unique_ptr<Encoder>(new HeteroEncoder(encoder, trained.dim, std::move(weights)));
}

}  // namespace groundswell
