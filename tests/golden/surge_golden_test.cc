// SURGE, stage by stage, against golden vectors:
// DIR/surge holds {authors,paper}.weights.safetensors (metadata: max_history, pool_length) and
// {authors,paper}.cases.safetensors. All shapes come from the files, so that any other set of
// vectors can be tried.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "models/surge/forward.h"
#include "models/surge/weights.h"
#include "tests/golden/golden_directory.h"
#include "tests/support/golden_vectors.h"
#include "tests/support/safetensors_writer.h"

namespace groundswell {
namespace {

constexpr double kSurgeBf16Bound = 0.015;  // of logits, absolute and relative

// The weights with the categories of the items, which the cases hold.
SafetensorsFile WithCategories(const SafetensorsFile& weights, const SafetensorsFile& cases) {
  SafetensorsWriter writer;
  for (const auto& [name, tensor] : weights.tensors()) {
    const std::vector<double> values = GoldenDoubles(weights, name);
    writer.Add(name, tensor.shape, std::vector<float>(values.begin(), values.end()));
  }
  const auto categories = GoldenIntegers<int64_t>(cases, "in.category_of_item");
  writer.Add("category_of_item", {categories.size()}, categories);
  return *SafetensorsFile::Parse(weights.name(), writer.Bytes());
}

class SurgeGoldenTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    weights_ = Load("f32");
    size_t begin = 0;
    const auto history = GoldenIntegers<uint32_t>(cases_, "in.history");
    for (const auto length : GoldenIntegers<size_t>(cases_, "in.history_length")) {
      ASSERT_LE(begin + length, history.size());
      histories_.emplace_back(history.begin() + begin, history.begin() + begin + length);
      std::reverse(histories_.back().begin(), histories_.back().end());  // newest first
      begin += length;
    }
  }

  SurgeWeights Load(const char* precision) const {
    const auto& metadata = weights_file_.metadata();
    std::map<std::string, std::string> options{{"variant", GetParam()},
                                               {"max_history", metadata.at("max_history")},
                                               {"precision", precision}};
    if (IsAuthors()) options["pool_length"] = metadata.at("pool_length");
    const auto loaded = LoadSurgeWeights(WithCategories(weights_file_, cases_), options);
    if (!loaded.ok()) throw std::runtime_error(std::string(loaded.status().message()));
    return *loaded;
  }

  bool IsAuthors() const { return std::string(GetParam()) == "authors"; }

  void ExpectNear(const std::string& stage, size_t row, std::span<const float> actual,
                  double tolerance = kGoldenTolerance) {
    auto [at, is_new] = stages_.try_emplace(stage);
    if (is_new) at->second = GoldenDoubles(cases_, stage);
    const size_t width = at->second.size() / rows_;
    ASSERT_EQ(at->second.size(), rows_ * width) << stage;
    ASSERT_EQ(actual.size(), width) << "width of " << stage;
    for (size_t i = 0; i < width; ++i) {
      const double want = at->second[row * width + i];
      ASSERT_NEAR(actual[i], want, tolerance + tolerance * std::abs(want))
          << stage << ", row " << row << ", element " << i;
    }
  }

  void ExpectAuthorsStages(size_t row, const SurgeAuthorsScratch& scratch) {
    const size_t l = weights_.shape.max_history;
    std::vector<float> score(l), selected(l), sums(l, 1.0f);
    std::copy_n(scratch.score.begin(), scratch.length, score.begin());
    std::copy_n(scratch.graph.row_sums.begin(), scratch.length, sums.begin());
    for (size_t i = 0; i < scratch.kept_count[0]; ++i) selected[scratch.kept[i]] = 1;
    ExpectNear("adjacency_row_sums", row, sums, 0);
    ExpectNear("score", row, score);
    ExpectNear("selected", row, selected, 0);
  }

  const SafetensorsFile weights_file_ =
      OpenGolden(GoldenFolder("surge"), std::string(GetParam()) + ".weights.safetensors");
  const SafetensorsFile cases_ =
      OpenGolden(GoldenFolder("surge"), std::string(GetParam()) + ".cases.safetensors");
  SurgeWeights weights_{.file = weights_file_};
  const size_t rows_ = cases_.tensors().at("in.candidate").element_count();
  std::vector<std::vector<uint32_t>> histories_;
  std::map<std::string, std::vector<double>> stages_;
};

TEST_P(SurgeGoldenTest, EveryStageOfEveryRowAgrees) {
  const SurgeShape& shape = weights_.shape;
  const auto candidate = GoldenIntegers<uint32_t>(cases_, "in.candidate");
  const auto history = GoldenIntegers<size_t>(cases_, "in.history_index");
  const std::vector<double> logits = GoldenDoubles(cases_, "logit");
  ASSERT_GT(rows_, 0u);
  ASSERT_EQ(history.size(), rows_);
  ASSERT_EQ(logits.size(), rows_);
  ASSERT_LT(*std::max_element(candidate.begin(), candidate.end()), shape.items);
  const auto scratch = NewSurgeScratch(weights_, 1);
  for (size_t row = 0; row < rows_; ++row) {
    ASSERT_TRUE(
        SurgePrepareUser(weights_, {.recent_items = histories_.at(history[row])}, *scratch).ok());
    float logit = 0;
    SurgeScoreItems(weights_, {.rows = std::span(candidate).subspan(row, 1)}, *scratch,
                    std::span(&logit, 1));
    if (IsAuthors()) {
      ExpectAuthorsStages(row, static_cast<SurgeAuthorsScratch&>(*scratch));
    } else {
      ExpectNear("cluster_score", row,
                 std::span(static_cast<SurgePaperScratch&>(*scratch).cluster_score));
    }
    const std::span<const float> head(scratch->head_input);
    ExpectNear("readout", row, head.subspan(shape.state_width, shape.d()));
    ExpectNear("state", row, head.first(shape.state_width));
    ExpectNear("logit", row, std::span(&logit, 1));
    const auto probability = [](double z) { return 1 / (1 + std::exp(-z)); };
    ASSERT_NEAR(probability(logit), probability(logits[row]), kGoldenProbabilityTolerance) << row;
    if (HasFatalFailure()) return;
  }
  fmt::print("{} rows agree at every stage (history of {}, width {})\n", rows_, shape.max_history,
             shape.d());
}

TEST_P(SurgeGoldenTest, LogitsInBf16AreWithinItsBound) {
  const SurgeWeights weights = Load("bf16");
  const auto candidate = GoldenIntegers<uint32_t>(cases_, "in.candidate");
  const auto history = GoldenIntegers<size_t>(cases_, "in.history_index");
  const std::vector<double> logits = GoldenDoubles(cases_, "logit");
  const auto scratch = NewSurgeScratch(weights, 1);
  double worst = 0;
  for (size_t row = 0; row < rows_; ++row) {
    ASSERT_TRUE(
        SurgePrepareUser(weights, {.recent_items = histories_.at(history[row])}, *scratch).ok());
    float logit = 0;
    SurgeScoreItems(weights, {.rows = std::span(candidate).subspan(row, 1)}, *scratch,
                    std::span(&logit, 1));
    worst = std::max(worst, std::abs(logit - logits[row]) / (1 + std::abs(logits[row])));
  }
  EXPECT_LE(worst, kSurgeBf16Bound);
  fmt::print("{}: at most {:.4f} (1 + |logit|) from the exact logits\n",
             ArithmeticOf(Precision::kBf16), worst);
}

INSTANTIATE_TEST_SUITE_P(Variants, SurgeGoldenTest, testing::Values("authors", "paper"),
                         [](const auto& named) { return std::string(named.param); });

}  // namespace
}  // namespace groundswell
