#include "server/process/early_output.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <sstream>

namespace groundswell {
namespace {

int held = -1;            // a file in memory, in the place of standard error
int standard_error = -1;  // what that was

#define GROUNDSWELL_BEFORE_SANITIZERS \
  __attribute__((no_sanitize("address"), no_sanitize("thread"), no_sanitize("undefined")))

GROUNDSWELL_BEFORE_SANITIZERS bool StartsWith(const char* text, const char* prefix) {
  for (; *prefix != '\0'; ++text, ++prefix) {
    if (*text != *prefix) return false;
  }
  return true;
}

GROUNDSWELL_BEFORE_SANITIZERS bool IsOfThem(const char* variable) {
  return StartsWith(variable, "OMP_") || StartsWith(variable, "GOMP_") ||
         StartsWith(variable, "OPENBLAS_") || StartsWith(variable, "GOTO_");
}

// Before the constructors of any library: nothing but system calls. Where one fails, nothing is
// held.
GROUNDSWELL_BEFORE_SANITIZERS void HoldStandardError(int /*argc*/, char** /*argv*/,
                                                     char** environment) {
  char** variable = environment;
  while (*variable != nullptr && !IsOfThem(*variable)) ++variable;
  if (*variable == nullptr) return;
  const auto lowest = static_cast<int>(::syscall(SYS_memfd_create, "early-output", MFD_CLOEXEC));
  if (lowest < 0) return;
  // Above the standard streams: one that is closed would seem to be open, and then be another file.
  const auto file =
      static_cast<int>(::syscall(SYS_fcntl, lowest, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
  ::syscall(SYS_close, lowest);
  if (file < 0) return;
  const auto given =
      static_cast<int>(::syscall(SYS_fcntl, STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
  if (given < 0 || ::syscall(SYS_dup3, file, STDERR_FILENO, 0) < 0) {
    if (given >= 0) ::syscall(SYS_close, given);
    ::syscall(SYS_close, file);
    return;
  }
  standard_error = given;
  held = file;
}

__attribute__((section(".preinit_array"), used)) void (*const kHold)(int, char**,
                                                                     char**) = HoldStandardError;

std::string ReadHeld() {
  std::string text;
  std::array<char, 4096> piece{};
  for (off_t at = 0;;) {
    const ssize_t size = ::pread(held, piece.data(), piece.size(), at);
    if (size <= 0) return text;
    text.append(piece.data(), static_cast<size_t>(size));
    at += size;
  }
}

}  // namespace

std::vector<std::string> TakeEarlyOutput() {
  std::vector<std::string> lines;
  if (held < 0) return lines;
  ::dup2(standard_error, STDERR_FILENO);
  ::close(standard_error);
  std::istringstream text(ReadHeld());
  ::close(held);
  held = standard_error = -1;
  for (std::string line; std::getline(text, line);) {
    if (!line.empty()) lines.push_back(line);
  }
  return lines;
}

}  // namespace groundswell
