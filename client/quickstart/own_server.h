// OwnServer: a groundswell-server that this program starts, and ends with itself.
#ifndef GROUNDSWELL_CLIENT_QUICKSTART_OWN_SERVER_H_
#define GROUNDSWELL_CLIENT_QUICKSTART_OWN_SERVER_H_

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace groundswell {

// For one thread.
class OwnServer {
 public:
  struct Options {
    std::string program;
    std::vector<std::string> arguments;
    std::string log_file;  // that gets what the server says on stderr
  };

  // Starts it, and returns once it answers. FailedPrecondition, with the end of what it said, when
  // it ends first; Cancelled, and it is ended, when `stopped` answers true. Before the process has
  // other threads.
  static absl::StatusOr<std::unique_ptr<OwnServer>> Start(const Options& options,
                                                          const std::function<bool()>& stopped);
  // Ends it, if that was not done.
  ~OwnServer();
  OwnServer(const OwnServer&) = delete;
  OwnServer& operator=(const OwnServer&) = delete;

  int grpc_port() const { return grpc_port_; }
  int http_port() const { return http_port_; }
  int connect_port() const { return connect_port_; }  // 0: it listens for no Connect

  // Whether it has ended by itself.
  bool HasEnded();
  // Has it end what it took on, and waits for that. Its exit status; -1 when a signal ended it.
  int Stop();

 private:
  OwnServer(pid_t process, int output) : process_(process), output_(output) {}
  absl::Status AwaitReady(const std::function<bool()>& stopped);

  pid_t process_;  // 0: it has ended
  int output_;     // its standard output
  int exit_status_ = -1;
  int grpc_port_ = 0;
  int http_port_ = 0;
  int connect_port_ = 0;
};

// The program `name` in the directory of this one; NotFound when it is not there.
absl::StatusOr<std::string> ProgramBeside(const std::string& name);

}  // namespace groundswell

#endif  // GROUNDSWELL_CLIENT_QUICKSTART_OWN_SERVER_H_
