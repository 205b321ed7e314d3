// Listener: accepts connections at one address and hands them over.
//
// gRPC's own stops for good when a connection comes that no descriptor is left for, while the
// server goes on and seems well. This one turns away what comes beyond a bound, which leaves
// descriptors to the rest of the process, and goes on.
#ifndef GROUNDSWELL_SERVER_RPC_LISTENER_H_
#define GROUNDSWELL_SERVER_RPC_LISTENER_H_

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"

namespace groundswell {

// Whether the host of host:port is loopback on every machine: 127.0.0.0/8, [::1], or the one name
// that is by definition (RFC 6761). Any other name, such as 127.example.com, may be anybody's.
bool IsLoopback(std::string_view address);

class Listener {
 public:
  // Gets connections one after the other, from the listener's thread, and owns them.
  using OnConnection = std::function<void(int listener_fd, int connection_fd)>;

  // Listens at host:port, port 0 being any free one; a host of several addresses at all of them.
  // 0.0.0.0 and [::] are every address of IPv4 and IPv6, or of IPv4 where that is all there is.
  // Connections whose descriptor would be `descriptors_end` or above are closed, and
  // `on_turned_away` is called for each on the listener's thread. Unavailable when the address, or
  // a thread, cannot be had.
  static absl::StatusOr<std::unique_ptr<Listener>> Start(const std::string& address,
                                                         int descriptors_end,
                                                         OnConnection on_connection,
                                                         std::function<void()> on_turned_away);
  // Stops listening; connections stay.
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  int port() const { return port_; }

 private:
  Listener(int descriptors_end, OnConnection on_connection, std::function<void()> on_turned_away);
  absl::Status Bind(const std::string& address);
  // NotFound when this machine has none of the host's addresses.
  absl::Status BindHost(const std::string& host, const std::string& port);
  void AcceptLoop();
  void AcceptAll(int listening);
  void TurnAway(int listening);
  void HandOver(int listening, int connection);
  void CountTurnedAway();

  const int descriptors_end_;
  const OnConnection on_connection_;
  const std::function<void()> on_turned_away_;
  std::vector<int> listening_;
  int port_ = 0;
  int stop_ = -1;   // an event: readable once the thread is to end
  int spare_ = -1;  // given up to accept, and so close, a connection that no other is left for
  std::chrono::steady_clock::time_point told_at_;
  std::thread thread_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_RPC_LISTENER_H_
