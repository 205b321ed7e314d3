// Random SURGE checkpoints of any shape, to be loaded or spoiled.
#ifndef GROUNDSWELL_TESTS_SUPPORT_SURGE_FIXTURE_H_
#define GROUNDSWELL_TESTS_SUPPORT_SURGE_FIXTURE_H_

#include <map>
#include <random>
#include <string>
#include <vector>

#include "tests/support/checkpoint_fixture.h"

namespace groundswell {

struct SurgeSizes {
  size_t items = 9, categories = 4;  // rows, row 0 included
  size_t item_width = 3, category_width = 2;
  size_t heads = 2, state = 4;
  size_t hidden1 = 7, hidden2 = 5;  // of the attentions
  size_t head1 = 6, head2 = 3;
  size_t clusters = 3;

  size_t d() const { return item_width + category_width; }
};

inline CheckpointTensors RandomSurgeTensors(const std::string& variant, const SurgeSizes& s,
                                            std::mt19937_64& random) {
  CheckpointTensors tensors;
  const auto add = [&](const std::string& name, const std::vector<size_t>& shape) {
    const bool is_table = name.find("embed") != std::string::npos || name == "metric.weight";
    tensors[name] = RandomTensor(shape, is_table, random);
  };
  const auto add_layer = [&](const std::string& name, size_t out, size_t in) {
    add(name + ".weight", {out, in});
    add(name + ".bias", {out});
  };
  const size_t d = s.d();
  add("item_embed.weight", {s.items, s.item_width});
  add("cate_embed.weight", {s.categories, s.category_width});
  add("metric.weight", {s.heads, d});
  add("fusion.dense.weight", {d, d});
  add_layer("augru.gates", 2 * s.state, d + s.state);
  add_layer("augru.candidate", s.state, d + s.state);
  add_layer("head.0", s.head1, s.state + 3 * d);
  add_layer("head.2", s.head2, s.head1);
  add_layer("head.4", 1, s.head2);
  if (variant == "authors") {
    for (const std::string name : {"f1", "f2", "augru_attention"}) {
      add(name + ".attention.weight", {d, d});
      add_layer(name + ".mlp.0", s.hidden1, 4 * d);
      add_layer(name + ".mlp.2", s.hidden2, s.hidden1);
      add_layer(name + ".mlp.4", 1, s.hidden2);
    }
    return tensors;
  }
  for (const std::string name : {"cluster", "query"}) {
    add(name + ".transform.weight", {d, d});
    add_layer(name + ".mlp.0", s.hidden1, 3 * d);
    add_layer(name + ".mlp.2", 1, s.hidden1);
  }
  add("pool.weight", {s.clusters, d});
  return tensors;
}

inline std::vector<int64_t> SurgeCategories(const SurgeSizes& s) {
  return CategoriesInTurn(s.items, s.categories);
}

inline std::map<std::string, std::string> SurgeOptions(const std::string& variant,
                                                       size_t max_history, size_t pool_length) {
  std::map<std::string, std::string> options{{"variant", variant},
                                             {"max_history", std::to_string(max_history)}};
  if (variant == "authors") options["pool_length"] = std::to_string(pool_length);
  return options;
}

}  // namespace groundswell

#endif  // GROUNDSWELL_TESTS_SUPPORT_SURGE_FIXTURE_H_
