// Weights of the blend as a file, blend.json, which people read and whoever learned some gives
// away:
//
//   {"format_version": 1,
//    "weights": {"in_visit":  {"next_items.near_the_top": 1.06, "popularity.hour": 0.2},
//                "returning": {"popularity.hour": 1.0}}}
//
// Names are those of BlendFeatureName and of kBlendContexts; what is not there is 0, but for
// "returning_unseen", which then is as "returning". The bytes are untrusted.
#ifndef GROUNDSWELL_BLEND_WEIGHTS_FILE_H_
#define GROUNDSWELL_BLEND_WEIGHTS_FILE_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "blend/model.h"

namespace groundswell {

inline constexpr char kBlendWeightsFile[] = "blend.json";

// InvalidArgument names the key, what it has and what it may have.
absl::StatusOr<BlendWeights> ParseBlendWeights(std::string_view json);

// A file that gives the same weights, to the bit; only what is not 0 stands in it.
std::string PrintBlendWeights(const BlendWeights& weights);

}  // namespace groundswell

#endif  // GROUNDSWELL_BLEND_WEIGHTS_FILE_H_
