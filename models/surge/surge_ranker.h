// SURGE behind the Ranker interface.
#ifndef GROUNDSWELL_MODELS_SURGE_SURGE_RANKER_H_
#define GROUNDSWELL_MODELS_SURGE_SURGE_RANKER_H_

#include <memory>

#include "absl/status/statusor.h"
#include "models/files/manifest.h"
#include "models/files/safetensors.h"
#include "models/ranker.h"

namespace groundswell {

// Errors: see LoadSurgeWeights.
absl::StatusOr<std::unique_ptr<Ranker>> MakeSurgeRanker(const Manifest::Model& model,
                                                        const SafetensorsFile& file);

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_SURGE_SURGE_RANKER_H_
