// HttpEndpoint: what monitoring asks over HTTP. /metrics (Prometheus' text format), /healthz (the
// process answers), /readyz (it may be sent requests: 200, else 503 and the reason).
//
// GET and HEAD of HTTP/1.0 and 1.1, connections kept and pipelined requests included. Anyone may
// connect, so nothing that a peer sends, or leaves unsent, is without a bound: a header may have
// 8 KiB (else 431), a body 1 KiB (else 413; nothing here takes one), a request as a whole and an
// answer as a whole the time of Limits. One connection more than Limits allows lets the oldest go
// of those that never sent a whole request, else of those that wait for their next one, else of
// those that do not fetch their answer; it is answered 503 when all are being answered.
#ifndef GROUNDSWELL_SERVER_PROCESS_HTTP_ENDPOINT_H_
#define GROUNDSWELL_SERVER_PROCESS_HTTP_ENDPOINT_H_

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace groundswell {

class HttpListener;

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
  int port() const { return port_; }

 private:
  HttpEndpoint(std::unique_ptr<HttpListener> listener, int port);

  std::unique_ptr<HttpListener> listener_;
  int port_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_PROCESS_HTTP_ENDPOINT_H_
