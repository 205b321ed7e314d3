#include <algorithm>
#include <cmath>

#include "models/files/safetensors.h"
#include "models/macgnn/weights.h"
#include "models/snapshot/registry.h"
#include "models/surge/weights.h"
#include "tests/fuzz/seed_corpus.h"
#include "tests/support/macgnn_fixture.h"
#include "tests/support/surge_fixture.h"

namespace groundswell {

std::vector<std::string> SeedCorpus() {
  SafetensorsWriter small;
  small.Add("a", {2, 2}, std::vector<float>{1, 2, 3, 4});
  small.Add("b", {1}, std::vector<int64_t>{5});
  SafetensorsWriter others;
  others.AddNarrow("h", "F16", {3}, std::vector<uint16_t>{0x3c00, 0x0001, 0xfbff});
  others.AddNarrow("b", "BF16", {2}, std::vector<uint16_t>{0x3f80, 0x8001});
  others.Add("d", {2}, std::vector<double>{1.5, 3e38});
  SafetensorsWriter dot;
  dot.Add("user", {2, 2}, std::vector<double>{1, 2, 3, 4});
  dot.AddNarrow("item", "BF16", {1, 2}, std::vector<uint16_t>{0x3f80, 0x4000});
  SafetensorsWriter macgnn;
  for (const auto& [name, tensor] : SmallMacgnnTensors())
    macgnn.Add(name, tensor.shape, tensor.values);
  std::vector<std::string> seeds{
      std::string(small.Bytes()->text()), std::string(others.Bytes()->text()),
      std::string(dot.Bytes()->text()), std::string(macgnn.Bytes()->text())};
  for (const char* variant : {"authors", "paper"}) {
    std::mt19937_64 random(1);
    const CheckpointTensors tensors = RandomSurgeTensors(variant, {}, random);
    seeds.emplace_back(CheckpointBytes(tensors, SurgeCategories({}))->text());
  }
  return seeds;
}

}  // namespace groundswell

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace groundswell;
  auto bytes = std::make_shared<FileBytes>(size);
  std::copy_n(reinterpret_cast<const std::byte*>(data), size, bytes->mutable_view().begin());
  const auto file = SafetensorsFile::Parse("fuzz", bytes);
  if (!file.ok()) return 0;
  for (const auto& [name, tensor] : file->tensors()) {
    const auto all = bytes->view();
    Require(
        tensor.data.empty() || (tensor.data.data() >= all.data() &&
                                tensor.data.data() + tensor.data.size() <= all.data() + all.size()),
        "a tensor lies within the file");
    if (const auto values = file->Floats(name, tensor.shape); values.ok()) {
      Require(values->size() == tensor.element_count(), "every element becomes one float");
      for (const float value : *values) Require(std::isfinite(value), "floats are finite");
    }
    file->Integers(name, tensor.shape).IgnoreError();
  }
  LoadMacgnnWeights(*file, {{"attention", "none"}, {"tau", "1"}, {"recent_len", "2"}})
      .IgnoreError();
  for (const char* variant : {"authors", "paper"}) {
    const auto surge = LoadSurgeWeights(*file, SurgeOptions(variant, 4, 2));
    if (!surge.ok()) {
      Require(surge.status().code() == absl::StatusCode::kInvalidArgument,
              "a bad checkpoint is an InvalidArgument");
      continue;
    }
    for (const uint32_t category : surge->category_of_item) {
      Require(category < surge->shape.categories, "a category is a row of its table");
    }
  }
  MakeRanker({.name = "dot", .kind = "dot", .file = "fuzz", .options = {}}, *file).IgnoreError();
  return 0;
}
