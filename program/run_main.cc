#include "program/run_main.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <new>
#include <string_view>

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

// gRPC takes the first word that it knows. It ends the process without one, and where that is none.
bool IsPollStrategy(std::string_view words) {
  while (true) {
    const size_t end = std::min(words.find(','), words.size());
    const std::string_view word = words.substr(0, end);
    if (word == "epoll1" || word == "poll" || word == "all") return true;
    if (word == "none" || end == words.size()) return false;
    words.remove_prefix(end + 1);
  }
}

constexpr char kNoPollStrategy[] =
    "the environment's GRPC_POLL_STRATEGY names no way of waiting that gRPC has: unset it, or set "
    "it to epoll1 or poll";

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
  const char* const poll_strategy = ::getenv("GRPC_POLL_STRATEGY");
  if (poll_strategy != nullptr && !IsPollStrategy(poll_strategy)) {
    PrintError(program, kNoPollStrategy);
    return status;
  }
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
