#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "models/snapshot/registry.h"
#include "models/surge/weights.h"
#include "tests/support/surge_fixture.h"

namespace groundswell {
namespace {

using Options = std::map<std::string, std::string>;
using testing::HasSubstr;

struct SurgeCheckpoint {
  CheckpointTensors tensors;
  std::vector<int64_t> categories;
};

class SurgeWeightsTest : public testing::TestWithParam<const char*> {
 protected:
  SurgeCheckpoint Good() const {
    std::mt19937_64 random(7);
    return {RandomSurgeTensors(GetParam(), {}, random), SurgeCategories({})};
  }
  Options GoodOptions() const { return SurgeOptions(GetParam(), 6, 3); }

  absl::Status Load(const SurgeCheckpoint& checkpoint, const Options& options) const {
    return LoadSurgeWeights(MakeCheckpointFile(checkpoint.tensors, checkpoint.categories), options)
        .status();
  }

  void ExpectRefused(const SurgeCheckpoint& checkpoint, const Options& options,
                     const std::string& words) const {
    const absl::Status status = Load(checkpoint, options);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(words));
  }
};

TEST_P(SurgeWeightsTest, AGoodCheckpointLoads) {
  EXPECT_TRUE(Load(Good(), GoodOptions()).ok()) << Load(Good(), GoodOptions());
}

TEST_P(SurgeWeightsTest, EveryTensorIsNeeded) {
  for (const auto& [name, tensor] : Good().tensors) {
    SurgeCheckpoint checkpoint = Good();
    checkpoint.tensors.erase(name);
    ExpectRefused(checkpoint, GoodOptions(), name);
  }
}

TEST_P(SurgeWeightsTest, EveryShapeIsChecked) {
  for (const auto& [name, tensor] : Good().tensors) {
    SurgeCheckpoint checkpoint = Good();
    CheckpointTensor& spoiled = checkpoint.tensors[name];
    spoiled.shape.back() += 1;
    spoiled.values.resize(spoiled.values.size() + spoiled.values.size() / tensor.shape.back());
    EXPECT_EQ(Load(checkpoint, GoodOptions()).code(), absl::StatusCode::kInvalidArgument) << name;
    spoiled.shape.insert(spoiled.shape.begin(), 1);
    EXPECT_EQ(Load(checkpoint, GoodOptions()).code(), absl::StatusCode::kInvalidArgument) << name;
  }
}

TEST_P(SurgeWeightsTest, EveryWeightMustBeFinite) {
  for (const auto& [name, tensor] : Good().tensors) {
    for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
      SurgeCheckpoint checkpoint = Good();
      checkpoint.tensors[name].values.back() = bad;
      ExpectRefused(checkpoint, GoodOptions(), name);
    }
  }
}

TEST_P(SurgeWeightsTest, BatchNormalisationMustBeFolded) {
  for (const std::string name :
       {"head.bn1.running_mean", "head.batch_normalization.gamma", "fcn/bn1/moving_variance"}) {
    SurgeCheckpoint checkpoint = Good();
    checkpoint.tensors[name] = {.shape = {2}, .values = {1, 1}};
    ExpectRefused(checkpoint, GoodOptions(), "Fold it into the layer");
  }
}

TEST_P(SurgeWeightsTest, TensorsOfAnotherModelAreRefused) {
  SurgeCheckpoint checkpoint = Good();
  checkpoint.tensors["u_macro_embed.weight"] = {.shape = {2, 2}, .values = {1, 1, 1, 1}};
  ExpectRefused(checkpoint, GoodOptions(), "u_macro_embed.weight");
  const std::string other = std::string(GetParam()) == "paper" ? "authors" : "paper";
  EXPECT_EQ(Load(Good(), SurgeOptions(other, 6, 3)).code(), absl::StatusCode::kInvalidArgument);
}

TEST_P(SurgeWeightsTest, CategoriesMustBeRowsOfTheirTable) {
  for (const auto& [item, category] :
       {std::pair{size_t{3}, int64_t{4}}, std::pair{size_t{8}, int64_t{-1}},
        std::pair{size_t{0}, int64_t{1}}}) {
    SurgeCheckpoint checkpoint = Good();
    checkpoint.categories[item] = category;
    ExpectRefused(checkpoint, GoodOptions(), "category_of_item");
  }
  SurgeCheckpoint checkpoint = Good();
  checkpoint.categories.pop_back();
  ExpectRefused(checkpoint, GoodOptions(), "category_of_item");
}

TEST_P(SurgeWeightsTest, OptionsAreChecked) {
  const auto with = [&](const std::string& name, const std::string& value) {
    Options options = GoodOptions();
    options[name] = value;
    return options;
  };
  for (const char* bad : {"", "0", "-1", "1001", "2.5", "ten", "5 "}) {
    ExpectRefused(Good(), with("max_history", bad), "max_history");
  }
  ExpectRefused(Good(), with("variant", "printed"), "variant");
  ExpectRefused(Good(), with("clusters", "3"), "clusters");
  ExpectRefused(Good(), with("precision", "int8"), "precision");
  if (std::string(GetParam()) == "authors") {
    ExpectRefused(Good(), with("pool_length", "0"), "pool_length");
  } else {
    ExpectRefused(Good(), with("pool_length", "3"), "pool.weight");
  }
  ExpectRefused(Good(), {}, "variant");
}

TEST_P(SurgeWeightsTest, TheRegistryServesTheKind) {
  const SurgeCheckpoint checkpoint = Good();
  const auto ranker =
      MakeRanker({.name = "mine", .kind = "surge", .file = "f", .options = GoodOptions()},
                 MakeCheckpointFile(checkpoint.tensors, checkpoint.categories));
  ASSERT_TRUE(ranker.ok()) << ranker.status();
  EXPECT_EQ((*ranker)->name(), "mine");
  const RankerShape shape = (*ranker)->shape();
  EXPECT_EQ(shape.item_rows, 9u);
  EXPECT_EQ(shape.recent_items, 6u);
  EXPECT_EQ(shape.user_rows + shape.user_clusters + shape.item_clusters + shape.recent_users, 0u);
  const auto scratch = (*ranker)->NewScratch(4);
  EXPECT_EQ((*ranker)->PrepareUser({}, *scratch).code(), absl::StatusCode::kFailedPrecondition);
  const std::vector<uint32_t> items{1, 2, 3};
  ASSERT_TRUE((*ranker)->PrepareUser({.recent_items = items}, *scratch).ok());
  std::vector<float> logits(3, std::nanf(""));
  (*ranker)->ScoreItems({.rows = items}, *scratch, logits);
  for (const float logit : logits) EXPECT_TRUE(std::isfinite(logit));
}

INSTANTIATE_TEST_SUITE_P(Variants, SurgeWeightsTest, testing::Values("authors", "paper"),
                         [](const auto& named) { return std::string(named.param); });

}  // namespace
}  // namespace groundswell
