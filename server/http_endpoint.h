// HttpEndpoint: what monitoring asks over HTTP. /metrics (Prometheus' text format), /healthz (the
// process answers), /readyz (it may be sent requests: 200, else 503 and the reason).
#ifndef GROUNDSWELL_SERVER_HTTP_ENDPOINT_H_
#define GROUNDSWELL_SERVER_HTTP_ENDPOINT_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

class CivetHandler;
class CivetServer;
struct mg_connection;

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
  struct Complaint;

  HttpEndpoint();
  static int OnLog(const mg_connection* connection, const char* message);

  // Declared before the server, which calls them until it is destroyed.
  std::unique_ptr<Complaint> complaint_;
  std::vector<std::unique_ptr<CivetHandler>> handlers_;
  std::unique_ptr<CivetServer> server_;
  int port_ = 0;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_HTTP_ENDPOINT_H_
