// MacGNN behind the Ranker interface.
#ifndef GROUNDSWELL_MODELS_MACGNN_MACGNN_RANKER_H_
#define GROUNDSWELL_MODELS_MACGNN_MACGNN_RANKER_H_

#include <memory>

#include "absl/status/statusor.h"
#include "models/files/manifest.h"
#include "models/files/safetensors.h"
#include "models/ranker.h"

namespace groundswell {

// Errors: see LoadMacgnnWeights.
absl::StatusOr<std::unique_ptr<Ranker>> MakeMacgnnRanker(const Manifest::Model& model,
                                                         const SafetensorsFile& file);

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_MACGNN_MACGNN_RANKER_H_
