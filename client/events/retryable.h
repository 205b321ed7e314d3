// Which errors pass by themselves, and how long to wait before the next try.
#ifndef GROUNDSWELL_CLIENT_EVENTS_RETRYABLE_H_
#define GROUNDSWELL_CLIENT_EVENTS_RETRYABLE_H_

#include <google/rpc/status.pb.h>

#include <chrono>
#include <optional>

#include "absl/status/status.h"

namespace groundswell {

// Pauses of whoever sends something again double from the first to the longest.
inline constexpr std::chrono::milliseconds kFirstRetryPause{50};
inline constexpr std::chrono::milliseconds kLongestRetryPause{5'000};

// The server is away, slow or full.
inline bool IsRetryable(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) ||
         absl::IsResourceExhausted(status);
}

// Of a refusal within an answer, which has no deadline of its own: the server has no room, or
// stops.
bool IsForNow(const google::rpc::Status& refusal);

// How long the server asks to wait; nullopt: it does not say.
std::optional<std::chrono::milliseconds> RetryDelayOf(const google::rpc::Status& refusal);

}  // namespace groundswell

#endif  // GROUNDSWELL_CLIENT_EVENTS_RETRYABLE_H_
