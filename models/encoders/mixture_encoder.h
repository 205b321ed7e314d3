// A user's vector as the mean of the centroids of the clusters that he takes items of (TwHIN, arXiv
// 2202.05387; kNN-Embed, arXiv 2205.06205), by the counts H1_u that the graph keeps anyway.
//
//   P(c) = count / sum of the counts, of the `clusters_max` largest; ties: the lower cluster first
//   e_u = sum_c P(c) centroid_c
#ifndef GROUNDSWELL_MODELS_ENCODERS_MIXTURE_ENCODER_H_
#define GROUNDSWELL_MODELS_ENCODERS_MIXTURE_ENCODER_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "models/encoder.h"
#include "models/encoders/target_encoder.h"
#include "models/files/manifest.h"
#include "models/files/safetensors.h"

namespace groundswell {

// Of the target that was encoded last, for tests too.
struct MixtureScratch final : EncoderScratch {
  explicit MixtureScratch(size_t clusters) : order(clusters), share(clusters) {}

  std::vector<uint32_t> order;
  std::vector<double> share;  // P, by cluster
};

// Of users alone. Tensor `item_centroids` (Q, d), as clusters.safetensors has it; other tensors of
// the file are not read. Option `clusters_max`.
absl::StatusOr<std::unique_ptr<Encoder>> MakeMixtureEncoder(const Manifest::Encoder& encoder,
                                                            const SafetensorsFile& file,
                                                            const TrainedVectors& trained);

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_ENCODERS_MIXTURE_ENCODER_H_
