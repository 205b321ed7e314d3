// Random tensors of any ranker's checkpoint, to be loaded or spoiled.
#ifndef GROUNDSWELL_TESTS_SUPPORT_CHECKPOINT_FIXTURE_H_
#define GROUNDSWELL_TESTS_SUPPORT_CHECKPOINT_FIXTURE_H_

#include <cmath>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "tests/support/safetensors_writer.h"

namespace groundswell {

struct CheckpointTensor {
  std::vector<size_t> shape;
  std::vector<float> values;
};
// Everything but the categories of the items.
using CheckpointTensors = std::map<std::string, CheckpointTensor>;

// Tables and biases of a fixed spread, matrices by what they sum up.
inline CheckpointTensor RandomTensor(const std::vector<size_t>& shape, bool is_table,
                                     std::mt19937_64& random) {
  CheckpointTensor tensor{.shape = shape, .values = {}};
  size_t size = 1;
  for (const size_t dimension : shape) size *= dimension;
  const bool is_fixed = is_table || shape.size() == 1;
  const double scale = is_fixed ? 0.6 : 1.2 / std::sqrt(static_cast<double>(shape.back()));
  std::normal_distribution<double> normal(0, scale);
  for (size_t i = 0; i < size; ++i) tensor.values.push_back(static_cast<float>(normal(random)));
  return tensor;
}

// Items take the categories in turn; row 0 has row 0.
inline std::vector<int64_t> CategoriesInTurn(size_t items, size_t categories) {
  std::vector<int64_t> category_of_item(items);
  for (size_t item = 1; item < items; ++item) {
    category_of_item[item] = static_cast<int64_t>(item % categories);
  }
  return category_of_item;
}

// The categories are left out where there is no table of them.
inline std::shared_ptr<const FileBytes> CheckpointBytes(const CheckpointTensors& tensors,
                                                        const std::vector<int64_t>& categories) {
  SafetensorsWriter writer;
  for (const auto& [name, tensor] : tensors) writer.Add(name, tensor.shape, tensor.values);
  if (tensors.contains("cate_embed.weight")) {
    writer.Add("category_of_item", {categories.size()}, categories);
  }
  return writer.Bytes();
}

inline SafetensorsFile MakeCheckpointFile(const CheckpointTensors& tensors,
                                          const std::vector<int64_t>& categories) {
  return *SafetensorsFile::Parse("checkpoint.safetensors", CheckpointBytes(tensors, categories));
}

}  // namespace groundswell

#endif  // GROUNDSWELL_TESTS_SUPPORT_CHECKPOINT_FIXTURE_H_
