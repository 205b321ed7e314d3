#include "server/rpc/caught_status.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <exception>

namespace groundswell {

absl::Status CaughtStatus(absl::FunctionRef<absl::Status()> work) {
  try {
    return work();
  } catch (const std::exception& e) {
    spdlog::error("a call failed: {}", e.what());
    return absl::InternalError(fmt::format("the server failed at this call: {}", e.what()));
  }
}

}  // namespace groundswell
