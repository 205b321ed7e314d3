#include "server/rpc/grpc_endpoints.h"

#include <fmt/format.h>
#include <grpc/grpc.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>
#include <unistd.h>

#include <algorithm>
#include <future>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "server/process/received_bytes.h"
#include "server/rpc/protocol_descriptors.h"
#include "server/rpc/work_in_progress.h"

namespace groundswell {
namespace {

constexpr const char* kRecommendName = "groundswell.v1.RecommendationService";
constexpr const char* kInteractionName = "groundswell.v1.InteractionService";
constexpr const char* kAdminName = "groundswell.v1.AdminService";
constexpr std::chrono::milliseconds kLookInterval{100};
// Until a connection has shown that it speaks HTTP/2, and TLS where that is asked for.
constexpr int kHandshakeMs = 20'000;

// A call whose message does not come is waited for as long as its connection lasts, with what came
// of it, and before anybody knows who sends it.
void BoundConnections(const GrpcEndpoints::Options& options, grpc::ServerBuilder& builder) {
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, options.connection_calls_max);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS,
                             static_cast<int>(options.idle.count()));
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, kHandshakeMs);
  grpc::ResourceQuota quota("calls");
  quota.Resize(options.receive_bytes_max);
  builder.SetResourceQuota(quota);
}

}  // namespace

absl::Status GrpcEndpoints::Listen(const Options& options, std::string_view setting,
                                   const std::string& address,
                                   const std::shared_ptr<grpc::ServerCredentials>& credentials,
                                   const NamedServices& services,
                                   const std::function<void()>& on_turned_away,
                                   Endpoint& endpoint) {
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(options.message_bytes_max);
  // Half a megabyte of gzip can become 500 MB, before its size is looked at and its sender is
  // known.
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_DEFLATE, false);
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_GZIP, false);
  // gRPC's own default takes one ping in five minutes of silence for an attack, and ends the
  // connection; those who are behind a NAT or a balancer ping more often to keep theirs.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             static_cast<int>(options.ping_interval_min.count()));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  BoundConnections(options, builder);
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> interceptors;
  interceptors.push_back(idle_calls_.MakeInterceptors());
  builder.experimental().SetInterceptorCreators(std::move(interceptors));
  endpoint.acceptor = builder.experimental().AddExternalConnectionAcceptor(
      grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD, credentials);
  std::vector<std::string> names;
  for (const auto& [name, service] : services) {
    builder.RegisterService(service);
    names.emplace_back(name);
  }
  if (options.reflection) {
    names.insert(names.end(), kProtocolServices.begin(), kProtocolServices.end());
    endpoint.reflection = std::make_unique<ReflectionService>(std::move(names));
    builder.RegisterService(endpoint.reflection.get());
  }
  endpoint.server = builder.BuildAndStart();
  if (endpoint.server == nullptr) return absl::UnavailableError("gRPC's server does not start");
  for (const auto& [name, service] : services) {  // it is known from now on
    endpoint.server->GetHealthCheckService()->SetServingStatus(name, false);
  }
  endpoint.server->GetHealthCheckService()->SetServingStatus(false);
  auto listener = Listener::Start(
      address, std::min(options.descriptors_end, kFollowedDescriptorsEnd),
      [acceptor = endpoint.acceptor.get()](int listener_fd, int connection_fd) {
        if (!FollowReceivedBytes(connection_fd)) {
          close(connection_fd);
          return;
        }
        grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters connection;
        connection.listener_fd = listener_fd;
        connection.fd = connection_fd;
        acceptor->HandleNewConnection(&connection);
      },
      on_turned_away);
  if (listener.ok()) {
    endpoint.listener = *std::move(listener);
    return absl::OkStatus();
  }
  endpoint.server->Shutdown();
  return absl::UnavailableError(fmt::format(
      "cannot listen on {} \"{}\", {}: is the port in use? Choose another, or port 0 for "
      "any free one",
      setting, address, std::string(listener.status().message())));
}

absl::StatusOr<std::unique_ptr<GrpcEndpoints>> GrpcEndpoints::Start(
    const Options& options, Services services, const std::function<void()>& on_turned_away,
    std::function<void()> on_idle_call_ended, std::function<bool()> is_ready) {
  const auto credentials = MakeServerCredentials(options.tls);
  if (!credentials.ok()) return credentials.status();
  grpc::EnableDefaultHealthCheckService(true);
  NamedServices of_callers = {{kRecommendName, &services.recommend},
                              {kInteractionName, &services.interaction}};
  const NamedServices of_operators = {{kAdminName, &services.admin}};
  auto endpoints =
      std::make_unique<GrpcEndpoints>(options.idle_calls_max, std::move(on_idle_call_ended));
  if (!options.admin_address.empty()) {
    absl::Status admin =
        endpoints->Listen(options, "server.admin_address", options.admin_address, *credentials,
                          of_operators, on_turned_away, endpoints->operators_);
    if (!admin.ok()) return admin;
  } else {
    of_callers.push_back(of_operators.front());
  }
  absl::Status callers =
      endpoints->Listen(options, "server.grpc_address", options.address, *credentials, of_callers,
                        on_turned_away, endpoints->callers_);
  if (!callers.ok()) return callers;
  for (const auto& [name, service] : of_callers) endpoints->service_names_.emplace_back(name);
  endpoints->FollowReadiness(std::move(is_ready));
  return endpoints;
}

// The library's service is told, and asks nobody.
void GrpcEndpoints::TellReadiness() {
  const MutexLock lock(mutex_);
  const bool ready = is_ready_();
  if (ready == told_) return;
  for (Endpoint* endpoint : {&callers_, &operators_}) {
    if (endpoint->server == nullptr) continue;
    endpoint->server->GetHealthCheckService()->SetServingStatus(ready);
  }
  told_ = ready;
}

void GrpcEndpoints::FollowReadiness(std::function<bool()> is_ready) {
  is_ready_ = std::move(is_ready);
  looks_ =
      std::make_unique<PeriodicThread>(PeriodicThread::Scheduling{.name = "grpc-health"},
                                       kLookInterval, [this](const PeriodicThread::KeepGoing&) {
                                         TellReadiness();
                                         EndQuietCalls();
                                         return kLookInterval;
                                       });
}

bool GrpcEndpoints::IsDrainQuiet() {
  const WorkInProgress& work = WorkInProgress::OfProcess();
  const MutexLock lock(mutex_);
  if (!drain_.has_value()) return false;
  const auto now = std::chrono::steady_clock::now();
  if (work.IsAny() || work.state() != drain_->work_state) drain_ = Drain{work.state(), now};
  return now - drain_->since >= kQuietMax;
}

// Which are told so on this thread.
void GrpcEndpoints::EndQuietCalls() {
  if (!IsDrainQuiet()) return;
  for (Endpoint* endpoint : {&callers_, &operators_}) {
    if (endpoint->server != nullptr) grpc_server_cancel_all_calls(endpoint->server->c_server());
  }
}

std::shared_ptr<grpc::Channel> GrpcEndpoints::InProcessChannel() const {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);  // what the services answer is bounded by them
  return callers_.server->InProcessChannel(arguments);
}

void GrpcEndpoints::Shutdown(std::chrono::system_clock::time_point deadline) {
  for (Endpoint* endpoint : {&callers_, &operators_}) {
    endpoint->listener.reset();
    if (endpoint->server == nullptr) continue;
    if (auto* health = endpoint->server->GetHealthCheckService()) health->Shutdown();
  }
  idle_calls_.End();
  {
    const MutexLock lock(mutex_);
    drain_ = Drain{WorkInProgress::OfProcess().state(), std::chrono::steady_clock::now()};
  }
  // Both at once: while one still took calls, the other would never be quiet.
  const auto shut_down = [deadline](Endpoint& endpoint) {
    if (endpoint.server != nullptr) endpoint.server->Shutdown(deadline);
  };
  // By this thread, at the end, where no other can be had.
  auto operators =
      std::async(std::launch::async | std::launch::deferred, [&] { shut_down(operators_); });
  shut_down(callers_);
  operators.wait();
  looks_.reset();
}

}  // namespace groundswell
