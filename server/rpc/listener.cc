#include "server/rpc/listener.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <exception>
#include <system_error>
#include <utility>

#include "scheduling/thread_scheduling.h"

namespace groundswell {
namespace {

constexpr int kBacklog = 1'024;
constexpr std::chrono::seconds kTellInterval{10};
constexpr std::chrono::milliseconds kPause{100};

int PortOf(int listening) {
  sockaddr_storage bound{};
  socklen_t size = sizeof(bound);
  if (getsockname(listening, reinterpret_cast<sockaddr*>(&bound), &size) != 0) return 0;
  return ntohs(bound.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(bound).sin6_port
                                           : reinterpret_cast<sockaddr_in&>(bound).sin_port);
}

void SetPort(sockaddr& address, int port) {
  if (address.sa_family == AF_INET6) {
    reinterpret_cast<sockaddr_in6&>(address).sin6_port = htons(static_cast<uint16_t>(port));
  } else {
    reinterpret_cast<sockaddr_in&>(address).sin_port = htons(static_cast<uint16_t>(port));
  }
}

// "host", or "[host]", is the part before the last colon.
std::pair<std::string, std::string> SplitAddress(const std::string& address) {
  const size_t colon = address.rfind(':');
  std::string host = address.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  return {std::move(host), colon == std::string::npos ? "" : address.substr(colon + 1)};
}

// -1 and errno when it cannot be listened at.
int ListenAt(const addrinfo& at) {
  const int listening =
      socket(at.ai_family, at.ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, at.ai_protocol);
  if (listening < 0) return -1;
  const int on = 1;
  setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (at.ai_family == AF_INET6) {
    const int off = 0;  // whatever net.ipv6.bindv6only says
    setsockopt(listening, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
  }
  if (bind(listening, at.ai_addr, at.ai_addrlen) == 0 && listen(listening, kBacklog) == 0) {
    return listening;
  }
  const int error = errno;
  close(listening);
  errno = error;
  return -1;
}

int OpenSpare() { return open("/dev/null", O_RDONLY | O_CLOEXEC); }

bool IsWantOfDescriptors(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

}  // namespace

bool IsLoopback(std::string_view address) {
  const std::string_view host = address.substr(0, address.rfind(':'));
  const bool is_ipv4 = host.find_first_not_of("0123456789.") == std::string_view::npos;
  return host == "localhost" || host == "[::1]" || (is_ipv4 && host.starts_with("127."));
}

Listener::Listener(int descriptors_end, OnConnection on_connection,
                   std::function<void()> on_turned_away)
    : descriptors_end_(descriptors_end),
      on_connection_(std::move(on_connection)),
      on_turned_away_(std::move(on_turned_away)) {}

Listener::~Listener() {
  if (thread_.joinable()) {
    const uint64_t one = 1;
    // An event that cannot be written to has been already.
    [[maybe_unused]] const ssize_t written = write(stop_, &one, sizeof(one));
    thread_.join();
  }
  for (const int listening : listening_) close(listening);
  if (stop_ >= 0) close(stop_);
  if (spare_ >= 0) close(spare_);
}

absl::StatusOr<std::unique_ptr<Listener>> Listener::Start(const std::string& address,
                                                          int descriptors_end,
                                                          OnConnection on_connection,
                                                          std::function<void()> on_turned_away) {
  std::unique_ptr<Listener> listener(
      new Listener(descriptors_end, std::move(on_connection), std::move(on_turned_away)));
  if (absl::Status s = listener->Bind(address); !s.ok()) return s;
  listener->stop_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  listener->spare_ = OpenSpare();
  if (listener->stop_ < 0 || listener->spare_ < 0) {
    return absl::UnavailableError(fmt::format("no descriptor is left: {}", std::strerror(errno)));
  }
  try {
    listener->thread_ = std::thread([raw = listener.get()] { raw->AcceptLoop(); });
  } catch (const std::system_error& e) {
    return absl::UnavailableError(fmt::format("no thread is left: {}", e.what()));
  }
  return listener;
}

absl::Status Listener::Bind(const std::string& address) {
  const auto [host, port] = SplitAddress(address);
  // As gRPC takes them: both are all addresses of both families, where there are both.
  if (host == "::" || host == "0.0.0.0") {
    if (absl::Status s = BindHost("::", port); s.ok() || !absl::IsNotFound(s)) return s;
    return BindHost("0.0.0.0", port);
  }
  absl::Status status = BindHost(host, port);
  return absl::IsNotFound(status) ? absl::UnavailableError(status.message()) : status;
}

absl::Status Listener::BindHost(const std::string& host, const std::string& port) {
  const addrinfo hints{.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
  addrinfo* found = nullptr;
  const int error = getaddrinfo(host.c_str(), port.c_str(), &hints, &found);
  if (error != 0) return absl::UnavailableError(gai_strerror(error));
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> addresses(found, freeaddrinfo);
  for (addrinfo* at = addresses.get(); at != nullptr; at = at->ai_next) {
    if (port_ != 0) SetPort(*at->ai_addr, port_);  // all at the one that the first got
    const int listening = ListenAt(*at);
    // A name may stand for an address of a family that this machine does not have.
    if (listening < 0 && (errno == EADDRNOTAVAIL || errno == EAFNOSUPPORT)) continue;
    if (listening < 0) return absl::UnavailableError(std::strerror(errno));
    listening_.push_back(listening);
    port_ = PortOf(listening);
  }
  if (listening_.empty()) return absl::NotFoundError("this machine does not have the address");
  return absl::OkStatus();
}

void Listener::AcceptLoop() {
  NameThread("listener");
  std::vector<pollfd> polled;
  for (const int listening : listening_) polled.push_back({.fd = listening, .events = POLLIN});
  polled.push_back({.fd = stop_, .events = POLLIN});
  while (true) {
    if (poll(polled.data(), polled.size(), -1) < 0 && errno != EINTR) {
      std::this_thread::sleep_for(kPause);  // want of memory: it may pass
      continue;
    }
    if (polled.back().revents != 0) return;
    for (const pollfd& one : polled) {
      if (one.revents != 0) AcceptAll(one.fd);
    }
  }
}

void Listener::AcceptAll(int listening) {
  while (true) {
    const int connection = accept4(listening, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (connection < 0) {
      if (IsWantOfDescriptors(errno)) TurnAway(listening);
      if (errno == ECONNABORTED || errno == EINTR) continue;
      return;  // none waits, or the next poll sees to it
    }
    // The lowest free one is given: this many are in use.
    if (connection >= descriptors_end_) {
      CountTurnedAway();
      close(connection);
      continue;
    }
    HandOver(listening, connection);
  }
}

// What a want of memory throws costs one connection.
void Listener::HandOver(int listening, int connection) {
  const int on = 1;
  setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  try {
    on_connection_(listening, connection);
  } catch (const std::exception& e) {
    spdlog::error("a connection is lost: {}", e.what());
  }
}

// A connection that waits would keep poll from waiting.
void Listener::TurnAway(int listening) {
  CountTurnedAway();
  if (spare_ >= 0) close(spare_);
  const int connection = accept4(listening, nullptr, nullptr, SOCK_CLOEXEC);
  if (connection >= 0) close(connection);
  spare_ = OpenSpare();
  if (spare_ < 0 || connection < 0) std::this_thread::sleep_for(kPause);
}

void Listener::CountTurnedAway() {
  on_turned_away_();
  const auto now = std::chrono::steady_clock::now();
  if (now - told_at_ < kTellInterval) return;
  told_at_ = now;
  spdlog::warn(
      "connections are turned away: descriptors from {} on are kept for the database. Raise the "
      "limit (ulimit -n, LimitNOFILE), or look who connects so often",
      descriptors_end_);
}

}  // namespace groundswell
