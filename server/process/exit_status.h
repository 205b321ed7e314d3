// The status with which the server ends for a reason that may pass.
#ifndef GROUNDSWELL_SERVER_PROCESS_EXIT_STATUS_H_
#define GROUNDSWELL_SERVER_PROCESS_EXIT_STATUS_H_

#include <sysexits.h>

#include <string_view>

namespace groundswell {

// Starting again may help. EXIT_FAILURE: something has to be changed first.
inline constexpr int kExitTryAgain = EX_TEMPFAIL;

// Logs `why` and ends the process at once, without waiting for anything: what was acknowledged is
// on disk, or with the operating system, as after kill -9.
[[noreturn]] void EndToBeStartedAgain(std::string_view why);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_PROCESS_EXIT_STATUS_H_
