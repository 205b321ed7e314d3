// Errors of the Connect protocol: which HTTP status a gRPC code has, and the JSON that tells it.
#ifndef GROUNDSWELL_SERVER_RPC_CONNECT_ERRORS_H_
#define GROUNDSWELL_SERVER_RPC_CONNECT_ERRORS_H_

#include <string>
#include <string_view>

#include "grpcpp/support/status.h"
#include "server/process/http_server.h"

namespace groundswell {

// "invalid_argument". Codes that do not exist are "unknown".
std::string_view ConnectCode(grpc::StatusCode code);

// {"code": ..., "message": ..., "details": [...]}, without a line's end. Details are those of the
// status's google.rpc.Status: "type" its full name, "value" its bytes in base64 without padding,
// "debug" the same as JSON.
std::string ConnectErrorJson(const grpc::Status& status);

// With the HTTP status of the code, and Retry-After, in whole seconds, where it has a RetryInfo.
HttpAnswer ConnectError(const grpc::Status& status);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_RPC_CONNECT_ERRORS_H_
