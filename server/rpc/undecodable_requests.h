// What callers are told of a request that is not a message of its type: gRPC itself says
// UNIMPLEMENTED, with no message, before a handler hears of the call.
#ifndef GROUNDSWELL_SERVER_RPC_UNDECODABLE_REQUESTS_H_
#define GROUNDSWELL_SERVER_RPC_UNDECODABLE_REQUESTS_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "grpcpp/support/server_interceptor.h"
#include "server/process/metrics.h"

namespace groundswell {

// InvalidArgument, reason UNDECODABLE_REQUEST. `type`: the message's full name.
absl::Status UndecodableRequest(std::string_view type);

// For calls of `services` whose request is one message: gives them this answer, and counts them.
// What the server does not serve stays UNIMPLEMENTED. `metrics` must outlive the server.
std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> MakeUndecodableInterceptors(
    RequestMetrics& metrics, std::vector<std::string> services);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_RPC_UNDECODABLE_REQUESTS_H_
