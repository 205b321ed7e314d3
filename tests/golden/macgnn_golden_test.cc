// MacGNN, stage by stage, against golden vectors:
//
//   golden_test --golden DIR
//
// DIR/macgnn holds weights.safetensors (metadata: tau, recent_len) and cases.safetensors. All
// shapes come from the files, so that any other set of vectors can be tried.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "models/macgnn/forward.h"
#include "models/macgnn/weights.h"
#include "tests/support/golden_vectors.h"
#include "tests/support/safetensors_writer.h"

namespace groundswell {
namespace {

std::string golden_directory = GROUNDSWELL_GOLDEN_DIRECTORY;

constexpr double kTolerance = 1e-5;  // absolute and relative, of stages and logits
constexpr double kProbabilityTolerance = 1e-6;

SafetensorsFile Open(const std::string& name) {
  return OpenGolden(golden_directory + "/macgnn", name);
}

// The weights with one attention's Dice statistics, which the cases hold, in the place of their
// own.
SafetensorsFile WithStatistics(const SafetensorsFile& weights, const SafetensorsFile& cases,
                               const std::string& prefix) {
  SafetensorsWriter writer;
  const auto add = [&](const std::string& name, const SafetensorsFile& file,
                       const std::string& source) {
    const std::vector<double> values = GoldenDoubles(file, source);
    writer.Add(name, file.tensors().at(source).shape,
               std::vector<float>(values.begin(), values.end()));
  };
  for (const auto& [name, tensor] : weights.tensors()) {
    if (!cases.tensors().contains(prefix + name)) add(name, weights, name);
  }
  for (const char* name : {"mlp.1.mean", "mlp.1.std", "mlp.3.mean", "mlp.3.std"}) {
    if (cases.tensors().contains(prefix + name)) add(name, cases, prefix + name);
  }
  return *SafetensorsFile::Parse("weights.safetensors", writer.Bytes());
}

struct Attention {
  const char* manifest;
  const char* prefix;
};

class MacgnnGoldenTest : public testing::TestWithParam<Attention> {
 protected:
  void SetUp() override {
    const auto loaded =
        LoadMacgnnWeights(WithStatistics(weights_file_, cases_, prefix_),
                          {{"attention", GetParam().manifest},
                           {"tau", weights_file_.metadata().at("tau")},
                           {"recent_len", weights_file_.metadata().at("recent_len")}});
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    weights_ = *loaded;
  }

  void ExpectNear(const std::string& stage, size_t row, std::span<const float> actual,
                  double tolerance = kTolerance) {
    const std::vector<double>& expected = Stage(stage);
    ASSERT_EQ(expected.size(), rows_ * actual.size()) << "size of " << stage;
    for (size_t i = 0; i < actual.size(); ++i) {
      const double want = expected[row * actual.size() + i];
      ASSERT_NEAR(actual[i], want, tolerance + tolerance * std::abs(want))
          << stage << ", row " << row << ", element " << i;
    }
  }

  // [user_embed | u1 | u2 | ur | item_embed | i1 | i2 | ir] of the first row, from where the parts
  // are; with attention V_u is yet to be applied to ir.
  std::vector<float> Concatenation(const MacgnnScratch& scratch) const {
    const size_t d = weights_.shape.d;
    const size_t h = weights_.shape.h;
    const bool attends = weights_.attention == MacgnnAttention::kNeighbours;
    const float* const item = scratch.item_input.data();
    const float* const of_user_nodes = attends ? scratch.pair_input.data() : item + d + h;
    std::vector<float> concat(scratch.user_half.begin(), scratch.user_half.end());
    if (attends) {
      const float* const u1 = of_user_nodes + h + d;
      std::copy_n(u1, h, concat.begin() + d);
      std::copy_n(u1 + h, h, concat.begin() + d + 2 * h);
    }
    concat.insert(concat.end(), item, item + d);
    concat.insert(concat.end(), of_user_nodes, of_user_nodes + h);
    concat.insert(concat.end(), item + d, item + d + h);
    if (!attends) {
      concat.insert(concat.end(), item + d + 2 * h, item + d + 3 * h);
      return concat;
    }
    for (size_t i = 0; i < h; ++i) {
      float sum = 0;
      for (size_t k = 0; k < d; ++k) sum += of_user_nodes[h + k] * weights_.users.value[k * h + i];
      concat.push_back(sum);
    }
    return concat;
  }

  const std::vector<double>& Stage(const std::string& stage) {
    auto [at, is_new] = stages_.try_emplace(stage);
    if (is_new) at->second = GoldenDoubles(cases_, prefix_ + stage);
    return at->second;
  }

  const std::string prefix_ = GetParam().prefix;
  const SafetensorsFile weights_file_ = Open("weights.safetensors");
  const SafetensorsFile cases_ = Open("cases.safetensors");
  MacgnnWeights weights_{.file = weights_file_};
  const size_t rows_ = cases_.tensors().at("in.user").element_count();
  std::map<std::string, std::vector<double>> stages_;
};

TEST_P(MacgnnGoldenTest, EveryStageOfEveryRowAgrees) {
  const MacgnnShape& shape = weights_.shape;
  const auto user = GoldenIntegers<uint32_t>(cases_, "in.user");
  const auto item = GoldenIntegers<uint32_t>(cases_, "in.item");
  const auto u1 = GoldenIntegers<int64_t>(cases_, "in.u1");
  const auto u2 = GoldenIntegers<int64_t>(cases_, "in.u2");
  const auto i1 = GoldenIntegers<int64_t>(cases_, "in.i1");
  const auto i2 = GoldenIntegers<int64_t>(cases_, "in.i2");
  const auto urec = GoldenIntegers<uint32_t>(cases_, "in.urec");
  const auto irec = GoldenIntegers<uint32_t>(cases_, "in.irec");
  const size_t p = shape.user_nodes;
  const size_t q = shape.item_nodes;
  const size_t l = shape.recent_len;
  ASSERT_GT(rows_, 0u);
  ASSERT_EQ(u1.size(), rows_ * q) << "in.u1 and the weights disagree about the item macro nodes";
  ASSERT_EQ(u2.size(), rows_ * p) << "in.u2 and the weights disagree about the user macro nodes";
  ASSERT_EQ(i1.size(), rows_ * p);
  ASSERT_EQ(i2.size(), rows_ * q);
  ASSERT_EQ(urec.size(), rows_ * l) << "in.urec and the metadata disagree about recent_len";
  ASSERT_EQ(irec.size(), rows_ * l);
  ASSERT_EQ(Stage("p").size(), rows_);
  ASSERT_EQ(item.size(), rows_);
  ASSERT_LT(*std::max_element(user.begin(), user.end()), shape.users);
  ASSERT_LT(*std::max_element(item.begin(), item.end()), shape.items);
  ASSERT_LT(*std::max_element(urec.begin(), urec.end()), shape.items);
  ASSERT_LT(*std::max_element(irec.begin(), irec.end()), shape.users);

  MacgnnScratch scratch(weights_, 1);
  for (size_t row = 0; row < rows_; ++row) {
    MacgnnPrepareUser(weights_,
                      {.row = user[row],
                       .one_hop = std::span(u1).subspan(row * q, q),
                       .two_hop = std::span(u2).subspan(row * p, p),
                       .recent_items = std::span(urec).subspan(row * l, l)},
                      scratch);
    float logit = 0;
    MacgnnScoreItems(weights_,
                     {.rows = std::span(item).subspan(row, 1),
                      .one_hop = std::span(i1).subspan(row * p, p),
                      .two_hop = std::span(i2).subspan(row * q, q),
                      .recent_users = std::span(irec).subspan(row * l, l)},
                     scratch, std::span(&logit, 1));
    const std::vector<float> concat = Concatenation(scratch);
    ExpectNear("w_u1", row, scratch.w_u1);
    ExpectNear("w_u2", row, scratch.w_u2);
    ExpectNear("w_i1", row, std::span(scratch.w_i1).first(p));
    ExpectNear("w_i2", row, std::span(scratch.w_i2).first(q));
    ExpectNear("concat", row, concat);
    ExpectNear("fc0", row, std::span(scratch.fc0).first(shape.hidden1));
    ExpectNear("dice1", row, std::span(scratch.dice1).first(shape.hidden1));
    ExpectNear("fc2", row, std::span(scratch.fc2).first(shape.hidden2));
    ExpectNear("dice3", row, std::span(scratch.dice3).first(shape.hidden2));
    ExpectNear("logit", row, std::span(&logit, 1));
    ASSERT_NEAR(1.0 / (1.0 + std::exp(-double{logit})), Stage("p")[row], kProbabilityTolerance)
        << "row " << row;
    if (HasFatalFailure()) return;
  }
  fmt::print("{} rows agree at every stage ({} user and {} item macro nodes, recent_len {})\n",
             rows_, p, q, l);
}

INSTANTIATE_TEST_SUITE_P(Attentions, MacgnnGoldenTest,
                         testing::Values(Attention{"none", "official."},
                                         Attention{"neighbours", "paper."}),
                         [](const auto& named) { return std::string(named.param.manifest); });

}  // namespace
}  // namespace groundswell

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i + 1 < argc; ++i) {
    if (std::string(argv[i]) == "--golden") groundswell::golden_directory = argv[i + 1];
  }
  return RUN_ALL_TESTS();
}
