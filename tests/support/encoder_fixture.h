// A small encoder of every kind, for the snapshot of snapshot_fixture.h: three users, four items,
// vectors of two numbers, three item clusters. And examples that it passes.
#ifndef GROUNDSWELL_TESTS_SUPPORT_ENCODER_FIXTURE_H_
#define GROUNDSWELL_TESTS_SUPPORT_ENCODER_FIXTURE_H_

#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "models/snapshot/encoder_examples.h"
#include "models/snapshot/encoder_registry.h"
#include "tests/support/checkpoint_fixture.h"
#include "tests/support/safetensors_writer.h"

namespace groundswell {

struct FixtureEncoder {
  Manifest::Encoder entry;
  CheckpointTensors tensors;

  SafetensorsFile File() const {
    SafetensorsWriter writer;
    for (const auto& [name, tensor] : tensors) writer.Add(name, tensor.shape, tensor.values);
    return *SafetensorsFile::Parse(entry.file, writer.Bytes());
  }
};

inline TrainedVectors FixtureVectors() {
  static const std::vector<float> users{1, 0, 0, 1, 1, 1};
  static const std::vector<float> items{1, 0, 0, 1, -1, 0, 0, -1};
  return {.dim = 2, .users = users, .items = items};
}

// Tokens of four numbers: with two, a norm leaves nothing but signs.
inline CheckpointTensors FixturePinnerformer() {
  std::mt19937_64 random(3);
  CheckpointTensors tensors;
  const auto add = [&](const std::string& name, const std::vector<size_t>& shape) {
    tensors[name] = RandomTensor(shape, /*is_table=*/false, random);
  };
  const auto add_dense = [&](const std::string& name, size_t out, size_t in) {
    add(name + ".weight", {out, in});
    add(name + ".bias", {out});
  };
  for (const std::string name : {"absolute", "age", "gap"}) {
    tensors["time." + name + ".period"] = {{1}, {30'000}};
    add("time." + name + ".phase", {2, 1});
  }
  add_dense("input", 4, 2 + 1 + 3 * 3);
  add("position.weight", {2, 4});
  for (const std::string name : {"layers.0", "layers.1"}) {
    add(name + ".self_attn.in_proj_weight", {12, 4});
    add(name + ".self_attn.in_proj_bias", {12});
    add_dense(name + ".self_attn.out_proj", 4, 4);
    add_dense(name + ".linear1", 5, 4);
    add_dense(name + ".linear2", 4, 5);
    for (const char* part : {".norm1", ".norm2"}) {
      add(name + part + ".weight", {4});
      add(name + part + ".bias", {4});
    }
  }
  add("output.norm.weight", {4});
  add("output.norm.bias", {4});
  add_dense("output.0", 6, 4);
  add_dense("output.2", 2, 6);
  return tensors;
}

// Of one relation of items and one of entities, with three features.
inline CheckpointTensors FixtureHetero(bool is_per_graph) {
  std::mt19937_64 random(4);
  CheckpointTensors tensors;
  const auto add = [&](const std::string& name, const std::vector<size_t>& shape) {
    tensors[name] = RandomTensor(shape, /*is_table=*/false, random);
  };
  const auto add_dense = [&](const std::string& name, size_t out, size_t in) {
    add(name + ".weight", {out, in});
    add(name + ".bias", {out});
  };
  const auto add_layer = [&](const std::string& name) {
    add(name + ".self_attn.in_proj_weight", {12, 4});
    add(name + ".self_attn.in_proj_bias", {12});
    add_dense(name + ".self_attn.out_proj", 4, 4);
    add_dense(name + ".linear1", 5, 4);
    add_dense(name + ".linear2", 4, 5);
    for (const char* part : {".norm1", ".norm2"}) {
      add(name + part + ".weight", {4});
      add(name + part + ".bias", {4});
    }
  };
  add_dense("self.0", 5, 3);
  add_dense("self.2", 4, 5);
  add_dense("together.mlp.0", 5, 3);
  add_dense("together.mlp.2", 4, 5);
  add("brand.embed.weight", {3, 4});
  for (const std::string name : {"together", "brand"}) {
    add(name + ".gate.weight", {4, 1});
    add(name + ".gate.bias", {4});
    if (!is_per_graph) continue;
    add(name + ".cls", {4});
    add(name + ".position.weight", {name == "brand" ? size_t{3} : size_t{4}, 4});
    add_layer(name + ".layers.0");
  }
  add("cls", {4});
  add("position.weight", {is_per_graph ? size_t{3} : size_t{5}, 4});
  add_layer("layers.0");
  add_dense("output.0", 6, 4);
  add_dense("output.2", 2, 6);
  return tensors;
}

// Two layers over items of three features and users of two.
inline CheckpointTensors FixtureGraphsage(bool is_paper) {
  std::mt19937_64 random(5);
  CheckpointTensors tensors;
  const auto add = [&](const std::string& name, const std::vector<size_t>& shape) {
    tensors[name] = RandomTensor(shape, /*is_table=*/false, random);
    // So that no ReLU hides what is behind it.
    for (float& value : tensors[name].values) value = std::abs(value);
  };
  size_t item = 3, user = 2;
  for (const std::string name : {"layers.0", "layers.1"}) {
    const size_t out = name == "layers.0" ? 4 : is_paper ? 2 : 1;
    add(name + ".item.self.weight", {out, item});
    add(name + ".item.neighbor.weight", {out, user});
    add(name + ".user.self.weight", {out, user});
    add(name + ".user.neighbor.weight", {out, item});
    item = user = is_paper ? out : 2 * out;
  }
  return tensors;
}

// Two layers of two heads, of which the first has biases in its logits.
inline CheckpointTensors FixtureGat() {
  std::mt19937_64 random(3);
  CheckpointTensors tensors;
  const auto add = [&](const std::string& name, const std::vector<size_t>& shape) {
    tensors[name] = RandomTensor(shape, /*is_table=*/true, random);
  };
  add("convs.0.lin.weight", {6, 3});
  add("convs.1.lin.weight", {4, 6});
  add("convs.0.bias", {6});
  add("convs.1.bias", {2});
  add("convs.0.att_bias", {2});
  for (const std::string name : {".att_src", ".att_dst"}) {
    add("convs.0" + name, {1, 2, 3});
    add("convs.1" + name, {1, 2, 2});
  }
  return tensors;
}

inline CheckpointTensors FixturePinsage() {
  std::mt19937_64 random(7);
  CheckpointTensors tensors;
  const auto add_dense = [&](const std::string& name, size_t out, size_t in) {
    tensors[name + ".weight"] = RandomTensor({out, in}, /*is_table=*/false, random);
    tensors[name + ".bias"] = RandomTensor({out}, /*is_table=*/false, random);
  };
  size_t in = 3;
  for (const std::string name : {"convs.0", "convs.1"}) {
    add_dense(name + ".Q", 4, in);
    add_dense(name + ".W", 5, in + 4);
    in = 5;
  }
  add_dense("G1", 6, 5);
  add_dense("G2", 2, 6);
  tensors.erase("G2.bias");
  // So that no ReLU hides what is behind it; the last has none.
  for (auto& [name, tensor] : tensors) {
    if (name == "G2.weight") continue;
    for (float& value : tensor.values) value = std::abs(value);
  }
  return tensors;
}

inline std::vector<FixtureEncoder> FixtureEncoders() {
  const auto entry = [](const char* name, EncoderSide side, const char* kind, const char* file,
                        std::map<std::string, std::string> options) {
    return Manifest::Encoder{
        .name = name, .side = side, .kind = kind, .file = file, .options = std::move(options)};
  };
  constexpr EncoderSide kUser = EncoderSide::kUser, kItem = EncoderSide::kItem;
  const CheckpointTensors linear{{"user_base", {{3, 2}, {1, 2, 3, 4, 5, 6}}},
                                 {"item_base", {{4, 2}, {1, 2, 3, 4, 5, 6, 7, 8}}},
                                 {"user_context", {{3, 2}, {1, 1, 2, 2, 3, 3}}},
                                 {"item_context", {{4, 2}, {1, 0, 0, 1, 2, 0, 0, 2}}}};
  const CheckpointTensors ngcf{
      {"layers.0.W1.weight", {{1, 1}, {0.5f}}}, {"layers.0.W2.weight", {{1, 1}, {0.25f}}},
      {"layers.0.W1.bias", {{1}, {0.125f}}},    {"layers.0.W2.bias", {{1}, {0.375f}}},
      {"user_scale", {{3, 1}, {1, 2, 3}}},      {"item_scale", {{4, 1}, {1, 2, 3, 4}}}};
  CheckpointTensors paper{ngcf};
  for (const char* name : {"layers.0.W1.bias", "layers.0.W2.bias", "user_scale", "item_scale"}) {
    paper.erase(name);
  }
  const CheckpointTensors gram{{"item_gram", {{2, 2}, {2, 0, 0, 2}}}};
  const std::map<std::string, std::string> of_hetero{
      {"relations", "together:item:2,brand:entity:1"}, {"heads", "2"}};
  const std::map<std::string, std::string> of_linear{{"r", "0.5"}, {"alpha", "0.5,0.5"}};
  return {
      {entry("als", kUser, "als", "als.safetensors", {{"alpha", "40"}, {"lambda", "0.1"}}), gram},
      {entry("als-items", kItem, "als", "als-items.safetensors", {{"regularisation", "weighted"}}),
       {{"user_gram", {{2, 2}, {2, 1, 1, 2}}}}},
      {entry("linear", kUser, "linear", "linear.safetensors", of_linear), linear},
      {entry("linear-items", kItem, "linear", "linear.safetensors", of_linear), linear},
      {entry("mixture", kUser, "mixture", "clusters.safetensors", {{"clusters_max", "2"}}),
       {{"item_centroids", {{3, 2}, {1, 0, 0, 1, -1, 0}}}}},
      {entry("newest", kUser, "newest", "embeddings.safetensors", {{"half", "3"}}),
       {{"item", {{4, 2}, {1, 0, 0, 1, -1, 0, 0, -1}}}}},
      {entry("ngcf", kUser, "ngcf", "ngcf.safetensors", {}), ngcf},
      {entry("ngcf-paper", kItem, "ngcf", "paper.safetensors", {{"variant", "paper"}}), paper},
      {entry("tower", kUser, "pinnerformer", "tower.safetensors",
             {{"heads", "2"}, {"max_history", "2"}}),
       FixturePinnerformer()},
      {entry("hetero", kItem, "hetero", "hetero.safetensors", of_hetero), FixtureHetero(false)},
      {entry("graphs", kItem, "hetero", "graphs.safetensors",
             {{"relations", "together:item:2,brand:entity:1"},
              {"heads", "2"},
              {"fusion", "per_graph"},
              {"norm", "pre"}}),
       FixtureHetero(true)},
      {entry("sage", kItem, "graphsage", "sage.safetensors", {{"layers", "2"}}),
       FixtureGraphsage(false)},
      {entry("sage-paper", kItem, "graphsage", "sage-paper.safetensors",
             {{"layers", "2"}, {"variant", "paper"}}),
       FixtureGraphsage(true)},
      {entry("attention", kItem, "gat", "gat.safetensors", {{"layers", "2"}}), FixtureGat()},
      {entry("pins", kItem, "pinsage", "pinsage.safetensors",
             {{"layers", "2"}, {"output_norm", "l2"}}),
       FixturePinsage()}};
}

inline std::unique_ptr<Encoder> MakeFixtureEncoder(const FixtureEncoder& encoder) {
  return *MakeEncoder(encoder.entry, encoder.File(), FixtureVectors());
}

// What an exporter writes of an encoder: integers and vectors by name.
struct EncoderExampleTensors {
  std::map<std::string, std::pair<std::vector<size_t>, std::vector<int64_t>>> integers;
  std::map<std::string, CheckpointTensor> floats;

  std::shared_ptr<const FileBytes> Bytes() const {
    SafetensorsWriter writer;
    for (const auto& [name, tensor] : integers) writer.Add(name, tensor.first, tensor.second);
    for (const auto& [name, tensor] : floats) writer.Add(name, tensor.shape, tensor.values);
    return writer.Bytes();
  }
  SafetensorsFile File() const { return *SafetensorsFile::Parse(kEncoderExamplesFile, Bytes()); }
};

// Three targets, of which the first is a user where users are read, and the last has no neighbours.
inline void AddBlockExamples(const std::string& prefix, const EncoderShape& shape,
                             EncoderExampleTensors& tensors) {
  const auto add = [&](const std::string& name, std::vector<int64_t> values) {
    const size_t count = values.size();
    tensors.integers[prefix + "in." + name] = {{count}, std::move(values)};
  };
  const bool has_users = shape.user_features > 0;
  tensors.floats[prefix + (has_users ? "in.item_features" : "in.features")] = {
      {3, 3}, {1, 0, 2, 0, 3, 1, 4, 1, 0}};
  add("layer.0.row", {1, 1, 2, 0, 0});
  if (has_users) {
    tensors.floats[prefix + "in.user_features"] = {{2, 2}, {1, 2, 3, 0.5f}};
    add("layer.0.type", {1, 0, 0, 1, 0});
    add("layer.1.type", {1, 0, 0, 1});
    add("layer.2.type", {1, 0, 0});
  }
  add("layer.1.self", {0, 1, 2, 3});
  add("layer.1.begin", {0, 2, 4, 5, 6});
  add("layer.1.neighbor", {1, 4, 0, 3, 3, 2});
  add("layer.2.self", {0, 1, 2});
  add("layer.2.begin", {0, 2, 4, 4});
  add("layer.2.neighbor", {1, 2, 0, 3});
  if (!shape.weights) return;
  tensors.floats[prefix + "in.layer.1.weight"] = {{6}, {5, 2, 1, 3, 1, 1}};
  tensors.floats[prefix + "in.layer.2.weight"] = {{4}, {1, 2, 4, 1}};
}

// Adds three targets of the encoder: a trained one with two neighbours, a new one with one, and a
// new one without any. Their vectors are what the encoder makes of them.
inline void AddEncoderExamples(const FixtureEncoder& fixture, EncoderExampleTensors& tensors) {
  const std::unique_ptr<Encoder> encoder = MakeFixtureEncoder(fixture);
  const EncoderShape shape = encoder->shape();
  const bool is_user = encoder->side() == EncoderSide::kUser;
  const std::string prefix = fixture.entry.name + ".";
  const std::string target = is_user ? "user" : "item", other = is_user ? "item" : "user";
  const std::string fold = prefix + "in.fold." + target;
  std::string expected = prefix + "vector";
  const auto add = [&](const std::string& name, std::vector<int64_t> values) {
    const size_t count = values.size();
    tensors.integers[name] = {{count}, std::move(values)};
  };
  if (shape.clusters > 0) {
    tensors.integers[prefix + "in.h1"] = {{3, 3}, {5, 1, 2, 0, 7, 0, 0, 0, 0}};
  } else if (shape.layers > 0) {
    AddBlockExamples(prefix, shape, tensors);
  } else if (shape.features > 0) {
    tensors.floats[prefix + "in.features"] = {{3, 3}, {1, 0, 2, 0, 3, 1, 4, 1, 0}};
    add(prefix + "in.row", {0, 1, 2});
    for (const EncoderRelation& relation : shape.relations) {
      const std::string lists = prefix + "in." + std::string(relation.name);
      add(lists + ".begin", {0, 2, 3, 3});
      add(lists + ".neighbor", {2, 1, 0});
      tensors.floats[lists + ".weight"] = {{3}, {5, 2, 1}};
    }
  } else if (shape.degrees) {
    add(fold + ".row", {0, -1, -1});
    add(fold + ".begin", {0, 2, 3, 3});
    add(fold + ".neighbor", {2, 0, 1});
    add(fold + ".neighbor_degree", {3, 1, 4});
    expected = prefix + "fold." + target;
  } else {
    add(prefix + "in." + other, {2, 0, 1});
    if (shape.counts) add(prefix + "in.count", {3, 1, 4});
    if (shape.times) add(prefix + "in.time_s", {20'000, 2'000, 20'000});
    if (shape.counts && !shape.times) {
      add(prefix + "in." + target + "_begin", {0, 2, 3, 3});
    } else {
      add(prefix + "in.length", {2, 1, 0});
    }
  }
  // Read back without the vectors, which are what is sought.
  tensors.floats[expected] = {{3, 2}, std::vector<float>(6)};
  const auto examples = *ReadEncoderExamples(tensors.File(), prefix, *encoder, FixtureVectors());
  bool known[3] = {};
  const auto scratch = encoder->NewScratch();
  encoder->Encode(examples.Input(), *scratch, tensors.floats[expected].values, known);
  add(prefix + "known", {known[0], known[1], known[2]});
}

}  // namespace groundswell

#endif  // GROUNDSWELL_TESTS_SUPPORT_ENCODER_FIXTURE_H_
