// HttpServer: HTTP/1.1 for anyone who connects, with a bound on everything; Boost.Beast carries it.
//
// HTTP of 1.0 and 1.1, connections kept and pipelined requests included. Nothing that a peer sends,
// or leaves unsent, is without a bound: a header may have 8 KiB (else 431), a body what Options say
// (else 413), a request as a whole and an answer as a whole the time of Options. All bodies that
// are being read or answered together may have what Options say, as they come and not as they are
// announced; for more, the oldest that is not whole yet gives way (503). One connection more than
// Options allow lets the oldest go of those that never sent a whole request, else of those that
// wait for their next one, else of those that do not fetch their answer; it is answered 503 when
// all are being answered. With HttpOptions.tls all of it is within TLS, whose handshake is part of
// the first request.
//
// Why Beast: it is in Debian and kept, asynchronous on one thread whatever the number of
// connections, and leaves every limit to its user. cpp-httplib has a thread per connection, libh2o
// is C with an event loop of its own, nghttp2's asio is not in Debian 12 any more.
#ifndef GROUNDSWELL_SERVER_PROCESS_HTTP_SERVER_H_
#define GROUNDSWELL_SERVER_PROCESS_HTTP_SERVER_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/process/http_exchange.h"
#include "server/process/http_message.h"

namespace groundswell {

class HttpListener;

class HttpServer {
 public:
  // Once, from any thread, at any time, also after the server is gone. An answer that nobody waits
  // for any more is dropped.
  using Answer = std::function<void(HttpAnswer)>;
  // Called on the thread that serves all connections: must wait for nothing. What it throws is
  // answered with 500.
  using Handler = std::function<void(HttpRequest, Answer)>;
  // Likewise, of a request that is a stream (HttpOptions::is_stream): its exchange, which must be
  // ended, by End or by letting go of it.
  using StreamHandler = std::function<void(HttpRequest, std::shared_ptr<HttpExchange>)>;
  using Options = HttpOptions;

  // `address`: "host:port" or "[host]:port"; port 0 takes a free one. Unavailable, naming the
  // setting, the address and the remedy, when it cannot be listened on.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(const std::string& address,
                                                           Options options, Handler handler,
                                                           StreamHandler streams = nullptr);
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
