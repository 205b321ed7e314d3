// Puts a finished directory in the place of another one in one step.
#ifndef GROUNDSWELL_SERVER_OFFLINE_DIRECTORY_SWAP_H_
#define GROUNDSWELL_SERVER_OFFLINE_DIRECTORY_SWAP_H_

#include <string>

#include "absl/status/status.h"

namespace groundswell {

// After it `target` is what `staged` was, and, if `target` was a database, the other way round. At
// no moment is neither there. Unavailable when the system refuses.
absl::Status SwapDirectories(const std::string& staged, const std::string& target);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_OFFLINE_DIRECTORY_SWAP_H_
