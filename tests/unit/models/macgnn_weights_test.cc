#include <gtest/gtest.h>

#include <limits>

#include "models/macgnn/weights.h"
#include "tests/support/macgnn_fixture.h"

namespace groundswell {
namespace {

using Tensors = std::map<std::string, MacgnnTensor>;
using Options = std::map<std::string, std::string>;

const Options kGood{{"attention", "none"}, {"tau", "1.9"}, {"recent_len", "3"}};

void ExpectMacgnnRefused(const Tensors& tensors, const Options& options, const std::string& what) {
  const absl::Status status = LoadMacgnnWeights(MakeMacgnnFile(tensors), options).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << what << ": " << status;
  EXPECT_NE(std::string(status.message()).find(what), std::string::npos) << status;
}

TEST(MacgnnWeightsTest, EveryMissingTensorIsNamed) {
  for (const auto& [name, tensor] : SmallMacgnnTensors()) {
    Tensors tensors = SmallMacgnnTensors();
    tensors.erase(name);
    ExpectMacgnnRefused(tensors, kGood, name);
  }
}

TEST(MacgnnWeightsTest, EveryWrongShapeIsNamed) {
  for (const auto& [name, tensor] : SmallMacgnnTensors()) {
    Tensors tensors = SmallMacgnnTensors();
    MacgnnTensor& spoiled = tensors[name];
    spoiled.shape.back() += 1;
    size_t size = 1;
    for (const size_t dimension : spoiled.shape) size *= dimension;
    spoiled.values.resize(size, 0.5f);
    EXPECT_FALSE(LoadMacgnnWeights(MakeMacgnnFile(tensors), kGood).ok()) << name;
  }
}

TEST(MacgnnWeightsTest, DiceWithoutFrozenStatisticsSaysHowToFreezeThem) {
  Tensors tensors = SmallMacgnnTensors();
  tensors.erase("mlp.3.std");
  ExpectMacgnnRefused(tensors, kGood, "Freeze them");
}

TEST(MacgnnWeightsTest, AStandardDeviationOfZeroIsRefused) {
  Tensors tensors = SmallMacgnnTensors();
  tensors["mlp.1.std"].values[3] = 0;
  ExpectMacgnnRefused(tensors, kGood, "mlp.1.std");
}

TEST(MacgnnWeightsTest, NanWeightsAreRefused) {
  Tensors tensors = SmallMacgnnTensors();
  tensors["mlp.2.weight"].values[7] = std::numeric_limits<float>::quiet_NaN();
  ExpectMacgnnRefused(tensors, kGood, "mlp.2.weight");
}

TEST(MacgnnWeightsTest, BatchNormalisationMustBeFolded) {
  Tensors tensors = SmallMacgnnTensors();
  tensors["mlp.1.running_mean"] = {{1}, {1}};
  ExpectMacgnnRefused(tensors, kGood, "Fold it into the layer");
}

TEST(MacgnnWeightsTest, TensorsOfAnotherModelAreRefused) {
  Tensors tensors = SmallMacgnnTensors();
  tensors["augru.gates.weight"] = {{1}, {1}};
  ExpectMacgnnRefused(tensors, kGood, "augru.gates.weight");
}

TEST(MacgnnWeightsTest, BadOptionsAreNamed) {
  const Tensors tensors = SmallMacgnnTensors();
  for (const auto& [option, value] :
       std::vector<std::pair<std::string, std::string>>{{"attention", "some"},
                                                        {"attention", ""},
                                                        {"tau", "0"},
                                                        {"tau", "nan"},
                                                        {"tau", "1.9x"},
                                                        {"tau", "-1"},
                                                        {"recent_len", "0"},
                                                        {"recent_len", "1001"},
                                                        {"recent_len", "2.5"},
                                                        {"precision", "f16"},
                                                        {"temperature", "1"}}) {
    Options options = kGood;
    options[option] = value;
    ExpectMacgnnRefused(tensors, options, option);
  }
  for (const auto& [option, value] : kGood) {
    Options options = kGood;
    options.erase(option);
    ExpectMacgnnRefused(tensors, options, option);
  }
}

TEST(MacgnnWeightsTest, TheAuthorsUnusedCategoryTableIsAccepted) {
  Tensors tensors = SmallMacgnnTensors();
  tensors["cate_embed.weight"] = {{1}, {1}};
  const auto weights = LoadMacgnnWeights(MakeMacgnnFile(tensors), kGood);
  ASSERT_TRUE(weights.ok()) << weights.status();
  EXPECT_EQ(weights->shape.user_clusters, 3u);
  EXPECT_EQ(weights->shape.item_clusters, 5u);
  EXPECT_EQ(weights->shape.concat(), 56u);
}

}  // namespace
}  // namespace groundswell
