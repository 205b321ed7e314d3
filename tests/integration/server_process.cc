#include "tests/integration/server_process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "tests/support/temporary_directory.h"

namespace groundswell {
namespace {

constexpr std::chrono::seconds kStartLimit{300};

constexpr char kFiller = '\0';

// Until it has no room.
void Fill(int pipe) {
  fcntl(pipe, F_SETFL, O_NONBLOCK);
  while (write(pipe, &kFiller, 1) == 1) {
  }
  fcntl(pipe, F_SETFL, 0);
}

// Starts a program with stdout (and stderr, if asked) going to the returned descriptor, which, if
// asked, is full. When this thread is gone, so is the program.
pid_t Spawn(const std::vector<std::string>& arguments, const Environment& environment,
            bool with_stderr, int* output, bool full = false) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe2 failed");
  if (full) Fill(ends[1]);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  if (with_stderr) posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
  std::vector<char*> argv;
  for (const char* word : {"/usr/bin/setpriv", "--pdeathsig", "KILL", "--"}) {
    argv.push_back(const_cast<char*>(word));
  }
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  std::vector<std::string> variables;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view given = *variable;
    // Of two of one name a program may see either.
    if (!environment.contains(std::string(given.substr(0, given.find('='))))) {
      variables.emplace_back(given);
    }
  }
  for (const auto& [name, value] : environment) variables.push_back(name + "=" + value);
  std::vector<char*> envp;
  for (std::string& variable : variables) envp.push_back(variable.data());
  envp.push_back(nullptr);
  // A group of its own: an interrupt of the terminal is this process's to answer.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  pid_t pid = -1;
  const int error = posix_spawn(&pid, argv[0], &actions, &attributes, argv.data(), envp.data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  if (error != 0) {
    close(ends[0]);
    throw std::runtime_error("cannot start " + arguments[0]);
  }
  *output = ends[0];
  return pid;
}

int Wait(pid_t pid) {
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

Finished ReadToEnd(pid_t pid, int output) {
  Finished finished;
  char buffer[4096];
  ssize_t size = 0;
  while ((size = read(output, buffer, sizeof(buffer))) > 0) {
    finished.output.append(buffer, static_cast<size_t>(size));
  }
  close(output);
  finished.exit_code = Wait(pid);
  return finished;
}

// Lives as long as the process.
class ImportedSample {
 public:
  ImportedSample() {
    const Finished import = RunProgram({GROUNDSWELL_SERVER_PROGRAM, "import", "--snapshot",
                                        GROUNDSWELL_SAMPLE_SNAPSHOT, "--data-dir", data_dir()});
    if (import.exit_code != 0) throw std::runtime_error("import failed: " + import.output);
  }
  std::string data_dir() const { return directory_.File("db"); }

 private:
  TemporaryDirectory directory_;
};

}  // namespace

Finished RunProgram(const std::vector<std::string>& arguments, const Environment& environment) {
  int output = -1;
  const pid_t pid = Spawn(arguments, environment, /*with_stderr=*/true, &output);
  return ReadToEnd(pid, output);
}

ProgramThatWaits::ProgramThatWaits(const std::vector<std::string>& arguments) {
  pid_ = Spawn(arguments, {}, /*with_stderr=*/true, &output_, /*full=*/true);
}

ProgramThatWaits::~ProgramThatWaits() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  Wait(pid_);
  close(output_);
}

Finished ProgramThatWaits::Finish() {
  Finished finished = ReadToEnd(std::exchange(pid_, -1), output_);
  std::erase(finished.output, kFiller);
  return finished;
}

void ImportSample(const std::string& data_dir) {
  static const ImportedSample sample;
  std::filesystem::copy(sample.data_dir(), data_dir, std::filesystem::copy_options::recursive);
}

std::string HttpGet(int port, const std::string& path) {
  const int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::string response;
  if (connect(connection, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) {
    const std::string request = "GET " + path + " HTTP/1.0\r\nHost: localhost\r\n\r\n";
    if (write(connection, request.data(), request.size()) == static_cast<ssize_t>(request.size())) {
      char buffer[4096];
      ssize_t size = 0;
      while ((size = read(connection, buffer, sizeof(buffer))) > 0) {
        response.append(buffer, static_cast<size_t>(size));
      }
    }
  }
  close(connection);
  return response;
}

ServerProcess::ServerProcess(const std::string& data_dir, std::vector<std::string> flags,
                             const Environment& environment, std::vector<std::string> under) {
  std::vector<std::string> arguments = std::move(under);
  for (const std::string& argument :
       {std::string(GROUNDSWELL_SERVER_PROGRAM), std::string("serve"),
        "--server.data_dir=" + data_dir, std::string("--server.grpc_address=127.0.0.1:0"),
        std::string("--server.http_address=127.0.0.1:0"), std::string("--logging.level=warn"),
        // As long as the caller's deadline allows, since what a test has just written must be in
        // the answer on a busy machine too.
        std::string("--request.consistency_wait_ms=600000")}) {
    arguments.push_back(argument);
  }
  arguments.insert(arguments.end(), flags.begin(), flags.end());
  pid_ = Spawn(arguments, environment, /*with_stderr=*/false, &output_);
  WaitUntilReady();
}

ServerProcess::~ServerProcess() {
  if (pid_ > 0) Stop(SIGKILL);
}

void ServerProcess::WaitUntilReady() {
  const auto limit = std::chrono::steady_clock::now() + kStartLimit;
  std::string line;
  while (std::chrono::steady_clock::now() < limit) {
    pollfd waiting{.fd = output_, .events = POLLIN, .revents = 0};
    if (poll(&waiting, 1, 100) <= 0) continue;
    char byte = 0;
    if (read(output_, &byte, 1) <= 0) break;
    line.push_back(byte);
    if (byte != '\n') continue;
    if (std::sscanf(line.c_str(), "ready grpc_port=%d http_port=%d admin_port=%d connect_port=%d",
                    &grpc_port_, &http_port_, &admin_port_, &connect_port_) >= 3) {
      return;
    }
    line.clear();
  }
  throw std::runtime_error("the server did not become ready and ended with status " +
                           std::to_string(Stop(SIGKILL)));
}

bool ServerProcess::HasEnded() const {
  siginfo_t about{};
  return waitid(P_PID, static_cast<id_t>(pid_), &about, WEXITED | WNOHANG | WNOWAIT) == 0 &&
         about.si_pid != 0;
}

bool ServerProcess::IsReady() const {
  return HttpGet(http_port_, "/readyz").find(" 200 ") != std::string::npos;
}

void ServerProcess::Signal(int signal_number) const { kill(pid_, signal_number); }

int ServerProcess::Stop(int signal_number) {
  kill(pid_, signal_number);
  const int exit_code = Wait(pid_);
  close(output_);
  pid_ = -1;
  return exit_code;
}

}  // namespace groundswell
