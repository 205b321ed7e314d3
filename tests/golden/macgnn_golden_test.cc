// MacGNN, stage by stage, against golden vectors:
// DIR/macgnn holds weights.safetensors (metadata: tau, recent_len) and cases.safetensors. All
// shapes come from the files, so that any other set of vectors can be tried.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include "models/macgnn/forward.h"
#include "models/macgnn/weights.h"
#include "models/snapshot/examples.h"
#include "models/snapshot/registry.h"
#include "tests/golden/golden_directory.h"
#include "tests/support/golden_vectors.h"
#include "tests/support/safetensors_writer.h"

namespace groundswell {
namespace {

constexpr double kMacgnnBf16Bound = 0.025;  // of logits, absolute and relative

SafetensorsFile Open(const std::string& name) { return OpenGolden(GoldenFolder("macgnn"), name); }

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
    weights_ = Load("f32");
    ASSERT_GT(rows_, 0u);
    const MacgnnShape& shape = weights_.shape;
    ASSERT_EQ(u1_.size(), rows_ * shape.item_clusters)
        << "in.u1 and the weights disagree about the item clusters";
    ASSERT_EQ(u2_.size(), rows_ * shape.user_clusters)
        << "in.u2 and the weights disagree about the user clusters";
    ASSERT_EQ(i1_.size(), rows_ * shape.user_clusters);
    ASSERT_EQ(i2_.size(), rows_ * shape.item_clusters);
    ASSERT_EQ(urec_.size(), rows_ * shape.recent_len)
        << "in.urec and the metadata disagree about recent_len";
    ASSERT_EQ(irec_.size(), rows_ * shape.recent_len);
    ASSERT_EQ(Stage("p").size(), rows_);
    ASSERT_LT(*std::max_element(user_.begin(), user_.end()), shape.users);
    ASSERT_LT(*std::max_element(item_.begin(), item_.end()), shape.items);
    ASSERT_LT(*std::max_element(urec_.begin(), urec_.end()), shape.items);
    ASSERT_LT(*std::max_element(irec_.begin(), irec_.end()), shape.users);
  }

  MacgnnWeights Load(const char* precision) {
    const auto loaded =
        LoadMacgnnWeights(WithStatistics(weights_file_, cases_, prefix_),
                          {{"attention", GetParam().manifest},
                           {"tau", weights_file_.metadata().at("tau")},
                           {"recent_len", weights_file_.metadata().at("recent_len")},
                           {"precision", precision}});
    if (!loaded.ok()) throw std::runtime_error(std::string(loaded.status().message()));
    return *loaded;
  }

  float Score(const MacgnnWeights& weights, size_t row, MacgnnScratch& scratch) const {
    const MacgnnShape& shape = weights.shape;
    const auto of_row = [row](const auto& matrix, size_t width) {
      return std::span(matrix).subspan(row * width, width);
    };
    MacgnnPrepareUser(weights,
                      {.row = user_[row],
                       .one_hop = of_row(u1_, shape.item_clusters),
                       .two_hop = of_row(u2_, shape.user_clusters),
                       .recent_items = of_row(urec_, shape.recent_len)},
                      scratch);
    float logit = 0;
    MacgnnScoreItems(weights,
                     {.rows = of_row(item_, 1),
                      .one_hop = of_row(i1_, shape.user_clusters),
                      .two_hop = of_row(i2_, shape.item_clusters),
                      .recent_users = of_row(irec_, shape.recent_len)},
                     scratch, std::span(&logit, 1));
    return logit;
  }

  void ExpectNear(const std::string& stage, size_t row, std::span<const float> actual,
                  double tolerance = kGoldenTolerance) {
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
    const float* const of_user_clusters = attends ? scratch.pair_input.data() : item + d + h;
    std::vector<float> concat(scratch.user_half.begin(), scratch.user_half.end());
    if (attends) {
      const float* const u1 = of_user_clusters + h + d;
      std::copy_n(u1, h, concat.begin() + d);
      std::copy_n(u1 + h, h, concat.begin() + d + 2 * h);
    }
    concat.insert(concat.end(), item, item + d);
    concat.insert(concat.end(), of_user_clusters, of_user_clusters + h);
    concat.insert(concat.end(), item + d, item + d + h);
    if (!attends) {
      concat.insert(concat.end(), item + d + 2 * h, item + d + 3 * h);
      return concat;
    }
    for (size_t i = 0; i < h; ++i) {
      float sum = 0;
      for (size_t k = 0; k < d; ++k)
        sum += of_user_clusters[h + k] * weights_.users.value[k * h + i];
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
  const std::vector<uint32_t> user_ = GoldenIntegers<uint32_t>(cases_, "in.user");
  const std::vector<uint32_t> item_ = GoldenIntegers<uint32_t>(cases_, "in.item");
  const std::vector<int64_t> u1_ = GoldenIntegers<int64_t>(cases_, "in.u1");
  const std::vector<int64_t> u2_ = GoldenIntegers<int64_t>(cases_, "in.u2");
  const std::vector<int64_t> i1_ = GoldenIntegers<int64_t>(cases_, "in.i1");
  const std::vector<int64_t> i2_ = GoldenIntegers<int64_t>(cases_, "in.i2");
  const std::vector<uint32_t> urec_ = GoldenIntegers<uint32_t>(cases_, "in.urec");
  const std::vector<uint32_t> irec_ = GoldenIntegers<uint32_t>(cases_, "in.irec");
  const size_t rows_ = cases_.tensors().at("in.user").element_count();
  std::map<std::string, std::vector<double>> stages_;
};

TEST_P(MacgnnGoldenTest, EveryStageOfEveryRowAgrees) {
  const MacgnnShape& shape = weights_.shape;
  MacgnnScratch scratch(weights_, 1);
  for (size_t row = 0; row < rows_; ++row) {
    const float logit = Score(weights_, row, scratch);
    const std::vector<float> concat = Concatenation(scratch);
    ExpectNear("w_u1", row, scratch.w_u1);
    ExpectNear("w_u2", row, scratch.w_u2);
    ExpectNear("w_i1", row, std::span(scratch.w_i1).first(shape.user_clusters));
    ExpectNear("w_i2", row, std::span(scratch.w_i2).first(shape.item_clusters));
    ExpectNear("concat", row, concat);
    ExpectNear("fc0", row, std::span(scratch.fc0).first(shape.hidden1));
    ExpectNear("dice1", row, std::span(scratch.dice1).first(shape.hidden1));
    ExpectNear("fc2", row, std::span(scratch.fc2).first(shape.hidden2));
    ExpectNear("dice3", row, std::span(scratch.dice3).first(shape.hidden2));
    ExpectNear("logit", row, std::span(&logit, 1));
    ASSERT_NEAR(1.0 / (1.0 + std::exp(-double{logit})), Stage("p")[row],
                kGoldenProbabilityTolerance)
        << "row " << row;
    if (HasFatalFailure()) return;
  }
  fmt::print("{} rows agree at every stage ({} user and {} item clusters, recent_len {})\n", rows_,
             shape.user_clusters, shape.item_clusters, shape.recent_len);
}

TEST_P(MacgnnGoldenTest, LogitsInBf16AreWithinItsBound) {
  const MacgnnWeights weights = Load("bf16");
  MacgnnScratch scratch(weights, 1);
  double worst = 0;
  for (size_t row = 0; row < rows_; ++row) {
    const double expected = Stage("logit")[row];
    const double error = std::abs(Score(weights, row, scratch) - expected);
    worst = std::max(worst, error / (1 + std::abs(expected)));
  }
  EXPECT_LE(worst, kMacgnnBf16Bound);
  fmt::print("{}: at most {:.4f} (1 + |logit|) from the exact logits\n",
             ArithmeticOf(Precision::kBf16), worst);
}

// What another implementation scored is what a snapshot's examples are.
TEST_P(MacgnnGoldenTest, TheVectorsAreExamplesThatOnlyTheRightAttentionPasses) {
  SafetensorsWriter writer;
  for (const char* name : {"user", "item", "u1", "u2", "i1", "i2", "urec", "irec"}) {
    const std::string of_cases = std::string("in.") + name;
    writer.Add(name, cases_.tensors().at(of_cases).shape,
               GoldenIntegers<int64_t>(cases_, of_cases));
  }
  const std::vector<double>& logits = Stage("logit");
  writer.Add("logit.m", {rows_}, std::vector<float>(logits.begin(), logits.end()));
  const SafetensorsFile examples = *SafetensorsFile::Parse(kExamplesFile, writer.Bytes());
  Manifest manifest;
  manifest.users = weights_.shape.users - 1;
  manifest.items = weights_.shape.items - 1;
  for (const std::string attention : {"none", "neighbours"}) {
    manifest.models = {{.name = "m",
                        .kind = "macgnn",
                        .file = "f",
                        .options = {{"attention", attention},
                                    {"tau", weights_file_.metadata().at("tau")},
                                    {"recent_len", weights_file_.metadata().at("recent_len")}}}};
    std::vector<std::unique_ptr<Ranker>> rankers;
    rankers.push_back(
        *MakeRanker(manifest.models[0], WithStatistics(weights_file_, cases_, prefix_)));
    const auto agreement = CheckExamples(examples, manifest, rankers);
    EXPECT_EQ(agreement.ok(), attention == GetParam().manifest) << agreement.status();
  }
}

INSTANTIATE_TEST_SUITE_P(Attentions, MacgnnGoldenTest,
                         testing::Values(Attention{"none", "official."},
                                         Attention{"neighbours", "paper."}),
                         [](const auto& named) { return std::string(named.param.manifest); });

}  // namespace
}  // namespace groundswell
