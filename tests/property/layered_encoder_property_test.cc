// Encoders over blocks on random graphs and shapes: against the implementation in double of
// tests/support/layered_oracle.h, and bit by bit against themselves where targets are encoded in
// other batches, with lists of other orders.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <span>

#include "models/math/kernels.h"
#include "models/snapshot/encoder_registry.h"
#include "tests/property/random_checkpoint.h"
#include "tests/support/layered_oracle.h"
#include "tests/support/sanitized.h"

namespace groundswell {
namespace {

constexpr double kLayeredPropertyTolerance = 1e-5;

class LayeredEncoderProperty : public testing::TestWithParam<int> {
 protected:
  size_t Between(size_t least, size_t most) { return least + random_() % (most - least + 1); }

  // Some nodes have no neighbours, features of zero, themselves or one neighbour several times (of
  // one side), weights of 0 or 2^31.
  LayeredGraph RandomGraph(size_t layers, size_t item_features, size_t user_features) {
    LayeredGraph graph;
    // Some have more than one product makes rows of.
    const size_t nodes = GetParam() % 6 == 0 ? Between(kRowsAtOnce + 1, 300) : Between(3, 70);
    std::normal_distribution<float> normal(0, 0.5f);
    for (size_t v = 0; v < nodes; ++v) {
      const bool is_user = user_features > 0 && v % 2 == 1;
      graph.side.push_back(is_user ? EncoderSide::kUser : EncoderSide::kItem);
      std::vector<float> row(is_user ? user_features : item_features);
      if (random_() % 8 != 0) {
        for (float& number : row) number = normal(random_);
      }
      graph.features.push_back(row);
    }
    graph.neighbors.resize(layers);
    for (auto& of_layer : graph.neighbors) {
      of_layer.resize(nodes);
      for (uint32_t v = 0; v < nodes; ++v) {
        const size_t count = random_() % 5 == 0 ? 0 : Between(1, 12);
        for (size_t i = 0; i < count; ++i) {
          auto node = static_cast<uint32_t>(random_() % nodes);
          // An odd node is a user.
          if (user_features > 0 && node % 2 == v % 2) node = node == 0 ? 1 : node - 1;
          if (user_features == 0 && i == 0 && random_() % 3 == 0) node = v;
          if (i > 0 && random_() % 6 == 0) node = of_layer[v].back().node;
          const uint64_t drawn = random_() % 6;
          const float weight = drawn == 0   ? 0.0f
                               : drawn == 1 ? static_cast<float>(uint64_t{1} << 31)
                                            : static_cast<float>(1 + random_() % 50);
          of_layer[v].push_back({.node = node, .weight = weight});
        }
      }
    }
    return graph;
  }

  std::vector<float> Encode(const Encoder& encoder, EncoderScratch& scratch,
                            const LayeredGraph& graph, const std::vector<uint32_t>& targets) {
    const LayeredBlocks blocks(graph, targets, random_);
    std::vector<float> out(targets.size() * encoder.shape().dim, 7);
    const std::unique_ptr<bool[]> known(new bool[targets.size()]);
    encoder.Encode(blocks.Input(), scratch, out, std::span(known.get(), targets.size()));
    for (size_t t = 0; t < targets.size(); ++t) {
      const auto vector = VectorRow(out, encoder.shape().dim, t);
      EXPECT_EQ(known[t],
                std::any_of(vector.begin(), vector.end(), [](float x) { return x != 0; }));
    }
    return out;
  }

  // Of all nodes of the graph.
  void ExpectVectors(const std::string& kind, const std::map<std::string, std::string>& options,
                     const SafetensorsWriter& writer, const LayeredGraph& graph,
                     const OracleTable& expected) {
    const size_t dim = expected[0].size();
    const std::vector<float> none(dim);
    const auto encoder = MakeEncoder(
        {.name = "e", .side = EncoderSide::kItem, .kind = kind, .file = "f", .options = options},
        *SafetensorsFile::Parse("f", writer.Bytes()), {.dim = dim, .users = {}, .items = none});
    ASSERT_TRUE(encoder.ok()) << encoder.status();
    std::vector<uint32_t> targets(expected.size());
    for (uint32_t t = 0; t < targets.size(); ++t) targets[t] = t;
    const auto scratch = (*encoder)->NewScratch();
    const std::vector<float> out = Encode(**encoder, *scratch, graph, targets);
    for (size_t t = 0; t < targets.size(); ++t) {
      double largest = 0;
      for (const double number : expected[t]) largest = std::max(largest, std::abs(number));
      for (size_t i = 0; i < dim; ++i) {
        ASSERT_NEAR(out[t * dim + i], expected[t][i], kLayeredPropertyTolerance * (1 + largest))
            << kind << ", target " << t << ", number " << i;
      }
    }
    const auto expect_same = [&](const std::vector<uint32_t>& some) {
      const std::vector<float> again = Encode(**encoder, *scratch, graph, some);
      for (size_t t = 0; t < some.size(); ++t) {
        ASSERT_EQ(
            std::memcmp(again.data() + t * dim, out.data() + some[t] * dim, dim * sizeof(float)), 0)
            << kind << ", target " << some[t] << " among " << some.size();
      }
    };
    std::shuffle(targets.begin(), targets.end(), random_);
    for (const uint32_t t : std::span(targets).first(std::min<size_t>(targets.size(), 40))) {
      expect_same({t});
    }
    expect_same(targets);
    targets.resize(targets.size() / 2 + 1);
    expect_same(targets);
  }

  std::mt19937_64 random_{static_cast<uint64_t>(GetParam())};
};

TEST_P(LayeredEncoderProperty, GraphsageIsWhatItsLayersMakeOfTheNeighboursOfEitherSide) {
  for (const bool is_paper : {false, true}) {
    const size_t layers = Between(1, 3);
    size_t item = Between(1, 40), user = Between(1, 5);
    const LayeredGraph graph = RandomGraph(layers, item, user);
    OracleTensors tensors;
    RandomCheckpoint checkpoint(random_, tensors);
    for (size_t k = 0; k < layers; ++k) {
      const size_t out = Between(1, 40);
      const std::string name = "layers." + std::to_string(k);
      checkpoint.Add(name + ".item.self.weight", out, item);
      checkpoint.Add(name + ".item.neighbor.weight", out, user);
      checkpoint.Add(name + ".user.self.weight", out, user);
      checkpoint.Add(name + ".user.neighbor.weight", out, item);
      item = user = is_paper ? out : 2 * out;
    }
    ExpectVectors("graphsage",
                  {{"variant", is_paper ? "paper" : "authors"}, {"layers", std::to_string(layers)}},
                  checkpoint.writer, graph, OracleGraphsage(graph, tensors, is_paper));
  }
}

TEST_P(LayeredEncoderProperty, GatIsWhatItsHeadsAttendTo) {
  for (const bool is_normalized : {false, true}) {
    const size_t layers = Between(1, 3), heads = Between(1, 4);
    size_t in = Between(1, 40);
    const LayeredGraph graph = RandomGraph(layers, in, 0);
    OracleTensors tensors;
    RandomCheckpoint checkpoint(random_, tensors);
    for (size_t k = 0; k < layers; ++k) {
      const size_t width = Between(1, 20);
      const std::string name = "convs." + std::to_string(k);
      checkpoint.Add(name + ".lin.weight", heads * width, in);
      for (const char* attention : {".att_src", ".att_dst"}) {
        tensors[name + attention] = RandomTable(heads, width, random_);
        checkpoint.writer.Add(name + attention, {1, heads, width}, Flat(tensors[name + attention]));
      }
      if (random_() % 2 == 0) checkpoint.AddVector(name + ".att_bias", heads);
      in = heads * width;
      checkpoint.AddVector(name + ".bias", k + 1 == layers ? width : in);
    }
    ExpectVectors(
        "gat", {{"output_norm", is_normalized ? "l2" : "none"}, {"layers", std::to_string(layers)}},
        checkpoint.writer, graph, OracleGat(graph, tensors, heads, is_normalized));
  }
}

TEST_P(LayeredEncoderProperty, PinsageIsTheWeightedMeanOfItsNeighboursAndWhatIsBehindIt) {
  for (const bool is_normalized : {false, true}) {
    const size_t layers = Between(1, 3);
    size_t in = Between(1, 40);
    const LayeredGraph graph = RandomGraph(layers, in, 0);
    OracleTensors tensors;
    RandomCheckpoint checkpoint(random_, tensors);
    for (size_t k = 0; k < layers; ++k) {
      const size_t middle = Between(1, 30), out = Between(1, 30);
      const std::string name = "convs." + std::to_string(k);
      checkpoint.AddDense(name + ".Q", middle, in);
      checkpoint.AddDense(name + ".W", out, in + middle);
      in = out;
    }
    const size_t hidden = Between(1, 30);
    checkpoint.AddDense("G1", hidden, in);
    checkpoint.Add("G2.weight", Between(1, 40), hidden);
    ExpectVectors(
        "pinsage",
        {{"output_norm", is_normalized ? "l2" : "none"}, {"layers", std::to_string(layers)}},
        checkpoint.writer, graph, OraclePinsage(graph, tensors, is_normalized));
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, LayeredEncoderProperty, testing::Range(0, Rounds(12)));

}  // namespace
}  // namespace groundswell
