// What every encoder's file and options must be: each tensor missing, of another shape or not
// finite, and each option out of its range, is refused with its name and what would be right.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/support/encoder_fixture.h"

namespace groundswell {
namespace {

using testing::HasSubstr;

absl::Status LoadEncoder(const FixtureEncoder& encoder) {
  return MakeEncoder(encoder.entry, encoder.File(), FixtureVectors()).status();
}

void ExpectEncoderRefused(const FixtureEncoder& encoder, const std::vector<std::string>& says) {
  const absl::Status status = LoadEncoder(encoder);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << encoder.entry.name;
  for (const std::string& what : says) {
    EXPECT_THAT(std::string(status.message()), HasSubstr(what)) << encoder.entry.name;
  }
}

FixtureEncoder EncoderNamed(const std::string& name) {
  for (FixtureEncoder& encoder : FixtureEncoders()) {
    if (encoder.entry.name == name) return encoder;
  }
  throw std::logic_error("no encoder " + name);
}

// Of newest nothing is read, gat may have no biases in its logits, of linear the other side's
// tables only if they are there.
bool IsNeeded(const FixtureEncoder& encoder, const std::string& tensor) {
  if (encoder.entry.kind == "newest" || tensor.ends_with(".att_bias")) return false;
  if (encoder.entry.kind != "linear") return true;
  return tensor == (encoder.entry.side == EncoderSide::kUser ? "item_context" : "user_context");
}

// The tensor that is named when `tensor` is wider: itself, or, where it says how wide others are,
// the first of them.
std::string FirstToDisagree(const FixtureEncoder& encoder, const std::string& tensor) {
  if (tensor.starts_with("layers.0.W1.w")) return "layers.0.W";
  if (tensor.ends_with(".phase")) return tensor.substr(0, tensor.find(".phase")) + ".period";
  if (tensor == "layers.0.item.self.weight") return "layers.0.user.neighbor.weight";
  if (tensor == "layers.0.user.self.weight") return "layers.0.item.neighbor.weight";
  if (tensor == "convs.0.att_src") return "convs.0.lin.weight";
  if (tensor == "convs.0.Q.weight") return "convs.0.W.weight";
  if (encoder.entry.kind != "hetero") return tensor;
  if (tensor == "self.0.weight") return "together.mlp.0.weight";
  return tensor == "position.weight" ? "self.2.weight" : tensor;
}

TEST(EncoderWeightsTest, GoodOnesAreLoaded) {
  for (const FixtureEncoder& encoder : FixtureEncoders()) {
    EXPECT_TRUE(LoadEncoder(encoder).ok()) << LoadEncoder(encoder);
  }
}

TEST(EncoderWeightsTest, EveryTensorIsMissed) {
  for (const FixtureEncoder& encoder : FixtureEncoders()) {
    for (const auto& [name, tensor] : encoder.tensors) {
      if (!IsNeeded(encoder, name)) continue;
      FixtureEncoder without = encoder;
      without.tensors.erase(name);
      ExpectEncoderRefused(without, {encoder.entry.file, name});
    }
  }
}

TEST(EncoderWeightsTest, EveryTensorOfAnotherShapeIsNamed) {
  for (const FixtureEncoder& encoder : FixtureEncoders()) {
    if (encoder.entry.kind == "newest") continue;
    for (const auto& [name, tensor] : encoder.tensors) {
      // It alone says how many features there are.
      if (name == "convs.0.lin.weight") continue;
      FixtureEncoder wider = encoder;
      CheckpointTensor& of = wider.tensors[name];
      of.shape.back() += 1;
      size_t size = 1;
      for (const size_t dimension : of.shape) size *= dimension;
      of.values.resize(size, 1);
      ExpectEncoderRefused(wider, {FirstToDisagree(encoder, name)});
    }
  }
}

TEST(EncoderWeightsTest, EveryNumberThatIsNotFiniteIsNamed) {
  for (const FixtureEncoder& encoder : FixtureEncoders()) {
    if (encoder.entry.kind == "newest") continue;
    for (const auto& [name, tensor] : encoder.tensors) {
      for (const float bad : {std::numeric_limits<float>::infinity(), std::nanf("")}) {
        FixtureEncoder spoiled = encoder;
        spoiled.tensors[name].values.back() = bad;
        ExpectEncoderRefused(spoiled, {name});
      }
    }
  }
}

TEST(EncoderWeightsTest, ATensorThatNobodyReadsIsNamed) {
  for (const FixtureEncoder& encoder : FixtureEncoders()) {
    // These share a file with others.
    if (encoder.entry.kind == "newest" || encoder.entry.kind == "mixture") continue;
    FixtureEncoder more = encoder;
    more.tensors["user_bases"] = {{1}, {1}};
    ExpectEncoderRefused(more, {"user_bases"});
  }
}

TEST(EncoderWeightsTest, EveryOptionOutOfItsRangeIsNamed) {
  const auto expect = [](const std::string& encoder, const std::string& option,
                         const std::string& value, const std::string& remedy) {
    FixtureEncoder spoiled = EncoderNamed(encoder);
    spoiled.entry.options[option] = value;
    ExpectEncoderRefused(spoiled, {"\"" + option + "\"", value, remedy});
  };
  for (const FixtureEncoder& encoder : FixtureEncoders()) {
    expect(encoder.entry.name, "surprise", "1", "absent");
  }
  expect("linear", "r", "1.5", "from 0 to 1");
  expect("linear", "alpha", "0.5,", "such as \"0.5,0.5\"");
  expect("linear", "alpha", "nan", "such as \"0.5,0.5\"");
  // Of items alone.
  expect("linear", "length", "median", "absent");
  expect("linear-items", "length", "longest", "median");
  expect("als", "alpha", "-1", "from 0");
  expect("als", "lambda", "0", "from 1e-09");
  expect("als", "regularisation", "strong", "weighted");
  expect("als", "neighbors", "0", "from 1");
  expect("newest", "half", "0", "from 0.001");
  expect("newest", "neighbors", "-3", "from 1");
  expect("mixture", "clusters_max", "0", "from 1");
  for (const char* relations :
       {"", "together", "together:item", "together:item:0", ":item:1", "together:user:1",
        "a:item:1,", "a:item:1,a:item:1", "a:item:900,b:item:900", "a:item:2x"}) {
    expect("hetero", "relations", relations, "NAME:item:NEIGHBOURS");
  }
  expect("hetero", "fusion", "two", "per_graph");
  expect("hetero", "norm", "none", "pre");
  expect("hetero", "heads", "65", "from 1 to 64");
  expect("tower", "max_history", "1001", "from 1 to 1000");
  expect("tower", "heads", "0", "from 1 to 64");
  expect("tower", "activation", "swish", "relu");
  expect("tower", "norm", "post", "pre");
  expect("sage", "layers", "9", "from 1 to 8");
  expect("sage", "variant", "code", "paper");
  expect("attention", "layers", "0", "from 1 to 8");
  expect("attention", "output_norm", "l1", "l2");
  expect("pins", "layers", "", "from 1 to 8");
  expect("pins", "output_norm", "cosine", "none");
  expect("ngcf", "variant", "code", "paper");
  expect("ngcf", "adjacency", "symmetric", "mean");
  expect("ngcf-paper", "adjacency", "norm", "symmetric");
  expect("ngcf", "slope", "2", "from 0 to 1");
}

TEST(EncoderWeightsTest, OptionsThatMustBeThereAreMissed) {
  FixtureEncoder linear = EncoderNamed("linear");
  linear.entry.options.erase("alpha");
  ExpectEncoderRefused(linear, {"\"alpha\"", "absent", "between commas"});
  FixtureEncoder mixture = EncoderNamed("mixture");
  mixture.entry.options.clear();
  ExpectEncoderRefused(mixture, {"\"clusters_max\"", "absent"});
  FixtureEncoder sage = EncoderNamed("sage");
  sage.entry.options.erase("layers");
  ExpectEncoderRefused(sage, {"\"layers\"", "absent", "from 1 to 8"});
}

TEST(EncoderWeightsTest, KindsOfUsersAloneMakeNoneOfItems) {
  for (const char* name : {"mixture", "newest", "tower"}) {
    FixtureEncoder encoder = EncoderNamed(name);
    encoder.entry.side = EncoderSide::kItem;
    ExpectEncoderRefused(encoder, {"\"side\" must be \"user\""});
  }
}

TEST(EncoderWeightsTest, AnUnknownKindIsRefusedWithThoseThereAre) {
  FixtureEncoder encoder = EncoderNamed("als");
  encoder.entry.kind = "crystal-ball";
  ExpectEncoderRefused(encoder, {"crystal-ball", "als, gat, graphsage, hetero, linear"});
}

TEST(EncoderWeightsTest, NewestReadsTheSnapshotsOwnVectors) {
  FixtureEncoder encoder = EncoderNamed("newest");
  encoder.entry.file = "other.safetensors";
  ExpectEncoderRefused(encoder, {"other.safetensors", "must be embeddings.safetensors"});
}

TEST(EncoderWeightsTest, WhatIsNoGramMatrixIsRefused) {
  FixtureEncoder encoder = EncoderNamed("als");
  encoder.tensors["item_gram"].values = {1, 2, 2, 1};
  ExpectEncoderRefused(encoder, {"item_gram", "not positive definite"});
  encoder.tensors["item_gram"].values = {1, 0.5f, 0.25f, 1};
  ExpectEncoderRefused(encoder, {"item_gram", "symmetric"});
}

TEST(EncoderWeightsTest, HeadsDivideTokensAndPeriodsAreTimes) {
  FixtureEncoder encoder = EncoderNamed("tower");
  encoder.entry.options["heads"] = "3";
  ExpectEncoderRefused(encoder, {"4 numbers", "3 heads"});
  encoder = EncoderNamed("tower");
  encoder.tensors["time.gap.period"].values = {0};
  ExpectEncoderRefused(encoder, {"time.gap.period", "above 0"});
}

TEST(EncoderWeightsTest, NgcfsLayersMakeUpTheVector) {
  FixtureEncoder encoder = EncoderNamed("ngcf-paper");
  encoder.tensors["layers.1.W1.weight"] = {{1, 1}, {1}};
  encoder.tensors["layers.1.W2.weight"] = {{1, 1}, {1}};
  ExpectEncoderRefused(encoder, {"3 numbers together", "have 2"});
}

TEST(EncoderWeightsTest, TheLastLayerIsAsWideAsTheVector) {
  FixtureEncoder encoder = EncoderNamed("sage-paper");
  encoder.entry.options["variant"] = "authors";
  encoder.entry.options["layers"] = "1";
  ExpectEncoderRefused(encoder, {"layers.0.item.self.weight", "8 numbers", "embedding_dim is 2"});
  encoder = EncoderNamed("attention");
  encoder.entry.options["layers"] = "1";
  ExpectEncoderRefused(encoder, {"convs.0.att_src", "3 numbers", "embedding_dim is 2"});
}

TEST(EncoderWeightsTest, GatsHeadsAreOfTheShapeThatGeometricGivesThem) {
  for (const std::vector<size_t>& shape : {std::vector<size_t>{2, 3}, {2, 1, 3}, {1, 6, 1, 1}}) {
    FixtureEncoder encoder = EncoderNamed("attention");
    encoder.tensors["convs.0.att_src"].shape = shape;
    ExpectEncoderRefused(encoder, {"convs.0.att_src", "(1, heads, width)"});
  }
  FixtureEncoder encoder = EncoderNamed("attention");
  encoder.tensors["convs.0.att_src"] = {{1, 65, 1}, std::vector<float>(65)};
  ExpectEncoderRefused(encoder, {"convs.0.att_src", "at most 64 heads"});
}

TEST(EncoderWeightsTest, GatsWeightMayHaveItsOlderName) {
  FixtureEncoder encoder = EncoderNamed("attention");
  for (const std::string layer : {"convs.0.", "convs.1."}) {
    encoder.tensors[layer + "lin_src.weight"] = encoder.tensors[layer + "lin.weight"];
    encoder.tensors.erase(layer + "lin.weight");
  }
  EXPECT_TRUE(LoadEncoder(encoder).ok()) << LoadEncoder(encoder);
  // Not beside the other.
  encoder.tensors["convs.0.lin.weight"] = encoder.tensors["convs.0.lin_src.weight"];
  ExpectEncoderRefused(encoder, {"convs.0.lin_src.weight"});
}

// The F64 of an exporter is not rounded on the way.
TEST(EncoderWeightsTest, AGramMatrixKeepsItsDigits) {
  const FixtureEncoder encoder = EncoderNamed("als");
  SafetensorsWriter writer;
  writer.Add("item_gram", {2, 2}, std::vector<double>{1 + 1e-9, 1, 1, 1});
  FixtureEncoder exact = encoder;
  exact.entry.options["lambda"] = "1e-9";
  const SafetensorsFile file = *SafetensorsFile::Parse("als.safetensors", writer.Bytes());
  const auto loaded = MakeEncoder(exact.entry, file, FixtureVectors());
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  // Of the rounded matrix the determinant is 2e-9, of this one 3e-9: (G + lambda I)^-1 (1, 0).
  const std::vector<float> item{1e-12f, 0};
  const std::vector<std::span<const float>> vectors{item};
  const std::vector<uint64_t> begin{0, 1};
  const std::vector<int64_t> count{1};
  std::vector<float> out(2);
  bool known = false;
  const auto scratch = (*loaded)->NewScratch();
  (*loaded)->Encode(
      {.targets = 1, .neighbors = {.begin = begin, .count = count, .vector = vectors}}, *scratch,
      out, std::span(&known, 1));
  const double determinant = (1 + 2e-9) * (1 + 1e-9) - 1;
  EXPECT_NEAR(out[0] * determinant / (41e-12 * (1 + 1e-9)), 1, 1e-5);
}

// By default a made vector has its own length.
TEST(EncoderWeightsTest, ANewItemsVectorHasTheTrainedOnesMedianLength) {
  FixtureEncoder encoder = EncoderNamed("linear-items");
  encoder.entry.options["length"] = "median";
  TrainedVectors trained = FixtureVectors();
  const std::vector<float> items{3, 4, 0, 0, 0, 30, 6, 8};  // lengths 5, 0, 30 and 10
  trained.items = items;
  const auto loaded = *MakeEncoder(encoder.entry, encoder.File(), trained);
  const std::vector<uint32_t> row{kNoRow, 0}, neighbor{1, 1};
  const std::vector<uint64_t> begin{0, 1, 2}, degree{4, 4};
  std::vector<float> out(4);
  bool known[2] = {};
  const auto scratch = loaded->NewScratch();
  loaded->Encode(
      {.targets = 2, .row = row, .neighbors = {.begin = begin, .row = neighbor, .degree = degree}},
      *scratch, out, known);
  EXPECT_NEAR(std::hypot(out[0], out[1]), 10, 1e-5);
  // A trained one keeps its own: .5 (1, 2) + (2, 2) / 2.
  EXPECT_FLOAT_EQ(out[2], 1.5f);
  EXPECT_FLOAT_EQ(out[3], 2.0f);
}

// Whatever overflows on the way: infinities, and their differences, which are no numbers.
TEST(EncoderWeightsTest, HugeWeightsGiveVectorsOfFiniteNumbersOrNone) {
  for (const FixtureEncoder& good : FixtureEncoders()) {
    for (const auto& [tensor, of_good] : good.tensors) {
      SCOPED_TRACE(good.entry.name + " " + tensor);
      FixtureEncoder huge = good;
      for (float& value : huge.tensors[tensor].values) value = value < 0 ? -3e38f : 3e38f;
      const auto encoder = MakeEncoder(huge.entry, huge.File(), FixtureVectors());
      if (!encoder.ok()) continue;  // a Gram matrix of such numbers is none
      EncoderExampleTensors examples;
      AddEncoderExamples(good, examples);
      const auto read =
          *ReadEncoderExamples(examples.File(), good.entry.name + ".", **encoder, FixtureVectors());
      std::vector<float> out(read.targets * 2, std::nanf(""));
      bool known[3] = {};
      const auto scratch = (*encoder)->NewScratch();
      (*encoder)->Encode(read.Input(), *scratch, out, known);
      for (size_t i = 0; i < out.size(); ++i) {
        EXPECT_TRUE(std::isfinite(out[i])) << i;
        if (!known[i / 2]) {
          EXPECT_EQ(out[i], 0) << i;
        }
      }
    }
  }
}

// Numbers beyond what retrieval searches are not handed out.
TEST(EncoderWeightsTest, AVectorThatNoSearchCanUseIsNone) {
  FixtureEncoder encoder = EncoderNamed("linear");
  encoder.tensors["item_context"].values.assign(8, 3e38f);
  const auto loaded = MakeFixtureEncoder(encoder);
  const std::vector<uint32_t> row{kNoRow}, neighbor{1, 2};
  const std::vector<uint64_t> begin{0, 2}, degree{1, 1};
  std::vector<float> out(2, 7);
  bool known = true;
  const auto scratch = loaded->NewScratch();
  loaded->Encode(
      {.targets = 1, .row = row, .neighbors = {.begin = begin, .row = neighbor, .degree = degree}},
      *scratch, out, std::span(&known, 1));
  EXPECT_FALSE(known);
  EXPECT_EQ(out, std::vector<float>(2));
}

}  // namespace
}  // namespace groundswell
