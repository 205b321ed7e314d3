#include "client/listener_probe.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>

namespace groundswell {
namespace {

constexpr std::chrono::milliseconds kProbePatience{500};
// HTTP/1 answers it, gRPC and TLS say that it is none of theirs.
constexpr std::string_view kQuestion = "GET / HTTP/1.0\r\nHost: localhost\r\n\r\n";
constexpr char kTlsAlert = 0x15;
constexpr size_t kFrameTypeAt = 3;  // in an HTTP/2 frame, behind its length
constexpr size_t kFrameBytes = 9;
constexpr char kSettingsFrame = 4;
constexpr char kGoAwayFrame = 7;

class Socket {
 public:
  explicit Socket(int descriptor) : descriptor_(descriptor) {}
  ~Socket() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int get() const { return descriptor_; }

 private:
  const int descriptor_;
};

bool Await(int descriptor, short events, std::chrono::steady_clock::time_point deadline) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
      deadline - std::chrono::steady_clock::now());
  pollfd waiting{.fd = descriptor, .events = events, .revents = 0};
  return left.count() > 0 && poll(&waiting, 1, static_cast<int>(left.count())) > 0;
}

bool Connect(int descriptor, const addrinfo& to, std::chrono::steady_clock::time_point deadline) {
  if (connect(descriptor, to.ai_addr, to.ai_addrlen) == 0) return true;
  int error = 0;
  socklen_t size = sizeof(error);
  return errno == EINPROGRESS && Await(descriptor, POLLOUT, deadline) &&
         getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0;
}

ListenerKind KindOf(std::string_view answer) {
  if (answer.starts_with("HTTP/1")) return ListenerKind::kHttp;
  if (answer.starts_with(kTlsAlert)) return ListenerKind::kTls;
  const bool is_frame = answer.size() >= kFrameBytes && (answer[kFrameTypeAt] == kSettingsFrame ||
                                                         answer[kFrameTypeAt] == kGoAwayFrame);
  return is_frame ? ListenerKind::kGrpc : ListenerKind::kUnknown;
}

}  // namespace

ListenerKind ProbeListener(const std::string& address, std::chrono::milliseconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos) return ListenerKind::kNone;
  std::string host = address.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), address.substr(colon + 1).c_str(), &hints, &found) != 0) {
    return ListenerKind::kNone;
  }
  ListenerKind kind = ListenerKind::kNone;
  for (const addrinfo* to = found; to != nullptr && kind == ListenerKind::kNone; to = to->ai_next) {
    const Socket socket_to(
        socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, to->ai_protocol));
    if (socket_to.get() < 0 || !Connect(socket_to.get(), *to, deadline)) continue;
    kind = ListenerKind::kUnknown;
    if (send(socket_to.get(), kQuestion.data(), kQuestion.size(), MSG_NOSIGNAL) < 0) continue;
    char answer[64];
    if (!Await(socket_to.get(), POLLIN, deadline)) continue;
    const ssize_t size = recv(socket_to.get(), answer, sizeof(answer), 0);
    // Who wants TLS hears no greeting in it, and may hang up without a word.
    kind = size > 0 ? KindOf({answer, static_cast<size_t>(size)}) : ListenerKind::kTls;
  }
  freeaddrinfo(found);
  return kind;
}

std::string WhyUnavailable(const Connection& connection) {
  const std::string proxy = ProxyOf(connection.address);
  if (!proxy.empty()) {
    return fmt::format("server {} by way of the proxy {}; is it running? set --server, or no_proxy",
                       connection.address, proxy);
  }
  const bool with_tls = !connection.ca_file.empty();
  switch (ProbeListener(connection.address, kProbePatience)) {
    case ListenerKind::kHttp:
      return fmt::format(
          "at {} listens HTTP, such as the server's metrics (server.http_address, 7101); give "
          "--server the address of gRPC (server.grpc_address, 7100)",
          connection.address);
    case ListenerKind::kTls:
      if (with_tls) break;
      return fmt::format(
          "at {} listens TLS, as it seems; name the root of its certificate with --ca-file",
          connection.address);
    case ListenerKind::kGrpc:
      if (!with_tls) break;
      return fmt::format("at {} listens plain text; leave out --ca-file (GROUNDSWELL_CA_FILE)",
                         connection.address);
    case ListenerKind::kNone:
    case ListenerKind::kUnknown:
      break;
  }
  return fmt::format("server {}; is it running? set --server", connection.address);
}

}  // namespace groundswell
