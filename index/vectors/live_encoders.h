// LiveEncoders: which of a snapshot's encoders make vectors while it serves.
#ifndef GROUNDSWELL_INDEX_VECTORS_LIVE_ENCODERS_H_
#define GROUNDSWELL_INDEX_VECTORS_LIVE_ENCODERS_H_

#include <memory>
#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "models/encoder.h"

namespace groundswell {

// Who makes vectors in the place of LiveVectors' own rules; null: nobody.
struct LiveEncoders {
  const Encoder* user = nullptr;
  const Encoder* item = nullptr;
};

// What stands for an encoder's name: the first of its side that can be served, and none.
inline constexpr char kFirstEncoder[] = "auto";
inline constexpr char kNoEncoder[] = "none";

// Whether all that it reads can be gathered: neighbours and counts by cluster, and not features,
// relations and blocks.
bool IsGathered(const Encoder& encoder);

// Those of a snapshot that are named, or stood for. InvalidArgument for one that is not there for
// that side, or is not gathered.
absl::StatusOr<LiveEncoders> ChooseEncoders(std::span<const std::unique_ptr<Encoder>> encoders,
                                            const std::string& user, const std::string& item);

}  // namespace groundswell

#endif  // GROUNDSWELL_INDEX_VECTORS_LIVE_ENCODERS_H_
