// A snapshot's examples: models that give the exporter's logits pass, and anything else is refused
// with a message that says what would be right.
#include "models/snapshot/examples.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <utility>

#include "tests/support/examples_fixture.h"
#include "tests/support/sequence_fixture.h"

namespace groundswell {
namespace {

using testing::HasSubstr;

constexpr size_t kExampleRows = 60;

class ExamplesTest : public testing::Test {
 protected:
  ExamplesTest() {
    for (const ExampleModel& model : ExampleModels()) {
      manifest_.models.push_back(model.model);
      rankers_.push_back(model.Make());
      std::vector<float>& logits = tensors_.logits["logit." + model.model.name];
      for (size_t row = 0; row < kExampleRows; ++row) {
        logits.push_back(LogitOf(*rankers_.back(), tensors_, row));
      }
    }
  }

  absl::StatusOr<ExampleAgreement> Check() {
    return CheckExamples(tensors_.File(), manifest_, rankers_);
  }

  void ExpectRefused(const std::vector<std::string>& says) {
    const absl::Status status = Check().status();
    ASSERT_FALSE(status.ok()) << says[0];
    EXPECT_THAT(std::string(status.message()), HasSubstr(kExamplesFile));
    for (const std::string& what : says) {
      EXPECT_THAT(std::string(status.message()), HasSubstr(what));
    }
  }

  // Only the models of this kind are left.
  void KeepKind(const std::string& kind) {
    for (size_t m = manifest_.models.size(); m-- > 0;) {
      if (manifest_.models[m].kind == kind) continue;
      tensors_.logits.erase("logit." + manifest_.models[m].name);
      manifest_.models.erase(manifest_.models.begin() + static_cast<std::ptrdiff_t>(m));
      rankers_.erase(rankers_.begin() + static_cast<std::ptrdiff_t>(m));
    }
  }

  std::vector<int32_t>& Feature(const std::string& name) { return tensors_.features[name].second; }

  Manifest manifest_ = ExampleManifest();
  std::vector<std::unique_ptr<Ranker>> rankers_;
  ExampleTensors tensors_ = RandomExamples(kExampleRows);
};

TEST_F(ExamplesTest, ModelsThatGiveTheExportersLogitsPass) {
  const auto agreement = Check();
  ASSERT_TRUE(agreement.ok()) << agreement.status();
  EXPECT_EQ(agreement->rows, kExampleRows);
  ASSERT_EQ(agreement->max_abs_error.size(), 5u);
  for (size_t m = 0; m < 5; ++m) {
    EXPECT_EQ(agreement->max_abs_error[m].first, manifest_.models[m].name);
    EXPECT_EQ(agreement->max_abs_error[m].second, 0.0);
  }
}

TEST_F(ExamplesTest, EveryTensorOfAModelIsProved) {
  const std::vector<ExampleModel> models = ExampleModels();
  for (size_t m = 0; m < models.size(); ++m) {
    for (const auto& [name, tensor] : models[m].tensors) {
      const bool is_without_effect =
          // Q and K of "none", and what cancels in SURGE; see docs/models.md.
          (models[m].model.name == "macgnn-none" && name.find("_w.") != std::string::npos &&
           name.find("V_w") == std::string::npos) ||
          (models[m].model.kind == "surge" && name.starts_with("cluster")) ||
          // The cosines only choose edges.
          name == "metric.weight" ||
          // A softmax does not see what all its arguments share.
          (models[m].model.kind == "surge" && !name.starts_with("head") &&
           (name.ends_with("mlp.4.bias") || name.ends_with("mlp.2.bias")));
      if (is_without_effect) continue;
      ExampleModel spoiled = models[m];
      for (float& value : spoiled.tensors[name].values) value = value * 1.5f + 0.5f;
      auto good = std::exchange(rankers_[m], spoiled.Make());
      SCOPED_TRACE(spoiled.model.name + " " + name);
      ExpectRefused({"model \"" + spoiled.model.name + "\"", "of 60 rows", "trainer examples"});
      rankers_[m] = std::move(good);
    }
  }
}

TEST_F(ExamplesTest, OneWeightIsEnough) {
  const std::vector<ExampleModel> models = ExampleModels();
  for (size_t m = 0; m < models.size(); ++m) {
    ExampleModel spoiled = models[m];
    const char* name = spoiled.model.kind == "dot"     ? "item"
                       : spoiled.model.kind == "surge" ? "head.4.bias"
                                                       : "mlp.4.bias";
    spoiled.tensors[name].values[0] += 0.01f;
    auto good = std::exchange(rankers_[m], spoiled.Make());
    ExpectRefused({"model \"" + spoiled.model.name + "\""});
    rankers_[m] = std::move(good);
  }
}

TEST_F(ExamplesTest, TheWorstRowIsNamedWithBothLogits) {
  tensors_.logits["logit.dot"].assign(kExampleRows, 0.0f);
  Feature("user").assign(kExampleRows, 1);
  KeepKind("dot");
  for (size_t row = 0; row < kExampleRows; ++row) {
    tensors_.logits["logit.dot"][row] = LogitOf(*rankers_[0], tensors_, row);
  }
  const float right = tensors_.logits["logit.dot"][7];
  tensors_.logits["logit.dot"][3] += 0.5f;
  tensors_.logits["logit.dot"][7] = right + 100.0f;
  ExpectRefused({fmt::format("row 7 the logit {}, the exporter's is {}", right, right + 100.0f),
                 "2 of 60 rows"});
}

TEST_F(ExamplesTest, TheBoundIsAbsoluteAndRelative) {
  KeepKind("dot");
  std::vector<float>& logits = tensors_.logits["logit.dot"];
  const std::vector<float> right = logits;
  const auto moved_by = [&](double tolerances) {
    for (size_t row = 0; row < kExampleRows; ++row) {
      const double bound = kExampleTolerance * (1 + std::abs(double{right[row]}));
      logits[row] = static_cast<float>(right[row] + tolerances * bound);
    }
    return Check().ok();
  };
  EXPECT_TRUE(moved_by(0.9));
  EXPECT_FALSE(moved_by(1.1));
  EXPECT_TRUE(moved_by(-0.9));
  EXPECT_FALSE(moved_by(-1.1));
  manifest_.models[0].options["precision"] = "bf16";
  EXPECT_TRUE(moved_by(0.9 * kExampleToleranceBf16 / kExampleTolerance));
  EXPECT_FALSE(moved_by(1.1 * kExampleToleranceBf16 / kExampleTolerance));
}

TEST_F(ExamplesTest, AModelWithoutLogitsIsRefused) {
  tensors_.logits.erase("logit.surge-paper");
  ExpectRefused({"\"surge-paper\" has no logits", "\"logit.surge-paper\" [60] F32"});
}

TEST_F(ExamplesTest, LogitsOfAModelThatIsNotThereAreRefused) {
  tensors_.logits["logit.dott"] = tensors_.logits["logit.dot"];
  ExpectRefused({"\"logit.dott\"", "manifest"});
  tensors_.logits.erase("logit.dott");
  tensors_.features["u3"] = tensors_.features["u1"];
  ExpectRefused({"\"u3\"", "urec"});
}

TEST_F(ExamplesTest, LogitsMustBeFiniteAndOnePerRow) {
  std::vector<float>& logits = tensors_.logits["logit.dot"];
  logits[5] = std::numeric_limits<float>::quiet_NaN();
  ExpectRefused({"\"logit.dot\"", "element 5 is nan"});
  logits.pop_back();
  ExpectRefused({"\"logit.dot\": has shape [59]; [60] is needed"});
}

TEST_F(ExamplesTest, ShapesAreThoseOfTheModels) {
  for (const char* name : {"item", "u1", "u2", "i1", "i2", "urec", "irec"}) {
    auto& [shape, values] = tensors_.features[name];
    const auto good = std::pair(shape, values);
    shape.back() += 1;
    values.resize(shape.size() == 1 ? shape[0] : shape[0] * shape[1]);
    ExpectRefused({"\"" + std::string(name) + "\": has shape"});
    tensors_.features.erase(name);
    ExpectRefused({"\"" + std::string(name) + "\"", "missing"});
    tensors_.features[name] = good;
  }
  EXPECT_TRUE(Check().ok());
}

TEST_F(ExamplesTest, RowsAndCountsMustBeInRange) {
  const struct {
    const char* tensor;
    int32_t value;
    const char* says;
  } cases[] = {{"user", kExampleUsers + 1, "row 2: 6 is no row of an embedding table"},
               {"item", kExampleItems + 1, "it must be 0 to 6"},
               {"item", -1, "row 2: -1 is no row"},
               {"urec", kExampleItems + 1, "it must be 0 to 6"},
               {"irec", kExampleUsers + 1, "it must be 0 to 5"},
               {"u1", -1, "row 2: -1 is no count"},
               {"i2", -7, "row 2: -7 is no count"}};
  for (const auto& [tensor, value, says] : cases) {
    std::vector<int32_t>& values = Feature(tensor);
    int32_t& of_row_2 = values[2 * values.size() / kExampleRows];
    const int32_t good = std::exchange(of_row_2, value);
    ExpectRefused({"tensor \"" + std::string(tensor) + "\"", says});
    of_row_2 = good;
  }
}

TEST_F(ExamplesTest, TheNumberOfRowsIsBounded) {
  tensors_.features["user"] = {{0}, {}};
  ExpectRefused({"has 0 rows; 1 to 10000 are scored"});
  tensors_.features["user"] = {{kExamplesMax + 1}, std::vector<int32_t>(kExamplesMax + 1, 1)};
  ExpectRefused({"has 10001 rows; 1 to 10000 are scored"});
  tensors_.features["user"] = {{kExampleRows, 1}, std::vector<int32_t>(kExampleRows, 1)};
  ExpectRefused({"one dimension"});
  tensors_.features.erase("user");
  ExpectRefused({"needs a tensor \"user\""});
}

TEST_F(ExamplesTest, ARowWithoutAScoreIsRefused) {
  KeepKind("surge");
  for (size_t at = 0; at < kExampleHistory; ++at) Feature("urec")[3 * kExampleHistory + at] = 0;
  ExpectRefused({"\"surge-authors\" has no score for row 3", "history", "leave out rows"});
}

TEST_F(ExamplesTest, WhatNoModelReadsMayBeLeftOut) {
  KeepKind("dot");
  for (const char* name : {"u1", "u2", "i1", "i2", "urec", "irec"}) tensors_.features.erase(name);
  EXPECT_TRUE(Check().ok()) << Check().status();
}

// A model that reads times, of one item more than of the others' history.
class TimedExamplesTest : public testing::Test {
 protected:
  static constexpr size_t kRows = 8, kWidth = 4;

  TimedExamplesTest() {
    std::mt19937_64 random(12);
    const SequenceModel model{"slirec", {{"time_last", "previous_action"}}};
    SequenceSizes sizes;
    sizes.items = kExampleItems + 1;
    sizes.max_history = kWidth - 1;
    sizes.head1 = 20;
    sizes.head2 = 10;
    manifest_.models.push_back({.name = "m",
                                .kind = "slirec",
                                .file = "f",
                                .options = WholeSequenceOptions(model, sizes)});
    rankers_.push_back(*MakeRanker(manifest_.models[0],
                                   MakeCheckpointFile(RandomSequenceTensors(model, sizes, random),
                                                      SequenceCategories(sizes))));
    for (size_t row = 0; row < kRows; ++row) {
      const size_t length = 1 + row % kWidth;
      columns_["user"].push_back(1);
      columns_["item"].push_back(static_cast<int64_t>(1 + row % kExampleItems));
      columns_["unow_us"].push_back(kTime + static_cast<int64_t>(row) * kTimedHour);
      for (size_t at = 0; at < kWidth; ++at) {
        const bool is_there = at < length;
        columns_["urec"].push_back(is_there ? static_cast<int64_t>(1 + (row + at) % 6) : 0);
        columns_["urec_time_us"].push_back(
            is_there ? kTime - static_cast<int64_t>(at * (row + 1)) * kTimedHour : 0);
      }
      columns_["ufirst_time_us"].push_back(columns_["urec_time_us"][row * kWidth + length - 1]);
      logits_.push_back(LogitOfRow(row, length));
    }
  }

  float LogitOfRow(size_t row, size_t length) const {
    const size_t read = std::min(length, kWidth - 1);
    const auto begin = static_cast<std::ptrdiff_t>(row * kWidth);
    const auto& urec = columns_.at("urec");
    const std::vector<uint32_t> items(urec.begin() + begin,
                                      urec.begin() + begin + static_cast<std::ptrdiff_t>(read));
    const UserFeatures user{
        .recent_items = items,
        .recent_times_us = std::span(columns_.at("urec_time_us")).subspan(row * kWidth, length),
        .first_time_us = columns_.at("ufirst_time_us")[row],
        .now_us = columns_.at("unow_us")[row]};
    const auto scratch = rankers_[0]->NewScratch(1);
    EXPECT_TRUE(rankers_[0]->PrepareUser(user, *scratch).ok());
    const uint32_t item[] = {static_cast<uint32_t>(columns_.at("item")[row])};
    float logit = 0;
    rankers_[0]->ScoreItems({.rows = item}, *scratch, std::span(&logit, 1));
    return logit;
  }

  absl::StatusOr<ExampleAgreement> Check() {
    SafetensorsWriter writer;
    for (const auto& [name, values] : columns_) {
      const size_t width = values.size() / kRows;
      writer.Add(name, width == 1 ? std::vector<size_t>{kRows} : std::vector<size_t>{kRows, width},
                 values);
    }
    writer.Add("logit.m", {kRows}, logits_);
    return CheckExamples(*SafetensorsFile::Parse(kExamplesFile, writer.Bytes()), manifest_,
                         rankers_);
  }

  static constexpr int64_t kTime = 1'600'000'000'000'000, kTimedHour = 3'600'000'000;
  Manifest manifest_ = ExampleManifest();
  std::vector<std::unique_ptr<Ranker>> rankers_;
  std::map<std::string, std::vector<int64_t>> columns_;
  std::vector<float> logits_;
};

TEST_F(TimedExamplesTest, TimesAreReadAndProved) {
  EXPECT_TRUE(Check().ok()) << Check().status();
  for (int64_t& now_us : columns_["unow_us"]) now_us += 90 * 24 * kTimedHour;
  EXPECT_THAT(std::string(Check().status().message()), HasSubstr("\"m\" gives row"));
}

TEST_F(TimedExamplesTest, TimesMustBeThereAndBeTimes) {
  for (const std::string name : {"urec_time_us", "ufirst_time_us", "unow_us"}) {
    const std::vector<int64_t> good = columns_[name];
    columns_[name][0] = -1;
    EXPECT_THAT(std::string(Check().status().message()),
                HasSubstr("-1 is no time in microseconds since 1970"))
        << name;
    columns_.erase(name);
    EXPECT_THAT(std::string(Check().status().message()), HasSubstr("\"" + name + "\""));
    columns_[name] = good;
  }
}

TEST_F(ExamplesTest, PeopleAreToldWhatIsProved) {
  EXPECT_THAT(Describe({}), HasSubstr("unproved"));
  EXPECT_EQ(Describe({.rows = 300, .max_abs_error = {{"macgnn", 1.24e-6}, {"dot", 0}}}),
            "proved by 300 examples: macgnn within 1.2e-06, dot within 0");
}

}  // namespace
}  // namespace groundswell
