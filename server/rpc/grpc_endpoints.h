// GrpcEndpoints: the addresses on which the gRPC services listen.
#ifndef GROUNDSWELL_SERVER_RPC_GRPC_ENDPOINTS_H_
#define GROUNDSWELL_SERVER_RPC_GRPC_ENDPOINTS_H_

#include <chrono>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "grpcpp/impl/service_type.h"
#include "grpcpp/server.h"
#include "server/process/metrics.h"
#include "server/rpc/tls.h"

namespace groundswell {

class GrpcEndpoints {
 public:
  struct Options {
    std::string address;
    std::string admin_address;  // empty: the admin service listens on `address` too
    TlsOptions tls;
    bool reflection = true;
    int message_bytes_max = 4 << 20;
    std::chrono::milliseconds ping_interval_min{5'000};  // of keepalive pings of one client
  };
  struct Services {
    grpc::Service& recommend;
    grpc::Service& interaction;
    grpc::Service& admin;
  };

  // Listens, with the health service on every address. The services and the metrics must outlive
  // it. Unavailable, naming the setting, when an address cannot be listened on; errors of
  // MakeServerCredentials.
  static absl::StatusOr<std::unique_ptr<GrpcEndpoints>> Start(const Options& options,
                                                              Services services,
                                                              RequestMetrics& metrics);

  int port() const { return port_; }
  int admin_port() const { return admin_port_; }  // that of port() without an address of its own

  // Takes no new calls, and returns when those in progress ended or were cancelled at `deadline`.
  void Shutdown(std::chrono::system_clock::time_point deadline);

 private:
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<grpc::Server> admin_server_;  // null: server_ does it
  int port_ = 0;
  int admin_port_ = 0;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_RPC_GRPC_ENDPOINTS_H_
