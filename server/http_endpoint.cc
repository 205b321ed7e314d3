#include "server/http_endpoint.h"

#include <CivetServer.h>
#include <fmt/format.h>

#include <cstring>
#include <exception>
#include <mutex>
#include <string_view>
#include <utility>

#include "absl/status/status.h"

namespace groundswell {
namespace {

struct Reply {
  int code = 200;
  std::string_view reason = "OK";
  std::string_view type = "text/plain; charset=utf-8";
  std::string body;
};

class TextHandler final : public CivetHandler {
 public:
  explicit TextHandler(std::function<Reply()> answer) : answer_(std::move(answer)) {}

  bool handleGet(CivetServer*, mg_connection* connection) override {
    Send(connection, /*with_body=*/true);
    return true;
  }
  bool handleHead(CivetServer*, mg_connection* connection) override {
    Send(connection, /*with_body=*/false);
    return true;
  }

 private:
  void Send(mg_connection* connection, bool with_body) const {
    Reply reply;
    try {
      reply = answer_();
    } catch (const std::exception& e) {
      reply = {500, "Internal Server Error", "text/plain; charset=utf-8",
               fmt::format("{}\n", e.what())};
    }
    const std::string head = fmt::format(
        "HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n"
        "Cache-Control: no-store\r\nConnection: close\r\n\r\n",
        reply.code, reply.reason, reply.type, reply.body.size());
    mg_write(connection, head.data(), head.size());
    if (with_body) mg_write(connection, reply.body.data(), reply.body.size());
  }

  const std::function<Reply()> answer_;
};

absl::Status CannotListen(const std::string& address, std::string_view why) {
  return absl::UnavailableError(
      fmt::format("server.http_address \"{}\" cannot be listened on ({}); it must be host:port of "
                  "this machine and not in use; port 0 takes a free one",
                  address, why));
}

}  // namespace

// The first complaint of the library, which tells it to a callback only and names the cause.
struct HttpEndpoint::Complaint {
  std::mutex mutex;
  std::string text;
};

int HttpEndpoint::OnLog(const mg_connection* connection, const char* message) {
  // The library's user data is the CivetServer, which keeps the context given to its constructor.
  const auto* server =
      static_cast<const CivetServer*>(mg_get_user_data(mg_get_context(connection)));
  auto* complaint = server == nullptr
                        ? nullptr
                        : static_cast<Complaint*>(const_cast<void*>(server->getUserContext()));
  if (complaint != nullptr) {
    const std::lock_guard lock(complaint->mutex);
    if (complaint->text.empty()) complaint->text = message;
  }
  return 1;  // said; the library need not print it
}

HttpEndpoint::HttpEndpoint() : complaint_(std::make_unique<Complaint>()) {}

HttpEndpoint::~HttpEndpoint() {
  if (server_ != nullptr) server_->close();
}

absl::StatusOr<std::unique_ptr<HttpEndpoint>> HttpEndpoint::Start(const std::string& address,
                                                                  Sources sources) {
  std::unique_ptr<HttpEndpoint> endpoint(new HttpEndpoint());
  CivetCallbacks callbacks;
  std::memset(static_cast<mg_callbacks*>(&callbacks), 0, sizeof(mg_callbacks));
  callbacks.log_message = OnLog;
  try {
    endpoint->server_ = std::make_unique<CivetServer>(
        std::vector<std::string>{"listening_ports", address, "num_threads", "2",
                                 "request_timeout_ms", "5000", "enable_keep_alive", "no"},
        &callbacks, endpoint->complaint_.get());
    const std::vector<int> ports = endpoint->server_->getListeningPorts();
    if (ports.empty()) return CannotListen(address, "no port");
    endpoint->port_ = ports.front();
  } catch (const std::exception& e) {
    const std::lock_guard lock(endpoint->complaint_->mutex);
    const std::string& text = endpoint->complaint_->text;
    return CannotListen(address, text.empty() ? e.what() : text);
  }

  const auto add = [&endpoint](const char* path, std::function<Reply()> answer) {
    endpoint->handlers_.push_back(std::make_unique<TextHandler>(std::move(answer)));
    endpoint->server_->addHandler(path, endpoint->handlers_.back().get());
  };
  add("/metrics", [render = std::move(sources.metrics)] {
    return Reply{200, "OK", "text/plain; version=0.0.4; charset=utf-8", render()};
  });
  add("/healthz", [] { return Reply{.body = "ok\n"}; });
  add("/readyz", [why_not = std::move(sources.not_ready_because)] {
    const std::string reason = why_not();
    if (reason.empty()) return Reply{.body = "ready\n"};
    return Reply{.code = 503, .reason = "Service Unavailable", .body = reason + "\n"};
  });
  return endpoint;
}

}  // namespace groundswell
