// MacGNN on random shapes, weights and features: against a naive implementation written from the
// equations in double precision, and against itself in other batches and orders, bit by bit.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <random>
#include <set>

#include "models/macgnn/forward.h"
#include "models/macgnn/weights.h"
#include "tests/support/safetensors_writer.h"
#include "tests/support/sanitized.h"
#include "tests/support/twenty_best.h"

namespace groundswell {
namespace {

// Of a bf16 logit to the exact one, absolute and relative.
constexpr double kBf16Bound = 0.025;

using Vector = std::vector<double>;
using Table = std::vector<Vector>;

struct Sizes {
  size_t d, p, q, l, users, items, hidden1, hidden2;
};

// Random tensors of the spec's names, as doubles for the oracle and as a file for the server.
struct Model {
  std::map<std::string, Table> tables;
  SafetensorsFile file;
};

Table RandomTable(size_t rows, size_t columns, double scale, std::mt19937_64& random) {
  std::normal_distribution<double> normal(0, scale);
  Table table(rows, Vector(columns));
  for (Vector& row : table) {
    for (double& value : row) value = static_cast<float>(normal(random));
  }
  return table;
}

Model RandomModel(const Sizes& s, std::mt19937_64& random) {
  const size_t h = 2 * s.d;
  std::map<std::string, Table> t;
  t["user_embed.weight"] = RandomTable(s.users, s.d, 0.3, random);
  t["item_embed.weight"] = RandomTable(s.items, s.d, 0.3, random);
  t["u_macro_embed.weight"] = RandomTable(s.p, s.d, 0.3, random);
  t["i_macro_embed.weight"] = RandomTable(s.q, s.d, 0.3, random);
  for (const char* side : {"u", "i"}) {
    for (const char* part : {"Q", "K", "V"}) {
      t[std::string(side) + "_shared_aggregator." + part + "_w.weight"] =
          RandomTable(h, s.d, 0.5, random);
    }
  }
  t["mlp.0.weight"] = RandomTable(s.hidden1, 14 * s.d, 0.2, random);
  t["mlp.2.weight"] = RandomTable(s.hidden2, s.hidden1, 0.2, random);
  t["mlp.4.weight"] = RandomTable(1, s.hidden2, 0.2, random);
  const std::pair<const char*, size_t> vectors[] = {
      {"mlp.0.bias", s.hidden1}, {"mlp.2.bias", s.hidden2}, {"mlp.4.bias", 1},
      {"mlp.1.mean", s.hidden1}, {"mlp.3.mean", s.hidden2}, {"mlp.1.alpha", 1},
      {"mlp.3.alpha", 1}};
  for (const auto& [name, size] : vectors) t[name] = RandomTable(1, size, 0.2, random);
  for (const auto& [name, size] :
       {std::pair{"mlp.1.std", s.hidden1}, std::pair{"mlp.3.std", s.hidden2}}) {
    t[name] = RandomTable(1, size, 0.3, random);
    for (double& value : t[name][0]) value = static_cast<float>(0.5 + std::abs(value));
  }
  SafetensorsWriter writer;
  for (const auto& [name, table] : t) {
    std::vector<float> values;
    for (const Vector& row : table) values.insert(values.end(), row.begin(), row.end());
    const bool is_vector = table.size() == 1 && name != "mlp.4.weight" &&
                           name.find("embed") == std::string::npos &&
                           name.find("aggregator") == std::string::npos && name != "mlp.0.weight" &&
                           name != "mlp.2.weight";
    writer.Add(name,
               is_vector ? std::vector{values.size()} : std::vector{table.size(), table[0].size()},
               values);
  }
  auto file = SafetensorsFile::Parse("random.safetensors", writer.Bytes());
  EXPECT_TRUE(file.ok()) << file.status();
  return {std::move(t), *std::move(file)};
}

struct Features {
  uint32_t user = 0;
  std::vector<int64_t> u1, u2;
  std::vector<uint32_t> urec;
  std::vector<uint32_t> items;
  std::vector<int64_t> i1, i2;
  std::vector<uint32_t> irec;
};

int64_t RandomCount(std::mt19937_64& random) {
  switch (random() % 4) {
    case 0:
      return 0;
    case 1:
      return static_cast<int64_t>(random() % 10);
    case 2:
      return static_cast<int64_t>(random() % 10'000);
    default:
      return static_cast<int64_t>(random() % (int64_t{1} << 40));  // beyond a float's integers
  }
}

Features RandomFeatures(const Sizes& s, size_t n, std::mt19937_64& random) {
  Features f;
  f.user = static_cast<uint32_t>(random() % s.users);
  const auto fill = [&](std::vector<int64_t>& counts, size_t size) {
    for (size_t i = 0; i < size; ++i) counts.push_back(RandomCount(random));
  };
  fill(f.u1, s.q);
  fill(f.u2, s.p);
  fill(f.i1, n * s.p);
  fill(f.i2, n * s.q);
  const size_t recent = random() % (s.l + 1);
  for (size_t j = 0; j < recent; ++j) f.urec.push_back(static_cast<uint32_t>(random() % s.items));
  for (size_t i = 0; i < n; ++i) {
    f.items.push_back(static_cast<uint32_t>(random() % s.items));
    const size_t users = random() % (s.l + 1);
    for (size_t j = 0; j < s.l; ++j) {
      f.irec.push_back(j < users ? static_cast<uint32_t>(random() % s.users) : 0u);
    }
  }
  return f;
}

// --- The oracle: the equations, loops only.
// -------------------------------------------------------

Vector MatVec(const Table& m, const Vector& x) {
  Vector y(m.size());
  for (size_t i = 0; i < m.size(); ++i) {
    for (size_t j = 0; j < x.size(); ++j) y[i] += m[i][j] * x[j];
  }
  return y;
}

Vector SoftmaxOf(Vector x) {
  const double largest = *std::max_element(x.begin(), x.end());
  double sum = 0;
  for (double& value : x) sum += value = std::exp(value - largest);
  for (double& value : x) value /= sum;
  return x;
}

Vector CountSoftmax(std::span<const int64_t> counts, double tau) {
  Vector x;
  for (const int64_t count : counts) x.push_back(std::log(static_cast<double>(count) + 1) / tau);
  return SoftmaxOf(x);
}

// agg(side, E, key): the value of every neighbour, weighed by attention.
Table Aggregate(const Model& m, const std::string& side, const Table& neighbours, const Vector& key,
                bool attends) {
  const std::string name = side + "_shared_aggregator.";
  Table values;
  Vector scores;
  const Vector projected = MatVec(m.tables.at(name + "K_w.weight"), key);
  for (const Vector& e : neighbours) {
    values.push_back(MatVec(m.tables.at(name + "V_w.weight"), e));
    const Vector query = MatVec(m.tables.at(name + "Q_w.weight"), e);
    double score = 0;
    for (size_t i = 0; i < query.size(); ++i) score += query[i] * projected[i];
    scores.push_back(score / std::sqrt(static_cast<double>(query.size())));
  }
  if (!attends) return values;
  const Vector s = SoftmaxOf(scores);
  for (size_t n = 0; n < values.size(); ++n) {
    for (double& value : values[n]) value *= s[n];
  }
  return values;
}

Vector Combine(const Vector& w, const Table& rows) {
  Vector sum(rows[0].size());
  for (size_t k = 0; k < rows.size(); ++k) {
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += w[k] * rows[k][i];
  }
  return sum;
}

Vector OracleDice(const Vector& z, const Vector& mean, const Vector& std, double alpha) {
  Vector out;
  for (size_t i = 0; i < z.size(); ++i) {
    const double g = 1 / (1 + std::exp(-((z[i] - mean[i]) / std[i] + 1e-8)));
    out.push_back(z[i] * g + alpha * z[i] * (1 - g));
  }
  return out;
}

double OracleLogit(const Model& m, const Sizes& s, const Features& f, size_t candidate,
                   bool attends, double tau) {
  const Table& users = m.tables.at("user_embed.weight");
  const Table& items = m.tables.at("item_embed.weight");
  const Vector& user = users[f.user];
  const Vector& item = items[f.items[candidate]];
  const auto recent = [&](const Table& table, std::span<const uint32_t> ids,
                          const std::string& side, const Vector& key) {
    Table neighbours;
    Vector present;
    for (size_t j = 0; j < s.l; ++j) {
      const uint32_t id = j < ids.size() ? ids[j] : 0;
      neighbours.push_back(table[id]);
      present.push_back(id > 0 ? 1 : 0);
    }
    return Combine(present, Aggregate(m, side, neighbours, key, attends));
  };
  const Table& user_clusters = m.tables.at("u_macro_embed.weight");
  const Table& item_clusters = m.tables.at("i_macro_embed.weight");
  const Vector parts[] = {
      user,
      Combine(CountSoftmax(f.u1, tau), Aggregate(m, "i", item_clusters, item, attends)),
      Combine(CountSoftmax(f.u2, tau), Aggregate(m, "u", user_clusters, user, attends)),
      recent(items, f.urec, "i", item),
      item,
      Combine(CountSoftmax(std::span(f.i1).subspan(candidate * s.p, s.p), tau),
              Aggregate(m, "u", user_clusters, user, attends)),
      Combine(CountSoftmax(std::span(f.i2).subspan(candidate * s.q, s.q), tau),
              Aggregate(m, "i", item_clusters, item, attends)),
      recent(users, std::span(f.irec).subspan(candidate * s.l, s.l), "u", user)};
  Vector x;
  for (const Vector& part : parts) x.insert(x.end(), part.begin(), part.end());
  const auto layer = [&](const std::string& name, const Vector& input) {
    Vector out = MatVec(m.tables.at(name + ".weight"), input);
    for (size_t i = 0; i < out.size(); ++i) out[i] += m.tables.at(name + ".bias")[0][i];
    return out;
  };
  const auto dice = [&](const std::string& name, const Vector& z) {
    return OracleDice(z, m.tables.at(name + ".mean")[0], m.tables.at(name + ".std")[0],
                      m.tables.at(name + ".alpha")[0][0]);
  };
  return layer("mlp.4", dice("mlp.3", layer("mlp.2", dice("mlp.1", layer("mlp.0", x)))))[0];
}

// --- Under test.
// ----------------------------------------------------------------------------------

std::vector<float> Score(const MacgnnWeights& weights, const Sizes& s, const Features& f,
                         const std::vector<size_t>& candidates, MacgnnScratch& scratch) {
  MacgnnPrepareUser(
      weights, {.row = f.user, .one_hop = f.u1, .two_hop = f.u2, .recent_items = f.urec}, scratch);
  Features block;
  for (const size_t c : candidates) {
    block.items.push_back(f.items[c]);
    block.i1.insert(block.i1.end(), f.i1.begin() + c * s.p, f.i1.begin() + (c + 1) * s.p);
    block.i2.insert(block.i2.end(), f.i2.begin() + c * s.q, f.i2.begin() + (c + 1) * s.q);
    block.irec.insert(block.irec.end(), f.irec.begin() + c * s.l, f.irec.begin() + (c + 1) * s.l);
  }
  std::vector<float> logits(candidates.size());
  MacgnnScoreItems(
      weights,
      {.rows = block.items, .one_hop = block.i1, .two_hop = block.i2, .recent_users = block.irec},
      scratch, logits);
  return logits;
}

Sizes RandomSizes(std::mt19937_64& random) {
  const auto pick = [&](size_t max) { return 1 + random() % max; };
  return {.d = pick(12),
          .p = pick(33),
          .q = pick(33),
          .l = pick(25),
          .users = 1 + pick(40),
          .items = 1 + pick(40),
          .hidden1 = pick(210),
          .hidden2 = pick(90)};
}

struct Served {
  const char* attention;
  const char* precision;
};

class MacgnnProperty : public testing::TestWithParam<Served> {
 protected:
  bool attends() const { return std::string(GetParam().attention) == "neighbours"; }

  // Of a logit, absolute and relative.
  double tolerance() const {
    return std::string(GetParam().precision) == "bf16" ? kBf16Bound : 2e-5;
  }

  MacgnnWeights Load(const Model& model, const Sizes& sizes, const char* precision) {
    const auto weights = LoadMacgnnWeights(model.file, {{"attention", GetParam().attention},
                                                        {"tau", "1.3"},
                                                        {"recent_len", std::to_string(sizes.l)},
                                                        {"precision", precision}});
    EXPECT_TRUE(weights.ok()) << weights.status();
    return *weights;
  }
  MacgnnWeights Load(const Model& model, const Sizes& sizes) {
    return Load(model, sizes, GetParam().precision);
  }
};

TEST_P(MacgnnProperty, AgreesWithTheEquationsOnRandomShapes) {
  for (uint64_t seed = 1; seed <= Rounds(40u); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937_64 random(seed);
    const Sizes sizes = RandomSizes(random);
    const Model model = RandomModel(sizes, random);
    const MacgnnWeights weights = Load(model, sizes);
    const Features features = RandomFeatures(sizes, 1 + random() % 20, random);
    std::vector<size_t> all(features.items.size());
    for (size_t i = 0; i < all.size(); ++i) all[i] = i;
    MacgnnScratch scratch(weights, all.size());
    const std::vector<float> logits = Score(weights, sizes, features, all, scratch);
    for (const size_t i : all) {
      const double expected = OracleLogit(model, sizes, features, i, attends(), 1.3);
      ASSERT_NEAR(logits[i], expected, tolerance() * (1 + std::abs(expected))) << "candidate " << i;
    }
  }
}

TEST_P(MacgnnProperty, AScoreIsTheSameBitsInEveryBatchAndOrder) {
  // Wide enough for the kernels that are chosen for large products.
  constexpr Sizes kWide{
      .d = 64, .p = 20, .q = 30, .l = 20, .users = 40, .items = 40, .hidden1 = 200, .hidden2 = 80};
  for (uint64_t seed = 0; seed <= Rounds(30u); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937_64 random(seed);
    const Sizes sizes = seed == 0 ? kWide : RandomSizes(random);
    const Model model = RandomModel(sizes, random);
    const MacgnnWeights weights = Load(model, sizes);
    const Features features = RandomFeatures(sizes, 300, random);
    std::vector<size_t> order(features.items.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    MacgnnScratch whole(weights, order.size());
    const std::vector<float> expected = Score(weights, sizes, features, order, whole);

    MacgnnScratch scratch(weights, 130);
    std::shuffle(order.begin(), order.end(), random);
    for (size_t begin = 0; begin < order.size();) {
      const size_t size = std::min(order.size() - begin, 1 + random() % (random() % 2 ? 130 : 5));
      const std::vector<size_t> block(order.begin() + begin, order.begin() + begin + size);
      const std::vector<float> logits = Score(weights, sizes, features, block, scratch);
      for (size_t i = 0; i < block.size(); ++i) {
        ASSERT_EQ(std::memcmp(&logits[i], &expected[block[i]], sizeof(float)), 0)
            << "candidate " << block[i] << " in a block of " << size << ": " << logits[i] << " and "
            << expected[block[i]];
      }
      begin += size;
    }
  }
}

using Bf16MacgnnProperty = MacgnnProperty;

// At the published sizes, of f32's twenty best of 500, over many lists.
TEST_P(Bf16MacgnnProperty, HardlyAnyOfTheTwentyBestIsAnother) {
  constexpr Sizes kPublished{.d = 10,
                             .p = 20,
                             .q = 30,
                             .l = 20,
                             .users = 1'000,
                             .items = 1'000,
                             .hidden1 = 200,
                             .hidden2 = 80};
  constexpr size_t kLists = Rounds(100);
  std::vector<size_t> all(500);
  std::iota(all.begin(), all.end(), size_t{0});
  size_t others = 0;
  for (uint64_t seed = 1; seed <= kLists; ++seed) {
    std::mt19937_64 random(seed);
    const Model model = RandomModel(kPublished, random);
    const Features features = RandomFeatures(kPublished, all.size(), random);
    const auto best = [&](const char* precision) {
      const MacgnnWeights weights = Load(model, kPublished, precision);
      MacgnnScratch scratch(weights, all.size());
      return TwentyBest(Score(weights, kPublished, features, all, scratch));
    };
    const std::set<size_t> expected = best("f32");
    for (const size_t i : best(GetParam().precision)) others += expected.contains(i) ? 0 : 1;
  }
  EXPECT_LE(others, 20 * kLists / 100);
}

std::string NameOf(const testing::TestParamInfo<Served>& served) {
  return std::string(served.param.attention) + "_" + served.param.precision;
}

INSTANTIATE_TEST_SUITE_P(Attentions, MacgnnProperty,
                         testing::Values(Served{"none", "f32"}, Served{"neighbours", "f32"},
                                         Served{"none", "bf16"}, Served{"neighbours", "bf16"}),
                         NameOf);
INSTANTIATE_TEST_SUITE_P(Attentions, Bf16MacgnnProperty,
                         testing::Values(Served{"none", "bf16"}, Served{"neighbours", "bf16"}),
                         NameOf);

}  // namespace
}  // namespace groundswell
