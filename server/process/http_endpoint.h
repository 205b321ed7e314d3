// HttpEndpoint: what monitoring asks over HTTP. /metrics (Prometheus' text format), /healthz (the
// process answers), /readyz (it may be sent requests: 200, else 503 and the reason).
//
// GET and HEAD, with the bounds of HttpServer; a body may have 1 KiB, since nothing here takes one.
#ifndef GROUNDSWELL_SERVER_PROCESS_HTTP_ENDPOINT_H_
#define GROUNDSWELL_SERVER_PROCESS_HTTP_ENDPOINT_H_

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/process/http_server.h"

namespace groundswell {

class MonitoringRoutes;

class HttpEndpoint {
 public:
  // Called from the endpoint's two threads, each function from one of them.
  struct Sources {
    // The body of /metrics. On a thread of its own: health checks do not wait for it.
    std::function<std::string()> metrics;
    // Empty: ready. On the thread that serves all connections: must wait for nothing.
    std::function<std::string()> not_ready_because;
    // A connection was refused, or cut off: there were too many, or it was too slow or sent too
    // much. Likewise.
    std::function<void()> on_cut_off = [] {};
  };
  struct Limits {
    size_t connections_max = 64;
    // For a request from its first to its last byte, and then for its answer. A new connection's
    // first request is waited for no longer than that.
    std::chrono::milliseconds transfer{5'000};
    // For the first byte of a kept connection's next request.
    std::chrono::milliseconds idle{75'000};
  };

  // `address`: "host:port" or "[host]:port"; port 0 takes a free one. Unavailable, naming the
  // address and the remedy, when it cannot be listened on.
  static absl::StatusOr<std::unique_ptr<HttpEndpoint>> Start(const std::string& address,
                                                             Sources sources, const Limits& limits);
  // Waits for the requests in progress, for one second at most where peers do not fetch their
  // answers; afterwards `sources` is not called again.
  ~HttpEndpoint();

  // The port listened on.
  int port() const { return server_->port(); }

 private:
  HttpEndpoint(std::unique_ptr<MonitoringRoutes> routes, std::unique_ptr<HttpServer> server);

  std::unique_ptr<MonitoringRoutes> routes_;
  std::unique_ptr<HttpServer> server_;  // last: its handler uses the routes
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_PROCESS_HTTP_ENDPOINT_H_
