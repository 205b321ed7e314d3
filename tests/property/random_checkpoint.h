// Random weights of an encoder, as an implementation in double reads them and as a file.
#ifndef GROUNDSWELL_TESTS_PROPERTY_RANDOM_CHECKPOINT_H_
#define GROUNDSWELL_TESTS_PROPERTY_RANDOM_CHECKPOINT_H_

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "tests/support/safetensors_writer.h"
#include "tests/support/transformer_oracle.h"

namespace groundswell {

inline std::vector<float> Flat(const OracleTable& table) {
  std::vector<float> values;
  for (const OracleVector& row : table) values.insert(values.end(), row.begin(), row.end());
  return values;
}

// Of numbers that floats hold exactly.
inline OracleTable RandomTable(size_t rows, size_t width, std::mt19937_64& random,
                               double spread = 0.5) {
  std::normal_distribution<float> normal(0, static_cast<float>(spread));
  OracleTable table(rows, OracleVector(width));
  for (OracleVector& row : table) {
    for (double& number : row) number = normal(random);
  }
  return table;
}

// Tensors that floats hold exactly, as rows and in a file.
class RandomCheckpoint {
 public:
  RandomCheckpoint(std::mt19937_64& random, OracleTensors& tensors)
      : random_(random), tensors_(tensors) {}

  void Add(const std::string& name, size_t rows, size_t columns) {
    AddTable(name, RandomTable(rows, columns, random_, 0.7 / std::sqrt(columns)));
  }
  void AddTable(const std::string& name, const OracleTable& table) {
    tensors_[name] = table;
    writer.Add(name, {table.size(), table[0].size()}, Flat(table));
  }
  void AddVector(const std::string& name, size_t size) {
    tensors_[name] = RandomTable(1, size, random_);
    writer.Add(name, {size}, Flat(tensors_[name]));
  }
  void AddDense(const std::string& name, size_t out, size_t in) {
    Add(name + ".weight", out, in);
    AddVector(name + ".bias", out);
  }
  void AddNorm(const std::string& name, size_t width) {
    AddVector(name + ".weight", width);
    AddVector(name + ".bias", width);
  }
  void AddTransformer(const std::string& prefix, size_t layers, size_t width, size_t hidden) {
    for (size_t l = 0; l < layers; ++l) {
      const std::string name = prefix + "layers." + std::to_string(l);
      Add(name + ".self_attn.in_proj_weight", 3 * width, width);
      AddVector(name + ".self_attn.in_proj_bias", 3 * width);
      AddDense(name + ".self_attn.out_proj", width, width);
      AddDense(name + ".linear1", hidden, width);
      AddDense(name + ".linear2", width, hidden);
      AddNorm(name + ".norm1", width);
      AddNorm(name + ".norm2", width);
    }
  }

  SafetensorsWriter writer;

 private:
  std::mt19937_64& random_;
  OracleTensors& tensors_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_TESTS_PROPERTY_RANDOM_CHECKPOINT_H_
