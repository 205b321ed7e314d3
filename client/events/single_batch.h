// One batch of a producer on a stream of its own, and the answer to it: how a producer asks where
// it stands.
#ifndef GROUNDSWELL_CLIENT_EVENTS_SINGLE_BATCH_H_
#define GROUNDSWELL_CLIENT_EVENTS_SINGLE_BATCH_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/client.h"
#include "groundswell/v1/interaction.pb.h"

namespace groundswell {

struct SingleBatchOptions {
  std::function<bool()> stopped = [] { return false; };  // from another thread, all the time
  std::chrono::milliseconds timeout{10'000};
};

// Sends `interactions`, numbered from 1; none at all asks. Returns the server's answer:
// `last_sequence` of the producer is 0 when nothing of it is dealt with. Cancelled once stopped;
// Unavailable when no answer came in time, or none at all; what the server ended the stream with.
absl::StatusOr<v1::IngestResponse> SendSingleBatch(Client& client, const std::string& producer_id,
                                                   const std::vector<v1::Interaction>& interactions,
                                                   const SingleBatchOptions& options);

}  // namespace groundswell

#endif  // GROUNDSWELL_CLIENT_EVENTS_SINGLE_BATCH_H_
