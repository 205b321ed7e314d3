// Which code serves which kind of model. A new ranker adds its folder and one line in registry.cc.
#ifndef GROUNDSWELL_MODELS_SNAPSHOT_REGISTRY_H_
#define GROUNDSWELL_MODELS_SNAPSHOT_REGISTRY_H_

#include <memory>

#include "absl/status/statusor.h"
#include "models/files/manifest.h"
#include "models/files/safetensors.h"
#include "models/ranker.h"

namespace groundswell {

// The ranker for `model`, made from the tensors of its file. InvalidArgument names the model, the
// option or tensor that is wrong, and the remedy. No kind takes unfolded batch normalisation.
absl::StatusOr<std::unique_ptr<Ranker>> MakeRanker(const Manifest::Model& model,
                                                   const SafetensorsFile& file);

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_SNAPSHOT_REGISTRY_H_
