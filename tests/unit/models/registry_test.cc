// What a model's file must be, whatever its kind: complete, folded, of any type of float.
#include "models/snapshot/registry.h"

#include <gtest/gtest.h>

#include <bit>

#include "tests/support/macgnn_fixture.h"

namespace groundswell {
namespace {

using Tensors = std::map<std::string, MacgnnTensor>;

const Manifest::Model kMacgnn{
    .name = "m",
    .kind = "macgnn",
    .file = "macgnn.safetensors",
    .options = {{"attention", "neighbours"}, {"tau", "1.9"}, {"recent_len", "2"}}};

// The logit of one user and item, which every tensor of the model enters.
float LogitOfFile(const SafetensorsFile& file) {
  const auto ranker = MakeRanker(kMacgnn, file);
  if (!ranker.ok()) {
    ADD_FAILURE() << ranker.status();
    return 0;
  }
  const auto scratch = (*ranker)->NewScratch(1);
  const std::vector<int64_t> p{3, 0, 9};
  const std::vector<int64_t> q{1, 0, 0, 7, 2};
  const std::vector<uint32_t> recent{1, 2};
  EXPECT_TRUE(
      (*ranker)
          ->PrepareUser({.row = 2, .one_hop = q, .two_hop = p, .recent_items = recent}, *scratch)
          .ok());
  const std::vector<uint32_t> item{3};
  std::vector<float> logit(1);
  (*ranker)->ScoreItems({.rows = item, .one_hop = p, .two_hop = q, .recent_users = recent},
                        *scratch, logit);
  return logit[0];
}

// Every value as a bfloat16 has it, so that the other types hold it exactly too.
Tensors CoarseTensors() {
  Tensors tensors = SmallMacgnnTensors();
  for (auto& [name, tensor] : tensors) {
    for (float& value : tensor.values) {
      value = std::bit_cast<float>(std::bit_cast<uint32_t>(value) & 0xffff0000u);
    }
  }
  return tensors;
}

TEST(RegistryTest, AModelScoresAlikeInEveryTypeThatHoldsItsWeights) {
  const Tensors tensors = CoarseTensors();
  SafetensorsWriter narrow;
  SafetensorsWriter wide;
  for (const auto& [name, tensor] : tensors) {
    std::vector<uint16_t> bits;
    for (const float value : tensor.values) {
      bits.push_back(static_cast<uint16_t>(std::bit_cast<uint32_t>(value) >> 16));
    }
    narrow.AddNarrow(name, "BF16", tensor.shape, bits);
    wide.Add(name, tensor.shape, std::vector<double>(tensor.values.begin(), tensor.values.end()));
  }
  const float expected = LogitOfFile(MakeMacgnnFile(tensors));
  EXPECT_EQ(LogitOfFile(*SafetensorsFile::Parse("bf16", narrow.Bytes())), expected);
  EXPECT_EQ(LogitOfFile(*SafetensorsFile::Parse("f64", wide.Bytes())), expected);
}

TEST(RegistryTest, AModelOfIntegersIsRefused) {
  Tensors tensors = SmallMacgnnTensors();
  tensors.erase("mlp.4.bias");
  SafetensorsWriter writer;
  for (const auto& [name, tensor] : tensors) writer.Add(name, tensor.shape, tensor.values);
  writer.Add("mlp.4.bias", {1}, std::vector<int32_t>{1});
  const absl::Status status =
      MakeRanker(kMacgnn, *SafetensorsFile::Parse("m", writer.Bytes())).status();
  EXPECT_NE(std::string(status.message()).find("\"mlp.4.bias\": holds integers"), std::string::npos)
      << status;
}

TEST(RegistryTest, UnfoldedBatchNormalisationSaysHowToFoldIt) {
  for (const char* name : {"head.1.running_mean", "head.1.running_var",
                           "batch_normalization/moving_mean", "bn/moving_variance"}) {
    Tensors tensors = SmallMacgnnTensors();
    tensors[name] = {{1}, {1}};
    for (const char* kind : {"macgnn", "dot"}) {
      Manifest::Model model = kMacgnn;
      model.kind = kind;
      const absl::Status status = MakeRanker(model, MakeMacgnnFile(tensors)).status();
      EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
      EXPECT_NE(std::string(status.message()).find(name), std::string::npos) << status;
      EXPECT_NE(std::string(status.message()).find("Fold it"), std::string::npos) << status;
    }
  }
}

}  // namespace
}  // namespace groundswell
