// What an operator is told of the blend: what it has learned, and how well the lists find.
#ifndef GROUNDSWELL_SERVER_ADMIN_BLEND_RESPONSE_H_
#define GROUNDSWELL_SERVER_ADMIN_BLEND_RESPONSE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "groundswell/v1/admin.pb.h"
#include "server/pipeline/live_state.h"

namespace groundswell {

// `learning`: whether the state learns.
absl::Status WriteBlend(const LiveState& state, bool learning, v1::Blend& out);

// 128 bits, hexadecimal, of all that was learned as far as the log is applied.
absl::StatusOr<std::string> BlendDigest(const LiveState& state);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_ADMIN_BLEND_RESPONSE_H_
