// HttpServer: HTTP/1.1 for anyone who connects, with a bound on everything; Boost.Beast carries it.
//
// HTTP of 1.0 and 1.1, connections kept and pipelined requests included. Nothing that a peer sends,
// or leaves unsent, is without a bound: a header may have 8 KiB (else 431), a body what Options say
// (else 413), a request as a whole and an answer as a whole the time of Options. All bodies that
// are being read or answered together may have what Options say, as they come and not as they are
// announced; for more, the oldest that is not whole yet gives way (503). One connection more than
// Options allow lets the oldest go of those that never sent a whole request, else of those that
// wait for their next one, else of those that do not fetch their answer; it is answered 503 when
// all are being answered.
//
// Why Beast: it is in Debian and kept, asynchronous on one thread whatever the number of
// connections, and leaves every limit to its user. cpp-httplib has a thread per connection, libh2o
// is C with an event loop of its own, nghttp2's asio is not in Debian 12 any more.
#ifndef GROUNDSWELL_SERVER_PROCESS_HTTP_SERVER_H_
#define GROUNDSWELL_SERVER_PROCESS_HTTP_SERVER_H_

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace groundswell {

class HttpListener;

struct HttpRequest {
  std::string method;  // as it was sent: methods are in capitals
  std::string path;    // without what follows a '?'
  std::vector<std::pair<std::string, std::string>> fields;
  std::string body;

  // The first of that name, in whatever case; empty when there is none.
  std::string_view Field(std::string_view name) const;
};

struct HttpAnswer {
  int status = 200;
  std::string body;
  std::string content_type = "text/plain; charset=utf-8";
  std::vector<std::pair<std::string, std::string>> fields = {};  // besides
};

class HttpServer {
 public:
  // Once, from any thread, at any time, also after the server is gone. An answer that nobody waits
  // for any more is dropped.
  using Answer = std::function<void(HttpAnswer)>;
  // Called on the thread that serves all connections: must wait for nothing. What it throws is
  // answered with 500.
  using Handler = std::function<void(HttpRequest, Answer)>;
  struct Options {
    const char* setting = "";  // that has the address, for errors
    const char* thread_name = "http";
    size_t connections_max = 64;
    size_t body_bytes_max = 1'024;
    size_t all_bodies_bytes_max = size_t{64} << 20;
    // For a request from its first to its last byte, and then for its answer. A new connection's
    // first request is waited for no longer than that.
    std::chrono::milliseconds transfer{5'000};
    // For the first byte of a kept connection's next request.
    std::chrono::milliseconds idle{75'000};
    // A connection was refused, or cut off: there were too many, or it was too slow or sent too
    // much. As Handler.
    std::function<void()> on_cut_off = [] {};
  };

  // `address`: "host:port" or "[host]:port"; port 0 takes a free one. Unavailable, naming the
  // setting, the address and the remedy, when it cannot be listened on.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(const std::string& address,
                                                           Options options, Handler handler);
  // Waits for the requests in progress, for one second at most where answers are not made or not
  // fetched; afterwards the handler is not called again.
  ~HttpServer();

  // Takes no new connections and requests: once it has returned, the handler is not called any
  // more. Not from the handler.
  void StopAccepting();

  // The port listened on.
  int port() const { return port_; }

 private:
  HttpServer(std::shared_ptr<HttpListener> listener, int port);

  std::shared_ptr<HttpListener> listener_;
  int port_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_PROCESS_HTTP_SERVER_H_
