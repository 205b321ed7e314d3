#include "models/snapshot/encoder_registry.h"

#include <fmt/format.h>

#include <string>
#include <string_view>

#include "models/encoders/als_encoder.h"
#include "models/encoders/gat_encoder.h"
#include "models/encoders/graphsage_encoder.h"
#include "models/encoders/hetero_encoder.h"
#include "models/encoders/linear_encoder.h"
#include "models/encoders/mixture_encoder.h"
#include "models/encoders/newest_encoder.h"
#include "models/encoders/ngcf_encoder.h"
#include "models/encoders/pinnerformer_encoder.h"
#include "models/encoders/pinsage_encoder.h"

namespace groundswell {
namespace {

using EncoderFactory = absl::StatusOr<std::unique_ptr<Encoder>> (*)(const Manifest::Encoder&,
                                                                    const SafetensorsFile&,
                                                                    const TrainedVectors&);
struct EncoderKind {
  std::string_view name;
  EncoderFactory make;
};

// One line for each kind.
// clang-format off
constexpr EncoderKind kEncoderKinds[] = {
    {"als", MakeAlsEncoder},
    {"gat", MakeGatEncoder},
    {"graphsage", MakeGraphsageEncoder},
    {"hetero", MakeHeteroEncoder},
    {"linear", MakeLinearEncoder},
    {"mixture", MakeMixtureEncoder},
    {"newest", MakeNewestEncoder},
    {"ngcf", MakeNgcfEncoder},
    {"pinnerformer", MakePinnerformerEncoder},
    {"pinsage", MakePinsageEncoder},
};
// clang-format on

}  // namespace

absl::StatusOr<std::unique_ptr<Encoder>> MakeEncoder(const Manifest::Encoder& encoder,
                                                     const SafetensorsFile& file,
                                                     const TrainedVectors& trained) {
  std::string known;
  for (const EncoderKind& kind : kEncoderKinds) {
    if (kind.name == encoder.kind) return kind.make(encoder, file, trained);
    known += (known.empty() ? "" : ", ") + std::string(kind.name);
  }
  return absl::InvalidArgumentError(
      fmt::format("manifest.json: encoder \"{}\" is of kind \"{}\"; this server has: {}",
                  encoder.name, encoder.kind, known));
}

}  // namespace groundswell
