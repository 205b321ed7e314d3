// What a checkpoint of a sequence ranker must be, for every form of them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <ostream>

#include "models/snapshot/registry.h"
#include "tests/support/sequence_fixture.h"

namespace groundswell {

void PrintTo(const SequenceModel& model, std::ostream* out) { *out << model.Name(); }

namespace {

using testing::HasSubstr;

struct SequenceCheckpoint {
  CheckpointTensors tensors;
  std::vector<int64_t> categories;
};

class SequenceWeightsTest : public testing::TestWithParam<SequenceModel> {
 protected:
  static SequenceCheckpoint Good() {
    std::mt19937_64 random(7);
    return {RandomSequenceTensors(GetParam(), {}, random), SequenceCategories({})};
  }
  static SequenceOptions GoodOptions() { return WholeSequenceOptions(GetParam(), {}); }
  static SequenceOptions With(const std::string& name, const std::string& value) {
    SequenceOptions options = GoodOptions();
    options[name] = value;
    return options;
  }

  static absl::StatusOr<std::unique_ptr<Ranker>> Make(const SequenceCheckpoint& checkpoint,
                                                      const SequenceOptions& options) {
    return MakeRanker({.name = "mine", .kind = GetParam().kind, .file = "f", .options = options},
                      MakeCheckpointFile(checkpoint.tensors, checkpoint.categories));
  }

  static void ExpectRefused(const SequenceCheckpoint& checkpoint, const SequenceOptions& options,
                            const std::string& words) {
    const absl::Status status = Make(checkpoint, options).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(words));
  }
};

TEST_P(SequenceWeightsTest, EveryTensorIsNeeded) {
  for (const auto& [name, tensor] : Good().tensors) {
    if (name == "output.bias" && GetParam().kind == "ncf") continue;  // the one that may be absent
    SequenceCheckpoint checkpoint = Good();
    checkpoint.tensors.erase(name);
    EXPECT_EQ(Make(checkpoint, GoodOptions()).status().code(), absl::StatusCode::kInvalidArgument)
        << name;
  }
}

TEST_P(SequenceWeightsTest, AMissingTensorIsNamed) {
  const bool is_ncf = GetParam().kind == "ncf";
  for (const std::string name :
       {is_ncf ? "item_gmf.weight" : "item_embed.weight", is_ncf ? "mlp.0.bias" : ""}) {
    if (name.empty()) continue;
    SequenceCheckpoint checkpoint = Good();
    checkpoint.tensors.erase(name);
    ExpectRefused(checkpoint, GoodOptions(), "\"" + name + "\"");
  }
}

TEST_P(SequenceWeightsTest, EveryShapeIsChecked) {
  for (const auto& [name, tensor] : Good().tensors) {
    SequenceCheckpoint checkpoint = Good();
    CheckpointTensor& spoiled = checkpoint.tensors[name];
    spoiled.shape.back() += 1;
    spoiled.values.resize(spoiled.values.size() + spoiled.values.size() / tensor.shape.back());
    EXPECT_EQ(Make(checkpoint, GoodOptions()).status().code(), absl::StatusCode::kInvalidArgument)
        << name;
    spoiled.shape.insert(spoiled.shape.begin(), 1);
    EXPECT_EQ(Make(checkpoint, GoodOptions()).status().code(), absl::StatusCode::kInvalidArgument)
        << name;
  }
}

TEST_P(SequenceWeightsTest, EveryWeightMustBeFinite) {
  for (const auto& [name, tensor] : Good().tensors) {
    for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
      SequenceCheckpoint checkpoint = Good();
      checkpoint.tensors[name].values.back() = bad;
      ExpectRefused(checkpoint, GoodOptions(), name);
    }
  }
}

TEST_P(SequenceWeightsTest, BatchNormalisationMustBeFolded) {
  for (const std::string name :
       {"head.bn1.running_mean", "head.batch_normalization.gamma", "fcn/bn1/moving_variance"}) {
    SequenceCheckpoint checkpoint = Good();
    checkpoint.tensors[name] = {.shape = {2}, .values = {1, 1}};
    ExpectRefused(checkpoint, GoodOptions(), "Fold it into");
  }
}

TEST_P(SequenceWeightsTest, TensorsOfAnotherModelAreRefused) {
  SequenceCheckpoint checkpoint = Good();
  checkpoint.tensors["auxiliary.weight"] = {.shape = {2, 2}, .values = {1, 1, 1, 1}};
  ExpectRefused(checkpoint, GoodOptions(), "auxiliary.weight");
  for (const SequenceModel& other : SequenceModels()) {
    std::mt19937_64 random(7);
    checkpoint.tensors = RandomSequenceTensors(other, {}, random);
    bool is_same = checkpoint.tensors.size() == Good().tensors.size();
    for (const auto& [name, tensor] : Good().tensors) {
      is_same = is_same && checkpoint.tensors.contains(name) &&
                checkpoint.tensors.at(name).shape == tensor.shape;
    }
    if (is_same) continue;
    EXPECT_FALSE(Make(checkpoint, GoodOptions()).ok()) << other.Name();
  }
}

TEST_P(SequenceWeightsTest, CategoriesMustBeRowsOfTheirTable) {
  if (!Good().tensors.contains("cate_embed.weight")) GTEST_SKIP() << "it has no categories";
  for (const auto& [item, category] :
       {std::pair{size_t{3}, int64_t{4}}, std::pair{size_t{8}, int64_t{-1}},
        std::pair{size_t{0}, int64_t{1}}}) {
    SequenceCheckpoint checkpoint = Good();
    checkpoint.categories[item] = category;
    ExpectRefused(checkpoint, GoodOptions(), "category_of_item");
  }
  SequenceCheckpoint checkpoint = Good();
  checkpoint.categories.pop_back();
  ExpectRefused(checkpoint, GoodOptions(), "category_of_item");
}

TEST_P(SequenceWeightsTest, DiceNeedsStatisticsThatDivide) {
  for (const auto& [name, tensor] : Good().tensors) {
    if (!name.ends_with(".std")) continue;
    for (const float bad : {0.0f, 1e-39f}) {
      SequenceCheckpoint checkpoint = Good();
      checkpoint.tensors[name].values[1] = bad;
      ExpectRefused(checkpoint, GoodOptions(), name);
    }
  }
}

TEST_P(SequenceWeightsTest, OptionsAreChecked) {
  ExpectRefused(Good(), With("precision", "int8"), "precision");
  ExpectRefused(Good(), With("clusters", "3"), "\"clusters\"");
  for (const auto& [name, value] : GetParam().options) {
    ExpectRefused(Good(), With(name, "something"), "\"" + name + "\"");
  }
  if (!GetParam().ReadsHistory()) {
    ExpectRefused(Good(), With("variant", "original"), "\"variant\"");
    ExpectRefused(Good(), With("max_history", "6"), "\"max_history\"");
    return;
  }
  ExpectRefused(Good(), With("variant", "authors"), "\"deeprec\"");
  if (GetParam().kind == "slirec") {
    ExpectRefused(Good(), With("variant", "original"), "\"variant\"");
    for (const char* bad : {"", "0", "-1", "day", "inf", "nan", "1e-400", "1e-300", "2e9"}) {
      ExpectRefused(Good(), With("time_unit_s", bad), "a decimal number from 1e-06 to 1000000000");
    }
  }
  for (const char* bad : {"", "0", "-1", "1001", "2.5", "ten", "5 "}) {
    ExpectRefused(Good(), With("max_history", bad), "an integer from 1 to 1000");
  }
  SequenceOptions none = GoodOptions();
  none.erase("max_history");
  ExpectRefused(Good(), none, "\"max_history\"");
}

TEST_P(SequenceWeightsTest, OptionsOfAnotherVariantAreRefused) {
  SequenceOptions known;
  for (const SequenceModel& model : SequenceModels()) {
    if (model.kind == GetParam().kind) known.insert(model.options.begin(), model.options.end());
  }
  for (const auto& [name, value] : SequenceOptions{{"padding", "masked"},
                                                   {"reset", "after"},
                                                   {"first_layer", "none"},
                                                   {"time_last", "previous_action"},
                                                   {"time_unit_s", "1"}}) {
    if (!known.contains(name)) ExpectRefused(Good(), With(name, value), "\"" + name + "\"");
  }
}

TEST_P(SequenceWeightsTest, TheRegistryServesTheKind) {
  const auto ranker = Make(Good(), GoodOptions());
  ASSERT_TRUE(ranker.ok()) << ranker.status();
  EXPECT_EQ((*ranker)->name(), "mine");
  const RankerShape shape = (*ranker)->shape();
  EXPECT_EQ(shape.item_rows, 9u);
  EXPECT_EQ(shape.recent_items > 0, GetParam().ReadsHistory());
  EXPECT_EQ(shape.user_clusters + shape.item_clusters + shape.recent_users, 0u);
  const auto scratch = (*ranker)->NewScratch(4);
  const std::vector<uint32_t> items{1, 2, 3};
  const std::vector<int64_t> times{90, 80, 70};
  const UserFeatures user{
      .row = 2, .recent_items = items, .recent_times_us = times, .first_time_us = 70, .now_us = 95};
  ASSERT_TRUE((*ranker)->PrepareUser(user, *scratch).ok());
  std::vector<float> logits(3, std::nanf(""));
  (*ranker)->ScoreItems({.rows = items}, *scratch, logits);
  for (const float logit : logits) EXPECT_TRUE(std::isfinite(logit));
}

INSTANTIATE_TEST_SUITE_P(Models, SequenceWeightsTest, testing::ValuesIn(SequenceModels()),
                         [](const auto& named) { return named.param.Name(); });

}  // namespace
}  // namespace groundswell
