// The real groundswell-server, as a process of its own on free ports, for one test.
#ifndef GROUNDSWELL_TESTS_INTEGRATION_SERVER_PROCESS_H_
#define GROUNDSWELL_TESTS_INTEGRATION_SERVER_PROCESS_H_

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

namespace groundswell {

// What a program printed and how it ended.
struct Finished {
  int exit_code = -1;  // -1: by a signal
  std::string output;  // stdout and stderr
};

// Variables added to this process's own, or in the place of those.
using Environment = std::map<std::string, std::string>;

// Runs a program to its end.
Finished RunProgram(const std::vector<std::string>& arguments, const Environment& environment = {});

// A program that stands still where it says its first word, since nobody takes it, until Finish.
class ProgramThatWaits {
 public:
  explicit ProgramThatWaits(const std::vector<std::string>& arguments);
  // Ends it, if that was not done.
  ~ProgramThatWaits();
  ProgramThatWaits(const ProgramThatWaits&) = delete;
  ProgramThatWaits& operator=(const ProgramThatWaits&) = delete;

  // Takes what it says, until its end.
  Finished Finish();

 private:
  pid_t pid_ = -1;
  int output_ = -1;
};

// Makes `data_dir` what the real command makes of the sample snapshot: imported once in a process,
// copied from then on.
void ImportSample(const std::string& data_dir);

// The body of an HTTP response of the server, with its status line; "" when nothing answers.
std::string HttpGet(int port, const std::string& path);

class ServerProcess {
 public:
  // Starts the server on `data_dir` with free ports and waits until it is ready. Throws when it
  // does not become so. It ends with the thread that started it, however that ends. `under`: a
  // program with its arguments that starts it, as prlimit does.
  explicit ServerProcess(const std::string& data_dir, std::vector<std::string> flags = {},
                         const Environment& environment = {}, std::vector<std::string> under = {});
  // Ends it, if that was not done.
  ~ServerProcess();
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  std::string grpc_address() const { return "127.0.0.1:" + std::to_string(grpc_port_); }
  pid_t pid() const { return pid_; }
  int grpc_port() const { return grpc_port_; }
  int http_port() const { return http_port_; }
  int admin_port() const { return admin_port_; }
  int connect_port() const { return connect_port_; }  // 0 without server.connect_address

  // Whether it has ended by itself; Stop has the exit code then.
  bool HasEnded() const;
  // What /readyz says.
  bool IsReady() const;

  // Sends the signal and goes on.
  void Signal(int signal_number) const;
  // Sends the signal and waits for the end; the exit code, or -1 when a signal ended it.
  int Stop(int signal_number);

 private:
  void WaitUntilReady();

  pid_t pid_ = -1;
  int output_ = -1;  // read end of the server's stdout
  int grpc_port_ = 0;
  int http_port_ = 0;
  int admin_port_ = 0;
  int connect_port_ = 0;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_TESTS_INTEGRATION_SERVER_PROCESS_H_
