#include "server/rpc/grpc_endpoints.h"

#include <fmt/format.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>

#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "server/rpc/undecodable_requests.h"

namespace groundswell {
namespace {

constexpr const char* kRecommendName = "groundswell.v1.RecommendationService";
constexpr const char* kInteractionName = "groundswell.v1.InteractionService";
constexpr const char* kAdminName = "groundswell.v1.AdminService";

using NamedServices = std::vector<std::pair<const char*, grpc::Service*>>;

absl::StatusOr<std::unique_ptr<grpc::Server>> Listen(
    const GrpcEndpoints::Options& options, std::string_view setting, const std::string& address,
    const std::shared_ptr<grpc::ServerCredentials>& credentials, const NamedServices& services,
    RequestMetrics& metrics, int& port) {
  grpc::ServerBuilder builder;
  // Without this a second server on the same port would silently take half of the calls.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
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
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> interceptors;
  interceptors.push_back(MakeUndecodableInterceptors(metrics));
  builder.experimental().SetInterceptorCreators(std::move(interceptors));
  builder.AddListeningPort(address, credentials, &port);
  for (const auto& [name, service] : services) builder.RegisterService(service);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr || port == 0) {
    return absl::UnavailableError(
        fmt::format("cannot listen on {} \"{}\": is the port in use? Choose another, or port 0 for "
                    "any free one",
                    setting, address));
  }
  for (const auto& [name, service] : services) {
    server->GetHealthCheckService()->SetServingStatus(name, true);
  }
  return server;
}

}  // namespace

absl::StatusOr<std::unique_ptr<GrpcEndpoints>> GrpcEndpoints::Start(const Options& options,
                                                                    Services services,
                                                                    RequestMetrics& metrics) {
  const auto credentials = MakeServerCredentials(options.tls);
  if (!credentials.ok()) return credentials.status();
  grpc::EnableDefaultHealthCheckService(true);
  if (options.reflection) grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  NamedServices of_callers = {{kRecommendName, &services.recommend},
                              {kInteractionName, &services.interaction}};
  const NamedServices of_operators = {{kAdminName, &services.admin}};
  auto endpoints = std::make_unique<GrpcEndpoints>();
  if (!options.admin_address.empty()) {
    auto admin = Listen(options, "server.admin_address", options.admin_address, *credentials,
                        of_operators, metrics, endpoints->admin_port_);
    if (!admin.ok()) return admin.status();
    endpoints->admin_server_ = *std::move(admin);
  } else {
    of_callers.push_back(of_operators.front());
  }
  auto server = Listen(options, "server.grpc_address", options.address, *credentials, of_callers,
                       metrics, endpoints->port_);
  if (!server.ok()) return server.status();
  endpoints->server_ = *std::move(server);
  if (options.admin_address.empty()) endpoints->admin_port_ = endpoints->port_;
  return endpoints;
}

void GrpcEndpoints::Shutdown(std::chrono::system_clock::time_point deadline) {
  for (const auto& server : {server_.get(), admin_server_.get()}) {
    if (server == nullptr) continue;
    if (auto* health = server->GetHealthCheckService()) health->Shutdown();
  }
  for (const auto& server : {server_.get(), admin_server_.get()}) {
    if (server != nullptr) server->Shutdown(deadline);
  }
}

}  // namespace groundswell
