// The tensors of an NCF checkpoint (NeuMF, WWW 2017, arXiv 1708.05031), checked and split.
#ifndef GROUNDSWELL_MODELS_NCF_WEIGHTS_H_
#define GROUNDSWELL_MODELS_NCF_WEIGHTS_H_

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "models/files/safetensors.h"
#include "models/math/weight.h"
#include "models/sequence/layers.h"

namespace groundswell {

// A table of rows, row 0 for what is not known.
struct NcfTable {
  std::span<const float> values;
  size_t rows = 0;
  size_t width = 0;

  std::span<const float> Row(uint32_t row) const {
    return values.subspan(size_t{row} * width, width);
  }
};

// Immutable. Tables point into the file's bytes, which `file` keeps alive.
struct NcfWeights {
  SafetensorsFile file;
  Precision precision = Precision::kF32;
  NcfTable user_gmf, item_gmf;     // k wide
  NcfTable user_mlp, item_mlp;     // m and m' wide
  DenseLayer first_of_user;        // m x layer 1, with the bias
  DenseLayer first_of_item;        // m' x layer 1
  std::vector<DenseLayer> behind;  // the layers behind the first
  std::vector<float> output_gmf;   // k
  std::vector<float> output_mlp;   // width of the last layer
  float output_bias = 0;           // 0 where the file has none
};

// `options` are the manifest's (docs/snapshot.md). Errors: see CheckpointReader.
absl::StatusOr<NcfWeights> LoadNcfWeights(const SafetensorsFile& file,
                                          const std::map<std::string, std::string>& options);

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_NCF_WEIGHTS_H_
