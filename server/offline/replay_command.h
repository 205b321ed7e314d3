// The command `replay`.
#ifndef GROUNDSWELL_SERVER_OFFLINE_REPLAY_COMMAND_H_
#define GROUNDSWELL_SERVER_OFFLINE_REPLAY_COMMAND_H_

#include <functional>

#include "absl/status/statusor.h"

namespace CLI {
class App;
}

namespace groundswell {

// As AddImportCommand does it.
std::function<absl::StatusOr<int>()> AddReplayCommand(CLI::App& app);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_OFFLINE_REPLAY_COMMAND_H_
