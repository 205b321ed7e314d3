// What HttpServer takes and gives, and its bounds.
#ifndef GROUNDSWELL_SERVER_PROCESS_HTTP_MESSAGE_H_
#define GROUNDSWELL_SERVER_PROCESS_HTTP_MESSAGE_H_

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace groundswell {

class HttpTls;

struct HttpRequest {
  std::string method;  // as it was sent: methods are in capitals
  std::string path;    // without what follows a '?'
  std::vector<std::pair<std::string, std::string>> fields;
  std::string body;
  // Of the certificate that the peer has, where TLS asks for one: its common name, and what else
  // it says to be.
  std::vector<std::string> certificate_names;

  // The first of that name, in whatever case; empty when there is none.
  std::string_view Field(std::string_view name) const;
};

struct HttpAnswer {
  int status = 200;
  std::string body;
  std::string content_type = "text/plain; charset=utf-8";
  std::vector<std::pair<std::string, std::string>> fields = {};  // besides
};

struct HttpOptions {
  const char* setting = "";  // that has the address, for errors
  const char* thread_name = "http";
  std::shared_ptr<const HttpTls> tls = nullptr;  // null: plain text
  size_t connections_max = 64;
  size_t body_bytes_max = 1'024;
  size_t all_bodies_bytes_max = size_t{64} << 20;
  // For a request from its first to its last byte, and then for its answer. A new connection's
  // first request is waited for no longer than that.
  std::chrono::milliseconds transfer{5'000};
  // For the first byte of a kept connection's next request.
  std::chrono::milliseconds idle{75'000};
  // A connection was refused, or cut off: there were too many, it was too slow or sent too much, or
  // its TLS handshake failed. As HttpServer::Handler.
  std::function<void()> on_cut_off = [] {};
  // Whether a request, of which only the header is there, is a stream of lines: one whose body has
  // no length that is known, or a longer one than body_bytes_max, is then handled as an
  // HttpExchange. Null: none is.
  std::function<bool(const HttpRequest&)> is_stream = nullptr;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_PROCESS_HTTP_MESSAGE_H_
