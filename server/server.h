// Server: everything that runs, put together in the order in which it depends on each other.
#ifndef GROUNDSWELL_SERVER_SERVER_H_
#define GROUNDSWELL_SERVER_SERVER_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/config/config.h"

namespace groundswell {

class Server {
 public:
  // Loads the database of config.server.data_dir, applies what its log holds beyond it, and
  // listens. The HTTP endpoint answers from the beginning, "not ready" until this returns.
  // Cancelled when `cancelled` answers true.
  static absl::StatusOr<std::unique_ptr<Server>> Start(const Config& config,
                                                       const std::function<bool()>& cancelled);
  // Drains, if that was not done.
  ~Server();

  int grpc_port() const;
  int admin_port() const;  // of the admin service; grpc_port() without an address of its own
  int http_port() const;
  std::optional<int> connect_port() const;  // where there is one

  // Takes no new calls, finishes those in progress (those that last longer than server.drain_s are
  // cancelled), writes and applies what was acknowledged, and stops.
  void Drain();

 private:
  struct Parts;
  explicit Server(std::unique_ptr<Parts> parts);

  std::unique_ptr<Parts> parts_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_SERVER_H_
