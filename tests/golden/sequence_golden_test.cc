// NCF, GRU4Rec and the other sequence rankers, each by whatever sets of vectors its folder holds:
// NAME.cases.safetensors with the options and the name of its weights in the metadata.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "models/caser/caser_ranker.h"
#include "models/dien/dien_ranker.h"
#include "models/din/din_ranker.h"
#include "models/gru4rec/gru4rec_ranker.h"
#include "models/ncf/ncf_ranker.h"
#include "models/slirec/slirec_ranker.h"
#include "models/snapshot/registry.h"
#include "tests/golden/golden_directory.h"
#include "tests/support/golden_vectors.h"
#include "tests/support/safetensors_writer.h"

namespace groundswell {
namespace {

constexpr double kGoldenTimeTolerance = 1e-6;  // of time features
constexpr double kSequenceBf16Bound = 0.025;   // of logits, absolute and relative
// By position: 0 behind the last.
constexpr float kBeyond = 0;

using Floats = std::vector<float>;
using Stages = std::map<std::string, Floats>;

struct Widths {
  std::map<std::string, size_t> of_stage;  // numbers per row
  size_t operator()(const std::string& stage) const { return of_stage.at(stage); }
};

// What a scratch holds of the one row that was scored last, by the names of the vectors' stages.
using StageReader =
    std::function<Stages(const RankerScratch&, const SafetensorsFile& weights, const Widths&)>;

Floats First(std::span<const float> values, size_t count) {
  return {values.begin(), values.begin() + static_cast<ptrdiff_t>(std::min(count, values.size()))};
}

Stages NcfStages(const RankerScratch& of_row, const SafetensorsFile& weights,
                 const Widths& widths) {
  const auto& scratch = static_cast<const NcfScratch&>(of_row);
  const size_t k = widths("gmf");
  // The scratch has the product with the output's weights in it.
  const std::vector<double> output = GoldenDoubles(weights, "output.weight");
  const std::span<const float> item =
      std::span(scratch.prepared).first(scratch.first.size() + k).last(k);
  Floats gmf;
  for (size_t i = 0; i < k; ++i) {
    gmf.push_back(static_cast<float>(scratch.gmf[i] / output[i] * item[i]));
  }
  return {{"gmf", gmf}, {"mlp", First(scratch.layer, widths("mlp"))}};
}

Stages Gru4recStages(const RankerScratch& of_row, const SafetensorsFile& /*weights*/,
                     const Widths& widths) {
  const auto& scratch = static_cast<const Gru4recScratch&>(of_row);
  const size_t h = widths("user.state");
  return {
      {"user.state", First(std::span(scratch.gru.states).subspan((scratch.length - 1) * h), h)}};
}

Stages DinStages(const RankerScratch& of_row, const SafetensorsFile& /*weights*/,
                 const Widths& widths) {
  const auto& scratch = static_cast<const DinScratch&>(of_row);
  const size_t d = widths("pooled");
  return {{"user.sum", scratch.sum},
          {"attention", First(scratch.attention.attention, scratch.length)},
          {"pooled", First(scratch.pooled, d)},
          {"user", First(scratch.user, d)}};
}

Stages CaserStages(const RankerScratch& of_row, const SafetensorsFile& /*weights*/,
                   const Widths& widths) {
  const auto& scratch = static_cast<const CaserScratch&>(of_row);
  if (!widths.of_stage.contains("user.z")) return {{"user.features", scratch.features}};
  const std::span<const float> features = scratch.features;
  return {{"user.vertical", First(features, widths("user.vertical"))},
          {"user.horizontal", First(features.subspan(widths("user.vertical")), features.size())},
          {"user.z", First(scratch.output, widths("user.z"))}};
}

Stages DienStages(const RankerScratch& of_row, const SafetensorsFile& /*weights*/,
                  const Widths& widths) {
  const auto& scratch = static_cast<const DienScratch&>(of_row);
  return {{"user.sum", scratch.sum},
          {"user.interests", First(scratch.gru.states, scratch.length * scratch.gru.reset.size())},
          {"attention", First(scratch.attention.attention, scratch.length)},
          {"state", First(scratch.augru.state, widths("state"))}};
}

Stages SlirecStages(const RankerScratch& of_row, const SafetensorsFile& /*weights*/,
                    const Widths& widths) {
  const auto& scratch = static_cast<const SlirecScratch&>(of_row);
  const size_t n = scratch.length;
  return {{"user.time_last", First(scratch.last, n)},
          {"user.time_to_now", First(scratch.to_now, n)},
          {"user.long", scratch.long_term},
          {"user.states", First(scratch.states, n * widths("user.long"))},
          {"attention", First(scratch.attention.attention, n)},
          {"short", First(scratch.short_term, widths("short"))},
          {"alpha", {scratch.blend[0]}}};
}

struct GoldenKind {
  const char* name;
  StageReader stages;
};

const GoldenKind kGoldenKinds[] = {
    {"caser", CaserStages},     {"dien", DienStages}, {"din", DinStages},
    {"gru4rec", Gru4recStages}, {"ncf", NcfStages},   {"slirec", SlirecStages},
};

// One set of vectors.
class GoldenSet {
 public:
  GoldenSet(const std::string& directory, const std::string& name)
      : cases_(OpenGolden(directory, name)),
        weights_(OpenGolden(directory, cases_.metadata().at("weights"))) {
    for (const auto& [stage, tensor] : cases_.tensors()) {
      if (tensor.dtype != DType::kF64) continue;
      expected_[stage] = GoldenDoubles(cases_, stage);
      widths_.of_stage[stage] = expected_[stage].size() / tensor.shape[0];
    }
    if (!cases_.tensors().contains("in.history")) return;
    histories_of_row_ = GoldenIntegers<size_t>(cases_, "in.history_index");
    const auto items = GoldenIntegers<uint32_t>(cases_, "in.history");
    size_t begin = 0;
    for (const size_t length : GoldenIntegers<size_t>(cases_, "in.history_length")) {
      histories_.emplace_back(items.begin() + static_cast<ptrdiff_t>(begin),
                              items.begin() + static_cast<ptrdiff_t>(begin + length));
      std::reverse(histories_.back().begin(), histories_.back().end());  // newest first
      begin += length;
    }
    if (cases_.tensors().contains("in.history_time_us")) ReadTimes();
    if (begin != items.size()) throw std::runtime_error("in.history_length does not add up");
  }

  size_t rows() const { return users_.size(); }
  bool HasScore(size_t row) const { return has_score_[row] != 0; }

  std::unique_ptr<Ranker> Load(const std::string& precision) const {
    Manifest::Model model{.name = "m", .kind = "", .file = "f", .options = cases_.metadata()};
    model.kind = model.options.at("kind");
    model.options.erase("kind");
    model.options.erase("weights");
    model.options["precision"] = precision;
    auto ranker = MakeRanker(model, WithCategories());
    if (!ranker.ok()) throw std::runtime_error(std::string(ranker.status().message()));
    return *std::move(ranker);
  }

  // The logit; nothing where the user has no score.
  std::optional<float> Score(size_t row, const Ranker& ranker, RankerScratch& scratch) const {
    const RankerShape shape = ranker.shape();
    UserFeatures user;
    user.row = shape.user_rows > 0 ? users_[row] : 0;
    if (shape.recent_items > 0) {
      const auto& history = histories_.at(histories_of_row_[row]);
      user.recent_items = std::span(history).first(std::min(history.size(), shape.recent_items));
      if (shape.recent_times > 0) {
        const auto& times = times_.at(histories_of_row_[row]);
        user.recent_times_us = std::span(times).first(std::min(times.size(), shape.recent_times));
        user.first_time_us = times.empty() ? 0 : times.back();
        user.now_us = now_.at(histories_of_row_[row]);
      }
    }
    if (!ranker.PrepareUser(user, scratch).ok()) return std::nullopt;
    float logit = 0;
    ranker.ScoreItems({.rows = std::span(candidates_).subspan(row, 1)}, scratch,
                      std::span(&logit, 1));
    return logit;
  }

  void ExpectStages(size_t row, Stages actual, float logit) const {
    actual["logit"] = {logit};
    for (const auto& [stage, expected] : expected_) {
      ASSERT_TRUE(actual.contains(stage)) << "the stage " << stage << " is not compared";
      const bool is_of_history = stage.starts_with("user.");
      const size_t width = widths_(stage);
      Floats& values = actual[stage];
      ASSERT_LE(values.size(), width) << stage;
      values.resize(width, kBeyond);
      const size_t begin = (is_of_history ? histories_of_row_[row] : row) * width;
      for (size_t i = 0; i < width; ++i) {
        const double want = expected[begin + i];
        const double tolerance =
            stage.starts_with("user.time") ? kGoldenTimeTolerance : kGoldenTolerance;
        ASSERT_NEAR(values[i], want, tolerance * (1 + std::abs(want)))
            << stage << ", row " << row << ", element " << i;
      }
    }
    ASSERT_NEAR(Probability(logit), Probability(ExpectedLogit(row)), kGoldenProbabilityTolerance)
        << row;
  }

  double ExpectedLogit(size_t row) const { return expected_.at("logit")[row]; }
  const SafetensorsFile& weights() const { return weights_; }
  const Widths& widths() const { return widths_; }

 private:
  void ReadTimes() {
    now_ = GoldenIntegers<int64_t>(cases_, "in.now_us");
    const auto times = GoldenIntegers<int64_t>(cases_, "in.history_time_us");
    size_t begin = 0;
    for (const auto& history : histories_) {
      times_.emplace_back(times.begin() + static_cast<ptrdiff_t>(begin),
                          times.begin() + static_cast<ptrdiff_t>(begin + history.size()));
      std::reverse(times_.back().begin(), times_.back().end());
      begin += history.size();
    }
  }

  static double Probability(double logit) { return 1 / (1 + std::exp(-logit)); }

  // The weights with the categories of the items, which the cases hold.
  SafetensorsFile WithCategories() const {
    if (!cases_.tensors().contains("in.category_of_item")) return weights_;
    SafetensorsWriter writer;
    for (const auto& [name, tensor] : weights_.tensors()) {
      const std::vector<double> values = GoldenDoubles(weights_, name);
      writer.Add(name, tensor.shape, Floats(values.begin(), values.end()));
    }
    const auto categories = GoldenIntegers<int64_t>(cases_, "in.category_of_item");
    writer.Add("category_of_item", {categories.size()}, categories);
    return *SafetensorsFile::Parse(weights_.name(), writer.Bytes());
  }

  const SafetensorsFile cases_;
  const SafetensorsFile weights_;
  const std::vector<uint32_t> users_ = GoldenIntegers<uint32_t>(cases_, "in.user");
  const std::vector<uint32_t> candidates_ = GoldenIntegers<uint32_t>(cases_, "in.candidate");
  const std::vector<int> has_score_ = GoldenIntegers<int>(cases_, "has_score");
  std::vector<size_t> histories_of_row_;
  std::vector<std::vector<uint32_t>> histories_;  // newest first, whole
  std::vector<std::vector<int64_t>> times_;       // likewise
  std::vector<int64_t> now_;                      // by history
  std::map<std::string, std::vector<double>> expected_;
  Widths widths_;
};

class SequenceGoldenTest : public testing::TestWithParam<GoldenKind> {
 protected:
  static GoldenSet Open(const std::string& part) {
    return GoldenSet(GoldenFolder(GetParam().name), part + "cases.safetensors");
  }
};

TEST_P(SequenceGoldenTest, EveryStageOfEveryRowAgrees) {
  for (const std::string& part : GoldenParts(GetParam().name)) {
    SCOPED_TRACE(part);
    const GoldenSet set = Open(part);
    const auto ranker = set.Load("f32");
    const auto scratch = ranker->NewScratch(1);
    size_t scored = 0;
    for (size_t row = 0; row < set.rows(); ++row) {
      const std::optional<float> logit = set.Score(row, *ranker, *scratch);
      ASSERT_EQ(logit.has_value(), set.HasScore(row)) << "row " << row;
      if (!logit.has_value()) continue;
      ++scored;
      set.ExpectStages(row, GetParam().stages(*scratch, set.weights(), set.widths()), *logit);
      if (HasFatalFailure()) return;
    }
    ASSERT_GT(scored, 0u);
    fmt::print("{}/{} {} rows agree at {} stages, {} have no score\n", GetParam().name, part,
               scored, set.widths().of_stage.size(), set.rows() - scored);
  }
}

TEST_P(SequenceGoldenTest, LogitsInBf16AreWithinItsBound) {
  for (const std::string& part : GoldenParts(GetParam().name)) {
    SCOPED_TRACE(part);
    const GoldenSet set = Open(part);
    const auto ranker = set.Load("bf16");
    const auto scratch = ranker->NewScratch(1);
    double worst = 0;
    for (size_t row = 0; row < set.rows(); ++row) {
      const std::optional<float> logit = set.Score(row, *ranker, *scratch);
      if (!logit.has_value()) continue;
      const double expected = set.ExpectedLogit(row);
      worst = std::max(worst, std::abs(*logit - expected) / (1 + std::abs(expected)));
    }
    EXPECT_LE(worst, kSequenceBf16Bound);
    fmt::print("{}/{} {}: at most {:.4f} (1 + |logit|) from the exact logits\n", GetParam().name,
               part, ranker->arithmetic(), worst);
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, SequenceGoldenTest, testing::ValuesIn(kGoldenKinds),
                         [](const auto& named) { return std::string(named.param.name); });

}  // namespace
}  // namespace groundswell
