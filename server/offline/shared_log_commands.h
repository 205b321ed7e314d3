// The commands for a log that servers share: `create-log`, `leave-log`.
#ifndef GROUNDSWELL_SERVER_OFFLINE_SHARED_LOG_COMMANDS_H_
#define GROUNDSWELL_SERVER_OFFLINE_SHARED_LOG_COMMANDS_H_

#include <functional>

#include "absl/status/statusor.h"

namespace CLI {
class App;
}

namespace groundswell {

// Each as AddImportCommand does it.
std::function<absl::StatusOr<int>()> AddCreateLogCommand(CLI::App& app);
std::function<absl::StatusOr<int>()> AddLeaveLogCommand(CLI::App& app);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_OFFLINE_SHARED_LOG_COMMANDS_H_
