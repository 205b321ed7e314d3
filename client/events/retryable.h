// Which errors of a call pass by themselves.
#ifndef GROUNDSWELL_CLIENT_EVENTS_RETRYABLE_H_
#define GROUNDSWELL_CLIENT_EVENTS_RETRYABLE_H_

#include "absl/status/status.h"

namespace groundswell {

// The server is away, slow or full.
inline bool IsRetryable(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) ||
         absl::IsResourceExhausted(status);
}

}  // namespace groundswell

#endif  // GROUNDSWELL_CLIENT_EVENTS_RETRYABLE_H_
