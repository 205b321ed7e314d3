// The encoders, by whatever sets of vectors their folders hold: DIR/KIND has PART.cases.safetensors
// and PART.weights.safetensors, or both without a part, with the options in the metadata. What the
// snapshot has beside the vectors' weights (contexts, scales, Gram matrices) is made here, as a
// trainer makes it, and compared with the vectors where they hold it.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "models/encoders/hetero_encoder.h"
#include "models/encoders/layered_encoder.h"
#include "models/encoders/mixture_encoder.h"
#include "models/encoders/pinnerformer_encoder.h"
#include "models/math/elementwise.h"
#include "models/snapshot/encoder_examples.h"
#include "models/snapshot/encoder_registry.h"
#include "tests/golden/golden_directory.h"
#include "tests/support/encoder_oracle.h"
#include "tests/support/golden_vectors.h"
#include "tests/support/safetensors_writer.h"

namespace groundswell {
namespace {

// Of the implementation in tests/support, which is in double as well.
constexpr double kEncoderStageTolerance = 1e-9;

std::vector<float> Rounded(const OracleTable& table) {
  std::vector<float> values;
  for (const OracleVector& row : table) values.insert(values.end(), row.begin(), row.end());
  return values;
}

void ExpectClose(std::span<const float> actual, const std::vector<double>& expected,
                 double tolerance, const std::string& what) {
  ASSERT_EQ(actual.size(), expected.size()) << what;
  for (size_t i = 0; i < actual.size(); ++i) {
    ASSERT_NEAR(actual[i], expected[i], tolerance * (1 + std::abs(expected[i])))
        << what << ", element " << i;
  }
}

void ExpectTable(const OracleTable& table, const SafetensorsFile& cases, const std::string& name) {
  const std::vector<double> expected = GoldenDoubles(cases, name);
  size_t i = 0;
  for (const OracleVector& row : table) {
    for (const double number : row) {
      ASSERT_LT(i, expected.size()) << name;
      ASSERT_NEAR(number, expected[i], kEncoderStageTolerance * (1 + std::abs(expected[i])))
          << name << ", element " << i;
      ++i;
    }
  }
  ASSERT_EQ(i, expected.size()) << name;
}

class EncoderGoldenTest : public testing::Test {
 protected:
  void Open(const std::string& kind, const std::string& part) {
    const std::string directory = GoldenFolder(kind);
    cases_ = std::make_unique<SafetensorsFile>(OpenGolden(directory, part + "cases.safetensors"));
    weights_ =
        std::make_unique<SafetensorsFile>(OpenGolden(directory, part + "weights.safetensors"));
    options_ = cases_->metadata();
  }

  OracleTable Weight(const std::string& name) const {
    const Tensor& tensor = weights_->tensors().at(name);
    return TableOf(GoldenDoubles(*weights_, name), tensor.shape.back());
  }

  OracleGraph Graph(size_t items) const {
    const auto begin = GoldenIntegers<size_t>(*cases_, "in.user_begin");
    const auto item = GoldenIntegers<uint32_t>(*cases_, "in.item");
    std::vector<std::vector<uint32_t>> lists;
    for (size_t user = 0; user + 1 < begin.size(); ++user) {
      lists.emplace_back(item.begin() + static_cast<ptrdiff_t>(begin[user]),
                         item.begin() + static_cast<ptrdiff_t>(begin[user + 1]));
    }
    return GraphOfLists(std::move(lists), items);
  }

  // The vectors that a snapshot would hold.
  void SetTrained(const OracleTable& users, const OracleTable& items) {
    users_ = Rounded(users);
    items_ = Rounded(items);
    const size_t dim = items[0].size();
    trained_ = {.dim = dim, .users = users_, .items = items_};
  }

  // Encodes the cases as an import does, and compares. The encoder is kept.
  void ExpectEncoded(const std::string& kind, EncoderSide side, const SafetensorsFile& file) {
    auto encoder = MakeEncoder(
        {.name = "e", .side = side, .kind = kind, .file = file.name(), .options = options_}, file,
        trained_);
    ASSERT_TRUE(encoder.ok()) << encoder.status();
    const auto examples = ReadEncoderExamples(*cases_, "", **encoder, trained_);
    ASSERT_TRUE(examples.ok()) << examples.status();
    std::vector<float> out(examples->targets * trained_.dim);
    const std::unique_ptr<bool[]> known(new bool[examples->targets]);
    const auto scratch = (*encoder)->NewScratch();
    (*encoder)->Encode(examples->Input(), *scratch, out, std::span(known.get(), examples->targets));
    const std::string name = side == EncoderSide::kUser ? "user" : "item";
    const bool is_folded = cases_->tensors().contains("fold." + name);
    ExpectClose(out, GoldenDoubles(*cases_, is_folded ? "fold." + name : "vector"),
                kGoldenTolerance, name);
    for (size_t t = 0; t < examples->known.size(); ++t) {
      ASSERT_EQ(known[t], examples->known[t] == 1) << "target " << t;
    }
    fmt::print("{}: {} {} vectors of {} numbers agree\n", file.name(), examples->targets, name,
               trained_.dim);
  }

  // Rows with their training edges have their trained vectors.
  void ExpectSomeAreTrained(EncoderSide side) {
    const std::string name = side == EncoderSide::kUser ? "user" : "item";
    const auto rows = GoldenIntegers<int64_t>(*cases_, "in.fold." + name + ".row");
    const std::vector<double> folded = GoldenDoubles(*cases_, "fold." + name);
    const std::vector<double> trained = GoldenDoubles(*cases_, name);
    const size_t dim = trained_.dim;
    for (size_t t = 0; t < rows.size(); t += 5) {
      for (size_t k = 0; k < dim; ++k) {
        ASSERT_NEAR(folded[t * dim + k], trained[static_cast<size_t>(rows[t]) * dim + k], 1e-9);
      }
    }
  }

  // Encoders over blocks: the vectors, as an import proves them, and what every layer makes.
  void ExpectLayersAgree(const std::string& kind) {
    for (const std::string& part : GoldenParts(kind)) {
      SCOPED_TRACE(part);
      Open(kind, part);
      SetTrained({}, OracleTable(1, OracleVector(cases_->tensors().at("vector").shape[1])));
      ExpectEncoded(kind, EncoderSide::kItem, *weights_);
      const auto encoder = *MakeEncoder(
          {.name = "e", .side = EncoderSide::kItem, .kind = kind, .file = "f", .options = options_},
          *weights_, trained_);
      const auto examples = *ReadEncoderExamples(*cases_, "", *encoder, trained_);
      LayeredScratch scratch(encoder->shape().layers);
      std::vector<float> out(examples.targets * trained_.dim);
      const std::unique_ptr<bool[]> known(new bool[examples.targets]);
      encoder->Encode(examples.Input(), scratch, out, std::span(known.get(), examples.targets));
      // Of graphsage the last one is the vector.
      const size_t inner = scratch.made.size() - (kind == "graphsage" ? 1 : 0);
      for (size_t k = 0; k < inner; ++k) {
        const std::string layer = fmt::format("layer.{}", k + 1);
        const std::vector<double> expected = GoldenDoubles(*cases_, layer);
        ASSERT_LE(expected.size(), scratch.made[k].size());
        ExpectClose(std::span(scratch.made[k]).first(expected.size()), expected, kGoldenTolerance,
                    layer);
      }
      if (!cases_->tensors().contains("head")) continue;
      const std::vector<double> head = GoldenDoubles(*cases_, "head");
      ExpectClose(std::span(scratch.head).first(head.size()), head, kGoldenTolerance, "head");
    }
  }

  std::unique_ptr<SafetensorsFile> cases_, weights_;
  std::map<std::string, std::string> options_;
  std::vector<float> users_, items_;
  TrainedVectors trained_;
};

std::vector<double> NumbersOf(const std::string& text) {
  std::vector<double> numbers;
  size_t begin = 0;
  while (begin <= text.size()) {
    const size_t end = std::min(text.find(',', begin), text.size());
    numbers.push_back(std::stod(text.substr(begin, end - begin)));
    begin = end + 1;
  }
  return numbers;
}

TEST_F(EncoderGoldenTest, LinearAgrees) {
  for (const std::string& part : GoldenParts("linear")) {
    SCOPED_TRACE(part);
    Open("linear", part);
    const OracleLayer base{.user = Weight("user_base"), .item = Weight("item_base")};
    const LinearOracle oracle(std::stod(options_.at("r")), NumbersOf(options_.at("alpha")), base,
                              Graph(base.item.size()));
    SetTrained(oracle.Final(EncoderSide::kUser), oracle.Final(EncoderSide::kItem));
    SafetensorsWriter writer;
    for (const EncoderSide side : {EncoderSide::kUser, EncoderSide::kItem}) {
      const std::string name = side == EncoderSide::kUser ? "user" : "item";
      const std::vector<size_t> shape{base.Of(side).size(), trained_.dim};
      for (size_t layer = 1; layer < oracle.layers.size(); ++layer) {
        ExpectTable(oracle.layers[layer].Of(side), *cases_,
                    fmt::format("layer.{}.{}", layer, name));
      }
      ExpectTable(oracle.Final(side), *cases_, name);
      ExpectTable(oracle.Context(side), *cases_, name + "_context");
      writer.Add(name + "_base", shape, Rounded(base.Of(side)));
      writer.Add(name + "_context", shape, Rounded(oracle.Context(side)));
    }
    const auto file = *SafetensorsFile::Parse("linear/" + part, writer.Bytes());
    for (const EncoderSide side : {EncoderSide::kUser, EncoderSide::kItem}) {
      ExpectEncoded("linear", side, file);
      ExpectSomeAreTrained(side);
    }
  }
}

TEST_F(EncoderGoldenTest, NgcfAgrees) {
  for (const std::string& part : GoldenParts("ngcf")) {
    SCOPED_TRACE(part);
    Open("ngcf", part);
    NgcfOracle oracle{
        .is_authors = options_.at("variant") == "authors",
        .adjacency = options_.at("adjacency"),
        .slope = std::stod(options_.at("slope")),
        .weights = {},
        .layers = {{.user = Weight("user_embed.weight"), .item = Weight("item_embed.weight")}}};
    SafetensorsWriter writer;
    for (const auto& [name, tensor] : weights_->tensors()) {
      if (!name.starts_with("layers.")) continue;
      const std::vector<double> values = GoldenDoubles(*weights_, name);
      writer.Add(name, tensor.shape, std::vector<float>(values.begin(), values.end()));
    }
    for (size_t l = 0; weights_->tensors().contains(fmt::format("layers.{}.W1.weight", l)); ++l) {
      const auto of = [&](const char* what) {
        return Weight(fmt::format("layers.{}.{}", l, what));
      };
      oracle.weights.push_back({.w1 = of("W1.weight"), .w2 = of("W2.weight"), .b1 = {}, .b2 = {}});
      if (!oracle.is_authors) continue;
      oracle.weights.back().b1 = of("W1.bias")[0];
      oracle.weights.back().b2 = of("W2.bias")[0];
    }
    oracle.Propagate(Graph(oracle.layers[0].item.size()));
    SetTrained(oracle.Final(EncoderSide::kUser), oracle.Final(EncoderSide::kItem));
    for (const EncoderSide side : {EncoderSide::kUser, EncoderSide::kItem}) {
      const std::string name = side == EncoderSide::kUser ? "user" : "item";
      for (size_t layer = 1; layer < oracle.layers.size(); ++layer) {
        ExpectTable(oracle.layers[layer].Of(side), *cases_,
                    fmt::format("layer.{}.{}", layer, name));
      }
      ExpectTable(oracle.Final(side), *cases_, name);
      if (!oracle.is_authors) continue;
      const OracleTable scales = oracle.Scales(side);
      writer.Add(name + "_scale", {scales.size(), oracle.weights.size()}, Rounded(scales));
    }
    const auto file = *SafetensorsFile::Parse("ngcf/" + part, writer.Bytes());
    for (const EncoderSide side : {EncoderSide::kUser, EncoderSide::kItem}) {
      ExpectEncoded("ngcf", side, file);
      ExpectSomeAreTrained(side);
    }
  }
}

TEST_F(EncoderGoldenTest, AlsAgrees) {
  for (const std::string& part : GoldenParts("als")) {
    SCOPED_TRACE(part);
    Open("als", part);
    const AlsOracle oracle{.vectors = Weight("item")};
    SetTrained({}, oracle.vectors);
    const OracleTable gram = oracle.Gram();
    ExpectTable(gram, *cases_, "gram");
    std::vector<double> values;
    for (const OracleVector& row : gram) values.insert(values.end(), row.begin(), row.end());
    SafetensorsWriter writer;
    writer.Add("item_gram", {trained_.dim, trained_.dim}, values);
    ExpectEncoded("als", EncoderSide::kUser,
                  *SafetensorsFile::Parse("als/" + part, writer.Bytes()));
  }
}

TEST_F(EncoderGoldenTest, TwhinAgrees) {
  for (const std::string& part : GoldenParts("twhin")) {
    SCOPED_TRACE(part);
    Open("twhin", part);
    SetTrained(Weight("user"), Weight("item"));
    ExpectEncoded("mixture", EncoderSide::kUser, *weights_);
    const auto encoder = *MakeEncoder({.name = "e",
                                       .side = EncoderSide::kUser,
                                       .kind = "mixture",
                                       .file = "f",
                                       .options = options_},
                                      *weights_, trained_);
    MixtureScratch scratch(encoder->shape().clusters);
    const std::vector<double> mixture = GoldenDoubles(*cases_, "mixture");
    const auto counts = GoldenIntegers<int64_t>(*cases_, "in.h1");
    const size_t clusters = encoder->shape().clusters;
    std::vector<float> vector(trained_.dim);
    bool known = false;
    for (size_t t = 0; t * clusters < counts.size(); ++t) {
      encoder->Encode({.targets = 1, .clusters = std::span(counts).subspan(t * clusters, clusters)},
                      scratch, vector, std::span(&known, 1));
      for (size_t c = 0; c < clusters; ++c) {
        ASSERT_NEAR(scratch.share[c], mixture[t * clusters + c], kGoldenTolerance) << t;
      }
    }
    // Exported with the relation that is served, inner products are the trained scores.
    const OracleTable users = Weight("user"), relations = Weight("relation");
    const auto source = GoldenIntegers<size_t>(*cases_, "in.source");
    const auto relation = GoldenIntegers<size_t>(*cases_, "in.relation");
    const auto target = GoldenIntegers<size_t>(*cases_, "in.target");
    const std::vector<double> score = GoldenDoubles(*cases_, "score");
    for (size_t i = 0; i < score.size(); ++i) {
      std::vector<float> exported;
      for (size_t k = 0; k < trained_.dim; ++k) {
        exported.push_back(static_cast<float>(users[source[i]][k] + relations[relation[i]][k]));
      }
      ASSERT_NEAR(Dot(exported, VectorRow(trained_.items, trained_.dim, target[i])), score[i],
                  kGoldenTolerance * (1 + std::abs(score[i])));
    }
  }
}

TEST_F(EncoderGoldenTest, HeteroAgrees) {
  for (const std::string& part : GoldenParts("hetero")) {
    SCOPED_TRACE(part);
    Open("hetero", part);
    SetTrained({}, OracleTable(1, OracleVector(weights_->tensors().at("output.2.bias").shape[0])));
    ExpectEncoded("hetero", EncoderSide::kItem, *weights_);
    const auto encoder = *MakeEncoder({.name = "e",
                                       .side = EncoderSide::kItem,
                                       .kind = "hetero",
                                       .file = "f",
                                       .options = options_},
                                      *weights_, trained_);
    const auto examples = *ReadEncoderExamples(*cases_, "", *encoder, trained_);
    const auto scratch = encoder->NewScratch();
    const auto& summary = static_cast<const HeteroScratch&>(*scratch).summary;
    const std::vector<double> expected = GoldenDoubles(*cases_, "summary");
    std::vector<float> vector(trained_.dim);
    for (size_t t = 0; t < examples.targets; ++t) {
      EncoderInput input = examples.Input();
      input.targets = 1;
      input.features = input.features.subspan(t, 1);
      std::vector<EncoderRelationLists> lists(input.relations.begin(), input.relations.end());
      for (EncoderRelationLists& of : lists) of.begin = of.begin.subspan(t, 2);
      input.relations = lists;
      bool known = false;
      encoder->Encode(input, *scratch, vector, std::span(&known, 1));
      const auto token = expected.begin() + static_cast<ptrdiff_t>(t * summary.size());
      ExpectClose(summary, {token, token + static_cast<ptrdiff_t>(summary.size())},
                  kGoldenTolerance, fmt::format("summary of target {}", t));
    }
  }
}

TEST_F(EncoderGoldenTest, GraphsageAgrees) { ExpectLayersAgree("graphsage"); }

TEST_F(EncoderGoldenTest, GatAgrees) { ExpectLayersAgree("gat"); }

TEST_F(EncoderGoldenTest, PinsageAgrees) { ExpectLayersAgree("pinsage"); }

TEST_F(EncoderGoldenTest, PinnerformerAgrees) {
  for (const std::string& part : GoldenParts("pinnerformer")) {
    SCOPED_TRACE(part);
    Open("pinnerformer", part);
    const size_t dim = weights_->tensors().at("output.2.bias").shape[0];
    SetTrained({}, TableOf(GoldenDoubles(*cases_, "in.item_vectors"), dim));
    ExpectEncoded("pinnerformer", EncoderSide::kUser, *weights_);
    const auto encoder = *MakeEncoder({.name = "e",
                                       .side = EncoderSide::kUser,
                                       .kind = "pinnerformer",
                                       .file = "f",
                                       .options = options_},
                                      *weights_, trained_);
    const auto examples = *ReadEncoderExamples(*cases_, "", *encoder, trained_);
    const auto scratch = encoder->NewScratch();
    const auto& first = static_cast<const PinnerformerScratch&>(*scratch).first;
    const std::vector<double> tokens = GoldenDoubles(*cases_, "token");
    std::vector<float> vector(dim);
    for (size_t t = 0; t < examples.targets; ++t) {
      EncoderInput input = examples.Input();
      input.targets = 1;
      input.neighbors.begin = input.neighbors.begin.subspan(t, 2);
      bool known = false;
      encoder->Encode(input, *scratch, vector, std::span(&known, 1));
      if (!known) continue;
      const auto token = tokens.begin() + static_cast<ptrdiff_t>(t * first.size());
      ExpectClose(first, {token, token + static_cast<ptrdiff_t>(first.size())}, kGoldenTolerance,
                  fmt::format("token of target {}", t));
    }
  }
}

}  // namespace
}  // namespace groundswell
