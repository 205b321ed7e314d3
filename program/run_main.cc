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
  try {
    return body(argc, argv);
  } catch (const std::bad_alloc&) {
    PrintError(program, "the system has no more memory for this process");
  } catch (const std::exception& error) {
    PrintError(program, error.what());
  }
  return EXIT_FAILURE;
}

}  // namespace groundswell
