#include "client/quickstart/own_server.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

namespace groundswell {
namespace {

constexpr int kPollMs = 100;
constexpr size_t kShownBytes = 2'000;  // of what a server said that did not start

absl::Status OwnServerError(std::string_view doing) {
  return absl::FailedPreconditionError(fmt::format("cannot {}: {}", doing, strerror(errno)));
}

// In the child: nothing but system calls. It ends with its parent, and has a group of its own, so
// that an interrupt from the terminal reaches only the parent, which then ends it in order.
[[noreturn]] void Become(const std::vector<char*>& arguments, int output, int log) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  ::signal(SIGINT, SIG_DFL);
  ::signal(SIGTERM, SIG_DFL);
  if (::dup2(output, STDOUT_FILENO) >= 0 && ::dup2(log, STDERR_FILENO) >= 0) {
    ::execv(arguments[0], arguments.data());
  }
  ::_exit(127);
}

// The last line of a log that is no empty one, without its time and level, and which of our flags
// may mend it.
std::string LastWordsIn(const std::string& file) {
  std::ifstream input(file, std::ios::binary);
  std::string line, last;
  while (std::getline(input, line)) {
    if (!line.empty()) last = line.substr(0, kShownBytes);
  }
  constexpr std::string_view kLevel = "[critical] ";
  if (const size_t at = last.find(kLevel); at != last.npos) last.erase(0, at + kLevel.size());
  for (const std::string address : {"grpc", "http", "connect"}) {
    if (last.find("server." + address + "_address") == last.npos) continue;
    last += fmt::format("; --{}-address names another", address);
  }
  return last.empty() ? "it said nothing" : last;
}

}  // namespace

absl::StatusOr<std::unique_ptr<OwnServer>> OwnServer::Start(const Options& options,
                                                            const std::function<bool()>& stopped) {
  if (::access(options.program.c_str(), X_OK) != 0) {
    return OwnServerError(fmt::format("run \"{}\"", options.program));
  }
  const int log = ::open(options.log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (log < 0) return OwnServerError(fmt::format("write \"{}\"", options.log_file));
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    ::close(log);
    return OwnServerError("make a pipe");
  }
  std::vector<char*> arguments = {const_cast<char*>(options.program.c_str())};
  for (const std::string& one : options.arguments) {
    arguments.push_back(const_cast<char*>(one.c_str()));
  }
  arguments.push_back(nullptr);
  const pid_t process = ::fork();
  if (process == 0) Become(arguments, ends[1], log);
  ::close(ends[1]);
  ::close(log);
  if (process < 0) {
    ::close(ends[0]);
    return OwnServerError("start a process");
  }
  std::unique_ptr<OwnServer> server(new OwnServer(process, ends[0]));
  if (absl::Status s = server->AwaitReady(stopped); !s.ok()) {
    if (!absl::IsFailedPrecondition(s)) return s;
    return absl::FailedPreconditionError(
        fmt::format("the server did not start: {} (all that it said: {})",
                    LastWordsIn(options.log_file), options.log_file));
  }
  return server;
}

absl::Status OwnServer::AwaitReady(const std::function<bool()>& stopped) {
  std::string line;
  while (!stopped()) {
    pollfd waiting{.fd = output_, .events = POLLIN, .revents = 0};
    if (::poll(&waiting, 1, kPollMs) <= 0) continue;
    char byte = 0;
    if (::read(output_, &byte, 1) <= 0) return absl::FailedPreconditionError("it ended");
    if (byte != '\n') {
      line.push_back(byte);
      continue;
    }
    if (std::sscanf(line.c_str(), "ready grpc_port=%d http_port=%d admin_port=%*d connect_port=%d",
                    &grpc_port_, &http_port_, &connect_port_) >= 2) {
      return absl::OkStatus();
    }
    line.clear();
  }
  return absl::CancelledError("stopped");
}

bool OwnServer::HasEnded() {
  if (process_ == 0) return true;
  int status = 0;
  if (::waitpid(process_, &status, WNOHANG) != process_) return false;
  exit_status_ = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  process_ = 0;
  return true;
}

int OwnServer::Stop() {
  if (HasEnded()) return exit_status_;
  ::kill(process_, SIGTERM);
  int status = 0;
  while (::waitpid(process_, &status, 0) < 0 && errno == EINTR) {
  }
  exit_status_ = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  process_ = 0;
  return exit_status_;
}

OwnServer::~OwnServer() {
  Stop();
  ::close(output_);
}

absl::StatusOr<std::string> ProgramBeside(const std::string& name) {
  std::error_code error;
  const std::filesystem::path own = std::filesystem::read_symlink("/proc/self/exe", error);
  const std::filesystem::path path = own.parent_path() / name;
  if (!error && ::access(path.c_str(), X_OK) == 0) return path.string();
  return absl::NotFoundError(
      fmt::format("there is no program {}; name it with --server-program", path.string()));
}

}  // namespace groundswell
