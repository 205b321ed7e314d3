// HttpEndpoint: what monitoring asks over HTTP. /metrics (Prometheus' text format), /healthz (the
// process answers), /readyz (it may be sent requests: 200, else 503 and the reason).
#ifndef GROUNDSWELL_SERVER_PROCESS_HTTP_ENDPOINT_H_
#define GROUNDSWELL_SERVER_PROCESS_HTTP_ENDPOINT_H_

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/statusor.h"

namespace httplib {
class Server;
}  // namespace httplib

namespace groundswell {

class HttpEndpoint {
 public:
  // Called from the endpoint's own threads, several at once.
  struct Sources {
    std::function<std::string()> metrics;            // body of /metrics
    std::function<std::string()> not_ready_because;  // empty: ready
  };

  // `address`: "host:port"; port 0 takes a free one. Unavailable, naming the address and the
  // remedy, when it cannot be listened on.
  static absl::StatusOr<std::unique_ptr<HttpEndpoint>> Start(const std::string& address,
                                                             Sources sources);
  // Waits for the requests in progress; afterwards `sources` is not called again.
  ~HttpEndpoint();

  // The port listened on.
  int port() const { return port_; }

 private:
  HttpEndpoint();

  std::unique_ptr<httplib::Server> server_;
  int port_ = 0;
  std::thread listener_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_PROCESS_HTTP_ENDPOINT_H_
