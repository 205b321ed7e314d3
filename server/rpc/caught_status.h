// What work that may throw comes to, as a status.
#ifndef GROUNDSWELL_SERVER_RPC_CAUGHT_STATUS_H_
#define GROUNDSWELL_SERVER_RPC_CAUGHT_STATUS_H_

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"

namespace groundswell {

// What `work` returns; Internal, and a line in the log, where it throws: memory that cannot be had,
// or a library's exception, ends this work and not the server.
absl::Status CaughtStatus(absl::FunctionRef<absl::Status()> work);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_RPC_CAUGHT_STATUS_H_
