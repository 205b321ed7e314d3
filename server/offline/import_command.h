// The command `import`.
#ifndef GROUNDSWELL_SERVER_OFFLINE_IMPORT_COMMAND_H_
#define GROUNDSWELL_SERVER_OFFLINE_IMPORT_COMMAND_H_

#include <functional>

#include "absl/status/statusor.h"

namespace CLI {
class App;
}

namespace groundswell {

// Adds it to `app`. What is returned runs it once `app` has parsed its flags, and returns the exit
// status; `app` must outlive it.
std::function<absl::StatusOr<int>()> AddImportCommand(CLI::App& app);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_OFFLINE_IMPORT_COMMAND_H_
