#include "server/process/http_endpoint.h"

#include <fmt/format.h>
#include <httplib.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/status/status.h"

namespace groundswell {
namespace {

constexpr size_t kThreads = 2;
constexpr time_t kTimeoutSeconds = 5;
constexpr size_t kBodyBytesMax = 1'024;  // nothing here takes a body
constexpr char kText[] = "text/plain; charset=utf-8";

struct HostAndPort {
  std::string host;
  int port = 0;
};

std::optional<HostAndPort> Split(const std::string& address) {
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos || colon == 0) return std::nullopt;
  HostAndPort result{.host = address.substr(0, colon)};
  const char* const begin = address.data() + colon + 1;
  const char* const end = address.data() + address.size();
  const auto [at, error] = std::from_chars(begin, end, result.port);
  if (error != std::errc() || at != end || result.port < 0 || result.port > 65'535) {
    return std::nullopt;
  }
  return result;
}

absl::Status CannotListen(const std::string& address, std::string_view why) {
  return absl::UnavailableError(
      fmt::format("server.http_address \"{}\" cannot be listened on ({}); it must be host:port of "
                  "this machine and not in use; port 0 takes a free one",
                  address, why));
}

void Configure(httplib::Server& server) {
  server.new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
  // A kept connection would hold one of the few threads.
  server.set_keep_alive_max_count(1);
  server.set_read_timeout(kTimeoutSeconds);
  server.set_write_timeout(kTimeoutSeconds);
  server.set_payload_max_length(kBodyBytesMax);
  // The library's default would share the port with another process.
  server.set_socket_options([](socket_t socket) {
    const int yes = 1;
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  });
  server.set_exception_handler(
      [](const httplib::Request&, httplib::Response& response, std::exception_ptr thrown) {
        std::string what = "unknown error";
        try {
          std::rethrow_exception(std::move(thrown));
        } catch (const std::exception& e) {
          what = e.what();
        } catch (...) {
        }
        response.status = 500;
        response.set_content(what + "\n", kText);
      });
}

}  // namespace

HttpEndpoint::HttpEndpoint() : server_(std::make_unique<httplib::Server>()) {}

HttpEndpoint::~HttpEndpoint() {
  server_->stop();
  if (listener_.joinable()) listener_.join();
}

absl::StatusOr<std::unique_ptr<HttpEndpoint>> HttpEndpoint::Start(const std::string& address,
                                                                  Sources sources) {
  const std::optional<HostAndPort> listen = Split(address);
  if (!listen.has_value()) return CannotListen(address, "it is not host:port");
  std::unique_ptr<HttpEndpoint> endpoint(new HttpEndpoint());
  httplib::Server& server = *endpoint->server_;
  Configure(server);
  server.Get("/metrics", [render = std::move(sources.metrics)](const httplib::Request&,
                                                               httplib::Response& response) {
    response.set_content(render(), "text/plain; version=0.0.4; charset=utf-8");
  });
  server.Get("/healthz", [](const httplib::Request&, httplib::Response& response) {
    response.set_content("ok\n", kText);
  });
  server.Get("/readyz", [why_not = std::move(sources.not_ready_because)](
                            const httplib::Request&, httplib::Response& response) {
    const std::string reason = why_not();
    if (!reason.empty()) response.status = 503;
    response.set_content(reason.empty() ? "ready\n" : reason + "\n", kText);
  });

  errno = 0;
  endpoint->port_ = listen->port;
  const bool bound = listen->port == 0
                         ? (endpoint->port_ = server.bind_to_any_port(listen->host)) > 0
                         : server.bind_to_port(listen->host, listen->port);
  if (!bound) return CannotListen(address, errno != 0 ? std::strerror(errno) : "no such address");
  endpoint->listener_ = std::thread([&server] { server.listen_after_bind(); });
  // Stopping before the listener runs would leave it running for ever.
  while (!server.is_running()) std::this_thread::yield();
  return endpoint;
}

}  // namespace groundswell
