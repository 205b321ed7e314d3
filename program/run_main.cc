#include "program/run_main.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <cstdlib>
#include <exception>

namespace groundswell {
namespace {

void OpenClosedStandardStreams() {
  // Upwards: open(2) gives the lowest free number.
  for (int stream = STDIN_FILENO; stream <= STDERR_FILENO; ++stream) {
    if (::fcntl(stream, F_GETFD) != -1) continue;
    if (::open("/dev/null", stream == STDIN_FILENO ? O_RDONLY : O_WRONLY) < 0) return;
  }
}

}  // namespace

void PrintError(const char* program, const char* message) {
  static_cast<void>(::fprintf(stderr, "%s: %s\n", program, message));
}

int RunMain(const char* program, int (*body)(int argc, char** argv), int argc, char** argv) {
  OpenClosedStandardStreams();
  int status = EXIT_FAILURE;
  try {
    status = body(argc, argv);
    if (status == EXIT_SUCCESS) return status;
  } catch (const std::bad_alloc&) {
    PrintError(program, "the system has no more memory for this process");
  } catch (const std::exception& error) {
    PrintError(program, error.what());
  }
  // Past the handlers of exit: OpenBLAS's waits for its threads, and those try for ever to get
  // memory where there is none, which may be why this program ends.
  static_cast<void>(::fflush(nullptr));
  ::_exit(status);
}

}  // namespace groundswell
