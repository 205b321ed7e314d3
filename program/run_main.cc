#include "program/run_main.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include <cstdlib>
#include <exception>
#include <new>

#include "program/terminal_text.h"

namespace groundswell {
namespace {

void OpenClosedStandardStreams() {
  // Upwards: open(2) gives the lowest free number.
  for (int stream = STDIN_FILENO; stream <= STDERR_FILENO; ++stream) {
    if (::fcntl(stream, F_GETFD) != -1) continue;
    // Standard output for reading: what is written there is lost, and is told to be.
    if (::open("/dev/null", stream == STDERR_FILENO ? O_WRONLY : O_RDONLY) < 0) return;
  }
}

// Of what is safe in a handler alone. RocksDB would wait for ever to close a database whose file
// ended in the middle of a write.
void EndForFileSize(int /*signal*/) {
  constexpr char kMessage[] =
      "a file would be larger than this process may write: raise the limit (ulimit -f)\n";
  static_cast<void>(!::write(STDERR_FILENO, kMessage, sizeof kMessage - 1));
  ::_exit(EXIT_FAILURE);
}

constexpr char kUnwritable[] = "standard output cannot be written: the answer is cut off";

// What a body printed last is still to be written when it returns.
bool WriteOutStandardOutput() { return ::fflush(stdout) == 0 && ::ferror(stdout) == 0; }

}  // namespace

void PrintError(const char* program, const char* message) {
  try {
    static_cast<void>(::fprintf(stderr, "%s: %s\n", program, TerminalLines(message).c_str()));
  } catch (const std::bad_alloc&) {
    static_cast<void>(::fprintf(stderr, "%s: there is no memory to say why\n", program));
  }
}

int RunMain(const char* program, int (*body)(int argc, char** argv), int argc, char** argv) {
  OpenClosedStandardStreams();
  struct sigaction action {};
  action.sa_handler = EndForFileSize;
  ::sigaction(SIGXFSZ, &action, nullptr);
  int status = EXIT_FAILURE;
  try {
    status = body(argc, argv);
    if (status == EXIT_SUCCESS) {
      if (WriteOutStandardOutput()) return status;
      status = EXIT_FAILURE;
      PrintError(program, kUnwritable);
    }
  } catch (const std::bad_alloc&) {
    // As it stands: showing it otherwise takes memory.
    static_cast<void>(
        ::fprintf(stderr, "%s: the system has no more memory for this process\n", program));
  } catch (const std::exception& error) {
    PrintError(program, ::ferror(stdout) == 0 ? error.what() : kUnwritable);
  }
  // Past the handlers of exit: OpenBLAS's waits for its threads, and those try for ever to get
  // memory where there is none, which may be why this program ends.
  static_cast<void>(::fflush(nullptr));
  ::_exit(status);
}

}  // namespace groundswell
