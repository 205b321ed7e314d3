// The commands for a database that no server holds: `verify`, `restore`, `repair`.
#ifndef GROUNDSWELL_SERVER_OFFLINE_DATABASE_COMMANDS_H_
#define GROUNDSWELL_SERVER_OFFLINE_DATABASE_COMMANDS_H_

#include <functional>

#include "absl/status/statusor.h"

namespace CLI {
class App;
}

namespace groundswell {

// Each as AddImportCommand does it.
std::function<absl::StatusOr<int>()> AddVerifyCommand(CLI::App& app);
std::function<absl::StatusOr<int>()> AddRestoreCommand(CLI::App& app);
std::function<absl::StatusOr<int>()> AddRepairCommand(CLI::App& app);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_OFFLINE_DATABASE_COMMANDS_H_
