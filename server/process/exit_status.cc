#include "server/process/exit_status.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

namespace groundswell {

void EndToBeStartedAgain(std::string_view why) {
  spdlog::critical("{}; ending with status {}, to be started again", why, kExitTryAgain);
  spdlog::default_logger()->flush();
  ::_exit(kExitTryAgain);
}

}  // namespace groundswell
