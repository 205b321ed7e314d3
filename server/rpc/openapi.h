// OpenAPI 3.1 of what server/rpc/connect_endpoint serves, made from the services' descriptors.
#ifndef GROUNDSWELL_SERVER_RPC_OPENAPI_H_
#define GROUNDSWELL_SERVER_RPC_OPENAPI_H_

#include <string>
#include <vector>

namespace groundswell {

// A JSON document with a path for each unary call, its messages as schemas in protobuf's JSON
// mapping (64-bit integers and timestamps are strings there). REQUIRES: `services` are names of
// services that are linked in.
std::string OpenApiDocument(const std::vector<std::string>& services);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_RPC_OPENAPI_H_
