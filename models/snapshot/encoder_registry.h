// Which kinds of encoders there are.
#ifndef GROUNDSWELL_MODELS_SNAPSHOT_ENCODER_REGISTRY_H_
#define GROUNDSWELL_MODELS_SNAPSHOT_ENCODER_REGISTRY_H_

#include <memory>

#include "absl/status/statusor.h"
#include "models/encoder.h"
#include "models/encoders/target_encoder.h"
#include "models/files/manifest.h"
#include "models/files/safetensors.h"

namespace groundswell {

// The encoder that the manifest describes, from its file. InvalidArgument for an unknown kind, and
// for whatever is wrong with options and tensors. `trained` must outlive it.
absl::StatusOr<std::unique_ptr<Encoder>> MakeEncoder(const Manifest::Encoder& encoder,
                                                     const SafetensorsFile& file,
                                                     const TrainedVectors& trained);

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_SNAPSHOT_ENCODER_REGISTRY_H_
