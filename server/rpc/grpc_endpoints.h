// GrpcEndpoints: the addresses on which the gRPC services listen.
#ifndef GROUNDSWELL_SERVER_RPC_GRPC_ENDPOINTS_H_
#define GROUNDSWELL_SERVER_RPC_GRPC_ENDPOINTS_H_

#include <chrono>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "graph/mutex.h"
#include "grpcpp/channel.h"
#include "grpcpp/impl/service_type.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"
#include "server/process/metrics.h"
#include "server/process/periodic_thread.h"
#include "server/rpc/idle_calls.h"
#include "server/rpc/listener.h"
#include "server/rpc/reflection_service.h"
#include "server/rpc/tls.h"

namespace groundswell {

class GrpcEndpoints {
 public:
  // See Shutdown. Not a setting: how long a request may take is `server.drain_s`, and this alone is
  // how long a client that neither sends nor fetches anything holds a restart up.
  static constexpr std::chrono::seconds kQuietMax{1};

  GrpcEndpoints(size_t idle_calls_max, std::function<void()> on_idle_call_ended)
      : idle_calls_(idle_calls_max, std::move(on_idle_call_ended)) {}

  struct Options {
    std::string address;
    std::string admin_address;  // empty: the admin service listens on `address` too
    TlsOptions tls;
    bool reflection = true;
    int message_bytes_max = 4 << 20;
    std::chrono::milliseconds ping_interval_min{5'000};  // of keepalive pings of one client
    int connection_calls_max = 1'000;  // of one connection at once; its client holds back others
    // Of an address: what its connections have received and no call has taken yet. Where there is
    // more, gRPC ends connections without calls, and then calls.
    size_t receive_bytes_max = size_t{256} << 20;
    std::chrono::milliseconds idle{300'000};  // after which a connection without a call is ended
    int descriptors_end = std::numeric_limits<int>::max();  // see Listener
    size_t idle_calls_max = 1'000;                          // see IdleCalls
  };
  struct Services {
    grpc::Service& recommend;
    grpc::Service& interaction;
    grpc::Service& admin;
  };

  // Listens, with the health service on every address: of each service, and of all together, it
  // says what `is_ready` answers, at most a moment ago. `on_turned_away` is called for each
  // connection that no descriptor is left for, on threads of the listeners; `on_idle_call_ended` as
  // by IdleCalls. The services and what
  // the functions look at must outlive it. Unavailable, naming the setting, when an address cannot
  // be listened on; errors of MakeServerCredentials.
  static absl::StatusOr<std::unique_ptr<GrpcEndpoints>> Start(
      const Options& options, Services services, const std::function<void()>& on_turned_away,
      std::function<void()> on_idle_call_ended, std::function<bool()> is_ready);

  int port() const { return callers_.listener->port(); }
  // That of port() without an address of its own.
  int admin_port() const {
    return operators_.listener == nullptr ? port() : operators_.listener->port();
  }

  // To the services of Options.address, without a socket: for what else brings calls in. Errors,
  // limits and rights are those of any call.
  std::shared_ptr<grpc::Channel> InProcessChannel() const;
  // Full names of the services that it reaches.
  const std::vector<std::string>& service_names() const { return service_names_; }

  // Has the health service say now what `is_ready` answers; else that takes a moment.
  void TellReadiness() ABSL_LOCKS_EXCLUDED(mutex_);

  // Takes no new connections and calls, and returns when those in progress ended or were cancelled:
  // at `deadline`, or once none was worked at (WorkInProgress) for kQuietMax, so that only requests
  // under way and answers that nobody fetched within that time are left. Health watches are told
  // first, and then ended.
  void Shutdown(std::chrono::system_clock::time_point deadline) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  // In the order of construction: connections stop before the server goes.
  struct Endpoint {
    std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> acceptor;
    std::unique_ptr<ReflectionService> reflection;  // null: switched off
    std::unique_ptr<grpc::Server> server;
    std::unique_ptr<Listener> listener;
  };
  using NamedServices = std::vector<std::pair<const char*, grpc::Service*>>;

  absl::Status Listen(const Options& options, std::string_view setting, const std::string& address,
                      const std::shared_ptr<grpc::ServerCredentials>& credentials,
                      const NamedServices& services, const std::function<void()>& on_turned_away,
                      Endpoint& endpoint);

  // From Shutdown on, until it returns: what WorkInProgress::state() was, and since when.
  struct Drain {
    uint64_t work_state;
    std::chrono::steady_clock::time_point since;
  };

  void FollowReadiness(std::function<bool()> is_ready);
  // Whether nothing was worked at for as long as a drain waits for more.
  bool IsDrainQuiet() ABSL_LOCKS_EXCLUDED(mutex_);
  void EndQuietCalls() ABSL_LOCKS_EXCLUDED(mutex_);

  std::function<bool()> is_ready_;
  Mutex mutex_;
  bool told_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<Drain> drain_ ABSL_GUARDED_BY(mutex_);
  IdleCalls idle_calls_;
  std::vector<std::string> service_names_;
  Endpoint callers_;
  Endpoint operators_;                     // null: callers_ does it
  std::unique_ptr<PeriodicThread> looks_;  // after readiness, and what a drain waits for
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_RPC_GRPC_ENDPOINTS_H_
