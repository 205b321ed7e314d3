// A small snapshot's rankers of every kind, and example rows for them, to be spoiled by tests.
#ifndef GROUNDSWELL_TESTS_SUPPORT_EXAMPLES_FIXTURE_H_
#define GROUNDSWELL_TESTS_SUPPORT_EXAMPLES_FIXTURE_H_

#include <map>
#include <memory>
#include <random>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "models/snapshot/examples.h"
#include "models/snapshot/registry.h"
#include "tests/support/macgnn_fixture.h"
#include "tests/support/surge_fixture.h"

namespace groundswell {

// The weights of one model by tensor; all kinds alike.
struct ExampleModel {
  Manifest::Model model;
  std::map<std::string, MacgnnTensor> tensors;
  std::vector<int64_t> categories;  // of SURGE's items

  std::unique_ptr<Ranker> Make() const {
    SafetensorsWriter writer;
    for (const auto& [name, tensor] : tensors) writer.Add(name, tensor.shape, tensor.values);
    if (!categories.empty()) writer.Add("category_of_item", {categories.size()}, categories);
    return *MakeRanker(model, *SafetensorsFile::Parse(model.file, writer.Bytes()));
  }
};

// 5 users, 6 items, P = 3, Q = 5; the longest history is SURGE's, 4.
inline constexpr size_t kExampleUsers = 5, kExampleItems = 6, kExampleP = 3, kExampleQ = 5;
inline constexpr size_t kExampleHistory = 4, kExampleRecentUsers = 2;

inline Manifest ExampleManifest() {
  Manifest manifest;
  manifest.users = kExampleUsers;
  manifest.items = kExampleItems;
  manifest.user_clusters = kExampleP;
  manifest.item_clusters = kExampleQ;
  return manifest;
}

// MacGNN with both attentions, SURGE in both variants and the dot product, by name.
inline std::vector<ExampleModel> ExampleModels() {
  std::vector<ExampleModel> models;
  for (const char* attention : {"none", "neighbours"}) {
    models.push_back(
        {.model = {.name = std::string("macgnn-") + attention,
                   .kind = "macgnn",
                   .file = "macgnn",
                   .options = {{"attention", attention}, {"tau", "1.5"}, {"recent_len", "2"}}},
         .tensors = SmallMacgnnTensors(),
         .categories = {}});
    // Around 0, so that the gates of Dice are neither open nor shut.
    for (auto& [name, tensor] : models.back().tensors) {
      if (!name.ends_with(".weight")) continue;
      for (float& value : tensor.values) value -= 0.5f;
    }
  }
  const SurgeSizes sizes{.items = kExampleItems + 1};
  for (const char* variant : {"authors", "paper"}) {
    std::mt19937_64 random(3);
    ExampleModel surge{.model = {.name = std::string("surge-") + variant,
                                 .kind = "surge",
                                 .file = "surge",
                                 .options = SurgeOptions(variant, kExampleHistory, 2)},
                       .tensors = {},
                       .categories = SurgeCategories(sizes)};
    for (const auto& [name, tensor] : RandomSurgeTensors(variant, sizes, random)) {
      surge.tensors[name] = {tensor.shape, tensor.values};
    }
    models.push_back(std::move(surge));
  }
  std::mt19937_64 random(4);
  std::normal_distribution<float> normal;
  ExampleModel dot{
      .model = {.name = "dot", .kind = "dot", .file = "dot", .options = {}},
      .tensors = {{"user", {{kExampleUsers, 2}, {}}}, {"item", {{kExampleItems, 2}, {}}}},
      .categories = {}};
  for (auto& [name, tensor] : dot.tensors) {
    for (size_t i = 0; i < tensor.shape[0] * 2; ++i) tensor.values.push_back(normal(random));
  }
  models.push_back(std::move(dot));
  return models;
}

// The tensors of an examples.safetensors, before they are written.
struct ExampleTensors {
  std::map<std::string, std::pair<std::vector<size_t>, std::vector<int32_t>>> features;
  std::map<std::string, std::vector<float>> logits;  // by tensor name

  std::shared_ptr<const FileBytes> Bytes() const {
    SafetensorsWriter writer;
    for (const auto& [name, tensor] : features) writer.Add(name, tensor.first, tensor.second);
    for (const auto& [name, values] : logits) writer.Add(name, {values.size()}, values);
    return writer.Bytes();
  }
  SafetensorsFile File() const { return *SafetensorsFile::Parse(kExamplesFile, Bytes()); }
};

// Random features of known users and items, with histories of 1 to kExampleHistory items.
inline ExampleTensors RandomExamples(size_t rows) {
  std::mt19937_64 random(6);
  const auto below = [&](size_t limit) { return static_cast<int32_t>(random() % limit); };
  ExampleTensors tensors;
  const auto fill = [&](const std::string& name, const std::vector<size_t>& shape, auto value) {
    auto& [its_shape, values] = tensors.features[name];
    its_shape = shape;
    const size_t width = shape.size() == 1 ? 1 : shape[1];
    for (size_t i = 0; i < shape[0] * width; ++i) values.push_back(value(i));
  };
  fill("user", {rows}, [&](size_t) { return 1 + below(kExampleUsers); });
  fill("item", {rows}, [&](size_t) { return 1 + below(kExampleItems); });
  for (const char* name : {"u1", "i2"}) {
    fill(name, {rows, kExampleQ}, [&](size_t) { return below(9); });
  }
  for (const char* name : {"u2", "i1"}) {
    fill(name, {rows, kExampleP}, [&](size_t) { return below(9); });
  }
  fill("urec", {rows, kExampleHistory}, [&](size_t i) {
    const size_t row = i / kExampleHistory, at = i % kExampleHistory;
    return at <= row % kExampleHistory ? 1 + below(kExampleItems) : 0;
  });
  fill("irec", {rows, kExampleRecentUsers}, [&](size_t) { return below(kExampleUsers + 1); });
  return tensors;
}

// Row `row` by `ranker`, straight from the tensors: another way to the logits than CheckExamples
// has.
inline float LogitOf(const Ranker& ranker, const ExampleTensors& tensors, size_t row) {
  const auto of_row = [&](const char* name, size_t count) {
    const auto& [shape, values] = tensors.features.at(name);
    const auto begin =
        values.begin() + static_cast<std::ptrdiff_t>(shape.size() == 1 ? row : row * shape[1]);
    return std::vector<int64_t>(begin, begin + static_cast<std::ptrdiff_t>(count));
  };
  const auto rows_of = [&](const char* name, size_t count) {
    const std::vector<int64_t> values = of_row(name, count);
    return std::vector<uint32_t>(values.begin(), values.end());
  };
  const RankerShape shape = ranker.shape();
  std::vector<uint32_t> history = rows_of("urec", shape.recent_items);
  std::erase(history, 0u);  // they are at the end only
  const auto u1 = of_row("u1", shape.item_clusters), u2 = of_row("u2", shape.user_clusters);
  const auto i1 = of_row("i1", shape.user_clusters), i2 = of_row("i2", shape.item_clusters);
  const std::vector<uint32_t> recent_users = rows_of("irec", shape.recent_users);
  const std::vector<uint32_t> item = rows_of("item", 1);
  const uint32_t user = shape.user_rows > 0 ? rows_of("user", 1)[0] : 0;
  const auto scratch = ranker.NewScratch(1);
  const absl::Status prepared = ranker.PrepareUser(
      {.row = user, .one_hop = u1, .two_hop = u2, .recent_items = history}, *scratch);
  if (!prepared.ok()) throw std::runtime_error(prepared.ToString());
  float logit = 0;
  ranker.ScoreItems({.rows = item, .one_hop = i1, .two_hop = i2, .recent_users = recent_users},
                    *scratch, std::span(&logit, 1));
  return logit;
}

}  // namespace groundswell

#endif  // GROUNDSWELL_TESTS_SUPPORT_EXAMPLES_FIXTURE_H_
