// Encoders on random graphs and shapes: against the implementation in double of
// tests/support/encoder_oracle.h, against themselves in other batches, bit by bit, and, with the
// training graph as the live one, against the trained vectors.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <stdexcept>

#include "models/snapshot/encoder_registry.h"
#include "tests/property/random_checkpoint.h"
#include "tests/support/encoder_oracle.h"
#include "tests/support/safetensors_writer.h"
#include "tests/support/sanitized.h"
#include "tests/support/transformer_oracle.h"

namespace groundswell {
namespace {

constexpr double kEncoderPropertyTolerance = 1e-5;
constexpr EncoderSide kBothSides[] = {EncoderSide::kUser, EncoderSide::kItem};

OracleGraph RandomOracleGraph(size_t users, size_t items, std::mt19937_64& random) {
  std::vector<std::vector<uint32_t>> lists(users);
  for (auto& list : lists) {
    const size_t most = random() % 4 == 0 ? 0 : items;
    for (uint32_t item = 0; item < most; ++item) {
      if (random() % 3 == 0) list.push_back(item);
    }
    std::shuffle(list.begin(), list.end(), random);
  }
  return GraphOfLists(std::move(lists), items);
}

// Targets, as an encoder reads them.
struct OracleTargets {
  std::vector<uint32_t> row;
  std::vector<uint64_t> begin{0};
  std::vector<uint32_t> neighbor;
  std::vector<uint64_t> degree;
  std::vector<int64_t> count;
  std::vector<int64_t> time_s;
  std::vector<std::span<const float>> vector;
  std::vector<int64_t> clusters;
  size_t width = 0;  // of `clusters`
  struct Relation {
    std::vector<uint64_t> begin{0};
    std::vector<std::span<const float>> features;
    std::vector<uint32_t> row;
    std::vector<float> weight;
  };
  std::vector<std::span<const float>> features;
  std::vector<Relation> relations;
  mutable std::vector<EncoderRelationLists> lists;  // of the input that was asked for last

  void Add(uint32_t of_row, const std::vector<OracleNeighbor>& neighbors) {
    row.push_back(of_row);
    for (const auto& [node, of_node] : neighbors) {
      neighbor.push_back(node);
      degree.push_back(static_cast<uint64_t>(of_node));
    }
    begin.push_back(neighbor.size());
  }

  // Those from `first` to `last`, alone.
  EncoderInput Of(size_t first, size_t last) const {
    const auto part = [&](const auto& all, size_t from, size_t to) {
      return all.empty() ? std::span(all) : std::span(all).subspan(from, to - from);
    };
    lists.clear();
    for (const Relation& relation : relations) {
      lists.push_back({.begin = std::span(relation.begin).subspan(first, last - first + 1),
                       .features = relation.features,
                       .row = relation.row,
                       .weight = relation.weight});
    }
    return {.targets = last - first,
            .row = part(row, first, last),
            // Positions are of the whole lists.
            .neighbors = {.begin = std::span(begin).subspan(first, last - first + 1),
                          .row = neighbor,
                          .degree = degree,
                          .count = count,
                          .time_s = time_s,
                          .vector = vector},
            .clusters = part(clusters, first * width, last * width),
            .features = part(features, first, last),
            .relations = lists};
  }
};

class EncoderProperty : public testing::TestWithParam<int> {
 protected:
  std::unique_ptr<Encoder> Make(const std::string& kind, EncoderSide side,
                                std::map<std::string, std::string> options,
                                const SafetensorsWriter& writer,
                                const std::string& name = "f.safetensors") const {
    auto encoder = MakeEncoder(
        {.name = "e", .side = side, .kind = kind, .file = name, .options = std::move(options)},
        *SafetensorsFile::Parse(name, writer.Bytes()), trained_);
    if (!encoder.ok()) throw std::runtime_error(std::string(encoder.status().message()));
    return *std::move(encoder);
  }

  void SetTrained(const OracleTable& users, const OracleTable& items) {
    users_ = Flat(users);
    items_ = Flat(items);
    trained_ = {.dim = items[0].size(), .users = users_, .items = items_};
  }

  // All at once, and the same bits one by one from the last and in two batches.
  std::vector<float> Encode(const Encoder& encoder, const OracleTargets& targets, size_t count) {
    const size_t dim = encoder.shape().dim;
    const auto scratch = encoder.NewScratch();
    const std::unique_ptr<bool[]> known(new bool[count]);
    std::vector<float> out(count * dim, 7);
    encoder.Encode(targets.Of(0, count), *scratch, out, std::span(known.get(), count));
    const auto expect_same = [&](size_t first, size_t last) {
      std::vector<float> again((last - first) * dim, 9);
      const std::unique_ptr<bool[]> known_again(new bool[last - first]);
      encoder.Encode(targets.Of(first, last), *scratch, again,
                     std::span(known_again.get(), last - first));
      EXPECT_EQ(std::memcmp(again.data(), out.data() + first * dim, again.size() * sizeof(float)),
                0)
          << first << " to " << last;
      EXPECT_TRUE(
          std::equal(known_again.get(), known_again.get() + (last - first), known.get() + first));
    };
    for (size_t t = count; t-- > 0;) expect_same(t, t + 1);
    expect_same(0, count / 2);
    expect_same(count / 2, count);
    for (size_t t = 0; t < count; ++t) {
      const bool is_zero = std::all_of(out.begin() + static_cast<ptrdiff_t>(t * dim),
                                       out.begin() + static_cast<ptrdiff_t>((t + 1) * dim),
                                       [](float number) { return number == 0; });
      EXPECT_EQ(known[t], !is_zero) << t;
    }
    return out;
  }

  void ExpectVector(const std::vector<float>& out, size_t t, const OracleVector& expected) {
    double largest = 0;
    for (const double number : expected) largest = std::max(largest, std::abs(number));
    for (size_t k = 0; k < expected.size(); ++k) {
      ASSERT_NEAR(out[t * expected.size() + k], expected[k],
                  kEncoderPropertyTolerance * (1 + largest))
          << "target " << t << ", number " << k;
    }
  }

  // Neighbours of a target now: trained and new ones, with degrees up to 2^31.
  std::vector<OracleNeighbor> RandomNeighbors(size_t rows, size_t count) {
    std::vector<OracleNeighbor> neighbors;
    for (size_t i = 0; i < count; ++i) {
      const auto row = static_cast<uint32_t>(random_() % (rows + 1));
      neighbors.push_back(
          {row < rows ? row : kNoRow,
           static_cast<double>(random_() % 5 == 0 ? uint64_t{1} << 31 : 1 + random_() % 20)});
    }
    return neighbors;
  }

  // Trained nodes with their training edges, then others; what `fold` makes of each.
  template <typename Oracle>
  void ExpectFolds(const Oracle& oracle, const OracleGraph& graph, const Encoder& encoder) {
    const EncoderSide side = encoder.side();
    const OracleTable trained = oracle.Final(side);
    const size_t others =
        side == EncoderSide::kUser ? graph.of_items.size() : graph.of_users.size();
    OracleTargets targets;
    std::vector<OracleVector> expected;
    for (uint32_t node = 0; node < trained.size(); ++node) {
      targets.Add(node, graph.NeighborsOf(side, node));
      expected.push_back(trained[node]);
    }
    for (const size_t count : {0, 1, 2, 7, 300}) {
      for (const uint32_t row : {kNoRow, uint32_t{0}}) {
        const auto neighbors = RandomNeighbors(others, count);
        targets.Add(row, neighbors);
        expected.push_back(oracle.Fold(side, row, neighbors));
      }
    }
    const std::vector<float> out = Encode(encoder, targets, expected.size());
    for (size_t t = 0; t < expected.size(); ++t) ExpectVector(out, t, expected[t]);
  }

  size_t Between(size_t least, size_t most) { return least + random_() % (most - least + 1); }

  std::mt19937_64 random_{static_cast<uint64_t>(GetParam())};
  std::vector<float> users_, items_;
  TrainedVectors trained_;
};

TEST_P(EncoderProperty, LinearIsTheTrainedVectorOnTheTrainingGraphAndTheSumOnAnother) {
  const size_t users = Between(1, 30), items = Between(1, 30), dim = Between(1, 40);
  const OracleGraph graph = RandomOracleGraph(users, items, random_);
  std::vector<double> alpha;
  std::string text;
  for (size_t layer = Between(1, 5); layer > 0; --layer) {
    alpha.push_back(static_cast<double>(Between(0, 8)) / 8);
    text += (text.empty() ? "" : ",") + std::to_string(alpha.back());
  }
  const double r = static_cast<double>(Between(0, 4)) / 4;
  const LinearOracle oracle(
      r, alpha,
      {.user = RandomTable(users, dim, random_), .item = RandomTable(items, dim, random_)}, graph);
  SetTrained(oracle.Final(EncoderSide::kUser), oracle.Final(EncoderSide::kItem));
  SafetensorsWriter writer;
  writer.Add("user_base", {users, dim}, Flat(oracle.layers[0].user));
  writer.Add("item_base", {items, dim}, Flat(oracle.layers[0].item));
  writer.Add("user_context", {users, dim}, Flat(oracle.Context(EncoderSide::kUser)));
  writer.Add("item_context", {items, dim}, Flat(oracle.Context(EncoderSide::kItem)));
  for (const EncoderSide side : kBothSides) {
    const auto encoder = Make("linear", side, {{"r", std::to_string(r)}, {"alpha", text}}, writer);
    ExpectFolds(oracle, graph, *encoder);
  }
}

TEST_P(EncoderProperty, NgcfIsTheTrainedVectorOnTheTrainingGraphAndItsLayersOnAnother) {
  for (const char* adjacency : {"symmetric", "norm", "ngcf", "mean", "plain"}) {
    SCOPED_TRACE(adjacency);
    const size_t users = Between(1, 20), items = Between(1, 20);
    const OracleGraph graph = RandomOracleGraph(users, items, random_);
    NgcfOracle oracle{.is_authors = adjacency != std::string("symmetric"),
                      .adjacency = adjacency,
                      .slope = 0.125,
                      .weights = {},
                      .layers = {}};
    size_t width = Between(1, 20);
    oracle.layers.push_back(
        {.user = RandomTable(users, width, random_), .item = RandomTable(items, width, random_)});
    SafetensorsWriter writer;
    const size_t layers = Between(1, 3);
    for (size_t l = 0; l < layers; ++l) {
      const size_t out = Between(1, 20);
      // Plain sums grow by the degree at every layer.
      const double spread = 0.3 / std::sqrt(static_cast<double>(width));
      oracle.weights.push_back({.w1 = RandomTable(out, width, random_, spread),
                                .w2 = RandomTable(out, width, random_, spread),
                                .b1 = RandomTable(1, out, random_)[0],
                                .b2 = RandomTable(1, out, random_)[0]});
      const std::string name = "layers." + std::to_string(l);
      writer.Add(name + ".W1.weight", {out, width}, Flat(oracle.weights[l].w1));
      writer.Add(name + ".W2.weight", {out, width}, Flat(oracle.weights[l].w2));
      if (oracle.is_authors) {
        writer.Add(name + ".W1.bias", {out}, Flat({oracle.weights[l].b1}));
        writer.Add(name + ".W2.bias", {out}, Flat({oracle.weights[l].b2}));
      }
      width = out;
    }
    oracle.Propagate(graph);
    SetTrained(oracle.Final(EncoderSide::kUser), oracle.Final(EncoderSide::kItem));
    if (oracle.is_authors) {
      writer.Add("user_scale", {users, oracle.weights.size()},
                 Flat(oracle.Scales(EncoderSide::kUser)));
      writer.Add("item_scale", {items, oracle.weights.size()},
                 Flat(oracle.Scales(EncoderSide::kItem)));
    }
    const std::map<std::string, std::string> options{
        {"variant", oracle.is_authors ? "authors" : "paper"},
        {"adjacency", adjacency},
        {"slope", "0.125"}};
    for (const EncoderSide side : kBothSides) {
      ExpectFolds(oracle, graph, *Make("ngcf", side, options, writer));
    }
  }
}

TEST_P(EncoderProperty, AlsSolvesTheSystemOfEveryTarget) {
  for (const EncoderSide side : kBothSides) {
    const size_t rows = Between(2, 40), dim = Between(1, 24);
    AlsOracle oracle{.alpha = static_cast<double>(Between(0, 40)),
                     .lambda = 0.25,
                     .is_weighted = random_() % 2 == 0,
                     .vectors = RandomTable(rows, dim, random_)};
    const std::vector<float> vectors = Flat(oracle.vectors);
    SetTrained(RandomTable(1, dim, random_), RandomTable(1, dim, random_));
    std::vector<double> gram;
    for (const OracleVector& row : oracle.Gram()) gram.insert(gram.end(), row.begin(), row.end());
    SafetensorsWriter writer;
    writer.Add(side == EncoderSide::kUser ? "item_gram" : "user_gram", {dim, dim}, gram);
    const auto encoder = Make("als", side,
                              {{"alpha", std::to_string(oracle.alpha)},
                               {"lambda", "0.25"},
                               {"regularisation", oracle.is_weighted ? "weighted" : "plain"}},
                              writer);
    OracleTargets targets;
    OracleTable expected;
    for (const size_t count : {0, 1, 5, 40, 1}) {
      std::vector<OracleNeighbor> neighbors = RandomNeighbors(rows, count);
      // Only one without a vector.
      if (expected.size() == 4) neighbors[0].row = kNoRow;
      std::vector<uint32_t> of_target;
      std::vector<double> counts;
      for (const OracleNeighbor& one : neighbors) {
        of_target.push_back(one.row);
        targets.count.push_back(static_cast<int64_t>(1 + random_() % 15));
        counts.push_back(static_cast<double>(targets.count.back()));
        targets.vector.push_back(one.row == kNoRow ? std::span<const float>()
                                                   : VectorRow(vectors, dim, one.row));
      }
      targets.Add(kNoRow, neighbors);
      expected.push_back(oracle.Fold(of_target, counts));
    }
    const std::vector<float> out = Encode(*encoder, targets, expected.size());
    for (size_t t = 0; t < expected.size(); ++t) ExpectVector(out, t, expected[t]);
  }
}

TEST_P(EncoderProperty, MixtureIsTheMeanOfTheLargestClusters) {
  const size_t clusters = Between(1, 40), dim = Between(1, 20), most = Between(1, 45);
  const OracleTable centroids = RandomTable(clusters, dim, random_);
  SetTrained(centroids, centroids);
  SafetensorsWriter writer;
  writer.Add("item_centroids", {clusters, dim}, Flat(centroids));
  const auto encoder =
      Make("mixture", EncoderSide::kUser, {{"clusters_max", std::to_string(most)}}, writer);
  OracleTargets targets{.width = clusters};
  OracleTable expected;
  for (size_t t = 0; t < 12; ++t) {
    std::vector<int64_t> counts(clusters);
    for (int64_t& count : counts) {
      // Many ties; now and then a count that floats do not hold, or none at all.
      count = static_cast<int64_t>(random_() % 4);
      if (random_() % 10 == 0) count = (int64_t{1} << 31) + 1;
      if (t == 0) count = 0;
    }
    targets.clusters.insert(targets.clusters.end(), counts.begin(), counts.end());
    const OracleVector share = OracleMixture(counts, most);
    expected.emplace_back(dim);
    for (size_t c = 0; c < clusters; ++c) {
      for (size_t k = 0; k < dim; ++k) expected.back()[k] += share[c] * centroids[c][k];
    }
  }
  const std::vector<float> out = Encode(*encoder, targets, expected.size());
  for (size_t t = 0; t < expected.size(); ++t) ExpectVector(out, t, expected[t]);
}

TEST_P(EncoderProperty, NewestSumsUpTheNewestThatHaveVectors) {
  const size_t rows = Between(1, 40), dim = Between(1, 40);
  const OracleTable vectors = RandomTable(rows, dim, random_);
  SetTrained(vectors, vectors);
  for (const size_t neighbors : {size_t{1}, Between(2, 20), size_t{1'000'000}}) {
    const double half = random_() % 2 == 0 ? 0 : static_cast<double>(Between(1, 20));
    std::map<std::string, std::string> options{{"neighbors", std::to_string(neighbors)}};
    if (half > 0) options["half"] = std::to_string(half);
    const auto encoder = Make("newest", EncoderSide::kUser, options, {}, "embeddings.safetensors");
    OracleTargets targets;
    OracleTable expected;
    for (const size_t count : {size_t{0}, size_t{1}, neighbors % 1000, size_t{60}, size_t{3}}) {
      std::vector<OracleNeighbor> newest = RandomNeighbors(rows, count);
      // Only ones without vectors.
      if (expected.size() == 4) {
        for (OracleNeighbor& one : newest) one.row = kNoRow;
      }
      std::vector<uint32_t> of_target;
      for (const OracleNeighbor& one : newest) {
        of_target.push_back(one.row);
        targets.vector.push_back(one.row == kNoRow ? std::span<const float>()
                                                   : VectorRow(items_, dim, one.row));
      }
      targets.Add(kNoRow, newest);
      expected.push_back(OracleNewest(of_target, vectors, neighbors, half));
    }
    const std::vector<float> out = Encode(*encoder, targets, expected.size());
    for (size_t t = 0; t < expected.size(); ++t) ExpectVector(out, t, expected[t]);
  }
}

struct PinnerformerSizes {
  size_t dim, width, heads, hidden, layers, output, history;
};

TEST_P(EncoderProperty, PinnerformerIsWhatItsLayersMakeOfTheNewestItems) {
  const size_t heads = Between(1, 4);
  const PinnerformerSizes sizes{.dim = Between(1, 12),
                                .width = heads * Between(2, 8),
                                .heads = heads,
                                .hidden = Between(1, 40),
                                .layers = Between(1, 3),
                                .output = Between(1, 30),
                                .history = Between(1, 30)};
  const bool is_relu = random_() % 2 == 0;
  TransformerOracle oracle{
      .heads = heads, .is_pre_norm = true, .is_relu = is_relu, .is_causal = true, .tensors = {}};
  RandomCheckpoint checkpoint(random_, oracle.tensors);
  size_t in = sizes.dim + 1;
  for (const char* name : {"absolute", "age", "gap"}) {
    const size_t periods = Between(1, 5);
    OracleTable period(1);
    for (size_t p = 0; p < periods; ++p) period[0].push_back(std::pow(10.0, p) * 86.5);
    oracle.tensors[std::string("time.") + name + ".period"] = period;
    checkpoint.writer.Add(std::string("time.") + name + ".period", {periods}, Flat(period));
    checkpoint.Add(std::string("time.") + name + ".phase", 2, periods);
    in += 2 * periods + 1;
  }
  checkpoint.AddDense("input", sizes.width, in);
  checkpoint.Add("position.weight", sizes.history, sizes.width);
  checkpoint.AddTransformer("", sizes.layers, sizes.width, sizes.hidden);
  checkpoint.AddNorm("output.norm", sizes.width);
  checkpoint.AddDense("output.0", sizes.output, sizes.width);
  checkpoint.AddDense("output.2", sizes.dim, sizes.output);
  const OracleTable vectors = RandomTable(20, sizes.dim, random_);
  SetTrained({}, vectors);
  const auto encoder = Make("pinnerformer", EncoderSide::kUser,
                            {{"heads", std::to_string(heads)},
                             {"max_history", std::to_string(sizes.history)},
                             {"activation", is_relu ? "relu" : "gelu"}},
                            checkpoint.writer);
  OracleTargets targets;
  OracleTable expected;
  for (const size_t count :
       {size_t{0}, size_t{1}, sizes.history, 2 * sizes.history + 3, size_t{3}, size_t{2}}) {
    std::vector<OracleNeighbor> newest = RandomNeighbors(vectors.size(), count);
    // Only ones without vectors.
    if (expected.size() == 4) {
      for (OracleNeighbor& one : newest) one.row = kNoRow;
    }
    std::vector<OracleEvent> events;
    // From the last second that there is to the first.
    int64_t time = expected.size() == 5 ? (int64_t{1} << 32) - 1 : 1'700'000'000;
    for (size_t j = 0; j < count; ++j) {
      const bool has_vector = newest[j].row != kNoRow;
      const bool is_large = random_() % 4 == 0;
      targets.count.push_back(is_large ? int64_t{1} << 31 : static_cast<int64_t>(Between(1, 9)));
      targets.time_s.push_back(time);
      targets.vector.push_back(has_vector ? VectorRow(items_, sizes.dim, newest[j].row)
                                          : std::span<const float>());
      events.push_back({.vector = has_vector ? vectors[newest[j].row] : OracleVector(),
                        .count = static_cast<double>(targets.count.back()),
                        .time_s = static_cast<double>(time)});
      time = expected.size() == 5 ? 0 : time - static_cast<int64_t>(random_() % 100'000);
    }
    targets.Add(kNoRow, newest);
    expected.push_back(OraclePinnerformer(oracle, sizes.history, events));
  }
  const std::vector<float> out = Encode(*encoder, targets, expected.size());
  for (size_t t = 0; t < expected.size(); ++t) ExpectVector(out, t, expected[t]);
}

// A model of random relations and sizes.
struct RandomHetero {
  RandomHetero(bool per_graph, std::mt19937_64& random)
      : is_per_graph(per_graph),
        features(Below(20, random)),
        dim(Below(20, random)),
        checkpoint(random, oracle.tensors) {
    const size_t heads = Below(4, random), width = heads * (1 + Below(5, random));
    const size_t hidden = Below(20, random), layers = Below(2, random);
    oracle.heads = heads;
    oracle.is_pre_norm = random() % 2 == 0;
    oracle.is_relu = random() % 2 == 0;
    size_t slots = 2;
    for (size_t r = Below(4, random); r > 0; --r) {
      relations.push_back({.name = "r" + std::to_string(r),
                           .is_of_items = random() % 3 > 0,
                           .neighbors = Below(9, random)});
      slots += relations.back().neighbors;
      AddRelation(relations.back(), layers, width, hidden);
    }
    checkpoint.AddDense("self.0", hidden, features);
    checkpoint.AddDense("self.2", width, hidden);
    checkpoint.AddVector("cls", width);
    checkpoint.Add("position.weight", is_per_graph ? 1 + relations.size() : slots, width);
    checkpoint.AddTransformer("", layers, width, hidden);
    checkpoint.AddDense("output.0", hidden, width);
    checkpoint.AddDense("output.2", dim, hidden);
  }

  static size_t Below(size_t most, std::mt19937_64& random) { return 1 + random() % most; }

  void AddRelation(const OracleRelation& relation, size_t layers, size_t width, size_t hidden) {
    checkpoint.Add(relation.name + ".gate.weight", width, 1);
    checkpoint.AddVector(relation.name + ".gate.bias", width);
    if (relation.is_of_items) {
      checkpoint.AddDense(relation.name + ".mlp.0", hidden + 1, features);
      checkpoint.AddDense(relation.name + ".mlp.2", width, hidden + 1);
    } else {
      checkpoint.Add(relation.name + ".embed.weight", 5, width);
    }
    if (!is_per_graph) return;
    checkpoint.AddVector(relation.name + ".cls", width);
    checkpoint.Add(relation.name + ".position.weight", 2 + relation.neighbors, width);
    checkpoint.AddTransformer(relation.name + ".", layers, width, hidden);
  }

  std::map<std::string, std::string> Options() const {
    std::string text;
    for (const OracleRelation& relation : relations) {
      text += (text.empty() ? "" : ",") + relation.name +
              (relation.is_of_items ? ":item:" : ":entity:") + std::to_string(relation.neighbors);
    }
    return {{"fusion", is_per_graph ? "per_graph" : "one"},
            {"relations", text},
            {"heads", std::to_string(oracle.heads)},
            {"norm", oracle.is_pre_norm ? "pre" : "post"},
            {"activation", oracle.is_relu ? "relu" : "gelu"}};
  }

  const bool is_per_graph;
  const size_t features, dim;
  TransformerOracle oracle;
  std::vector<OracleRelation> relations;
  RandomCheckpoint checkpoint;
};

TEST_P(EncoderProperty, HeteroIsWhatItsLayersMakeOfTheNeighboursOfEveryRelation) {
  for (const bool is_per_graph : {false, true}) {
    const RandomHetero model(is_per_graph, random_);
    SetTrained({}, RandomTable(1, model.dim, random_));
    const auto encoder =
        Make("hetero", EncoderSide::kItem, model.Options(), model.checkpoint.writer);
    OracleTable items = RandomTable(12, model.features, random_);
    std::fill(items[0].begin(), items[0].end(), 0.0);
    const std::vector<float> rows = Flat(items);
    OracleTargets targets;
    targets.relations.resize(model.relations.size());
    OracleTable expected;
    for (size_t t = 0; t < 6; ++t) {
      std::vector<std::vector<OracleRelated>> related(model.relations.size());
      for (size_t r = 0; r < related.size(); ++r) {
        OracleTargets::Relation& lists = targets.relations[r];
        // None, as many as are read, more; the item itself and twice the same among them.
        const size_t count = t == 0 ? 0 : t == 1 ? model.relations[r].neighbors : Between(0, 14);
        for (size_t i = 0; i < count; ++i) {
          const size_t item = i < 2 ? t : random_() % items.size();
          const auto weight = static_cast<float>(
              random_() % 4 == 0 ? int64_t{1} << 31 : static_cast<int64_t>(random_() % 100));
          related[r].push_back(
              {.features = items[item], .entity = random_() % 7, .weight = weight});
          lists.features.push_back(VectorRow(rows, model.features, item));
          lists.row.push_back(static_cast<uint32_t>(related[r].back().entity));
          lists.weight.push_back(weight);
        }
        lists.begin.push_back(lists.weight.size());
      }
      targets.features.push_back(VectorRow(rows, model.features, t));
      expected.push_back(
          OracleHetero(model.oracle, is_per_graph, model.relations, items[t], related));
    }
    const std::vector<float> out = Encode(*encoder, targets, expected.size());
    for (size_t t = 0; t < expected.size(); ++t) ExpectVector(out, t, expected[t]);
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, EncoderProperty, testing::Range(0, Rounds(12)));

}  // namespace
}  // namespace groundswell
