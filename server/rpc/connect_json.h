// Messages of the Connect protocol as JSON: protobuf's own mapping, within bounds.
#ifndef GROUNDSWELL_SERVER_RPC_CONNECT_JSON_H_
#define GROUNDSWELL_SERVER_RPC_CONNECT_JSON_H_

#include <string>
#include <string_view>

#include "google/protobuf/descriptor.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/status.h"

namespace groundswell {

// One message on each line.
inline constexpr char kLinesType[] = "application/x-ndjson";
// Of JSON that is read on the thread of all connections: in a millisecond or two at most.
inline constexpr size_t kShortJsonBytes = size_t{8} << 10;

grpc::ByteBuffer ToBuffer(const std::string& bytes);
std::string ToBytes(const grpc::ByteBuffer& buffer);

// INVALID_ARGUMENT (REQUEST_TOO_LARGE) for a body of very many values: each takes the reader
// microseconds and its message up to hundreds of bytes; a request within the limits of the API has
// far fewer.
grpc::Status CheckJsonValues(std::string_view json);
// INVALID_ARGUMENT (UNDECODABLE_REQUEST), which begins with `where`: "line 3: " or nothing.
grpc::Status FromJson(std::string_view json, const google::protobuf::Descriptor& type,
                      std::string_view where, grpc::ByteBuffer& out);
grpc::Status ToJson(const grpc::ByteBuffer& buffer, const google::protobuf::Descriptor& type,
                    std::string& json);
bool IsBlank(std::string_view line);

// "/groundswell.v1.InteractionService/Ingest"
std::string PathOf(const google::protobuf::MethodDescriptor& method);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_RPC_CONNECT_JSON_H_
