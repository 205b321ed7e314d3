// A small random MacGNN checkpoint, to be loaded or spoiled.
#ifndef GROUNDSWELL_TESTS_SUPPORT_MACGNN_FIXTURE_H_
#define GROUNDSWELL_TESTS_SUPPORT_MACGNN_FIXTURE_H_

#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/safetensors_writer.h"

namespace groundswell {

struct MacgnnTensor {
  std::vector<size_t> shape;
  std::vector<float> values;
};

// Width 4, 6 users and 7 items (row 0 included), P = 3, Q = 5, hidden layers of 20 and 9.
inline std::map<std::string, MacgnnTensor> SmallMacgnnTensors() {
  constexpr size_t kD = 4;
  const std::pair<const char*, std::vector<size_t>> shapes[] = {
      {"user_embed.weight", {6, kD}},
      {"item_embed.weight", {7, kD}},
      {"u_macro_embed.weight", {3, kD}},
      {"i_macro_embed.weight", {5, kD}},
      {"u_shared_aggregator.Q_w.weight", {2 * kD, kD}},
      {"u_shared_aggregator.K_w.weight", {2 * kD, kD}},
      {"u_shared_aggregator.V_w.weight", {2 * kD, kD}},
      {"i_shared_aggregator.Q_w.weight", {2 * kD, kD}},
      {"i_shared_aggregator.K_w.weight", {2 * kD, kD}},
      {"i_shared_aggregator.V_w.weight", {2 * kD, kD}},
      {"mlp.0.weight", {20, 14 * kD}},
      {"mlp.0.bias", {20}},
      {"mlp.1.alpha", {1}},
      {"mlp.1.mean", {20}},
      {"mlp.1.std", {20}},
      {"mlp.2.weight", {9, 20}},
      {"mlp.2.bias", {9}},
      {"mlp.3.alpha", {1}},
      {"mlp.3.mean", {9}},
      {"mlp.3.std", {9}},
      {"mlp.4.weight", {1, 9}},
      {"mlp.4.bias", {1}}};
  std::mt19937_64 random(11);
  std::uniform_real_distribution<float> uniform(0.1f, 0.9f);
  std::map<std::string, MacgnnTensor> tensors;
  for (const auto& [name, shape] : shapes) {
    MacgnnTensor& tensor = tensors[name];
    tensor.shape = shape;
    size_t size = 1;
    for (const size_t dimension : shape) size *= dimension;
    for (size_t i = 0; i < size; ++i) tensor.values.push_back(uniform(random));
  }
  return tensors;
}

inline SafetensorsFile MakeMacgnnFile(const std::map<std::string, MacgnnTensor>& tensors) {
  SafetensorsWriter writer;
  for (const auto& [name, tensor] : tensors) writer.Add(name, tensor.shape, tensor.values);
  return *SafetensorsFile::Parse("macgnn.safetensors", writer.Bytes());
}

}  // namespace groundswell

#endif  // GROUNDSWELL_TESTS_SUPPORT_MACGNN_FIXTURE_H_
