// Requests, from bytes to messages: once it is known who sends them, and in bounded memory.
//
// gRPC decodes the request of a unary call before anything of ours sees the call, so that whoever
// can connect has a message built of what he sends: of 4 MiB that are `0a 00` over and over, one of
// 400 MB. DecodeLate has gRPC hand over the bytes, and decodes them when the caller may call.
#ifndef GROUNDSWELL_SERVER_RPC_REQUEST_DECODING_H_
#define GROUNDSWELL_SERVER_RPC_REQUEST_DECODING_H_

#include <google/protobuf/descriptor.h>

#include <cstddef>
#include <string_view>

#include "absl/status/status.h"
#include "grpcpp/impl/codegen/proto_utils.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/message_allocator.h"
#include "grpcpp/support/server_callback.h"
#include "server/process/metrics.h"
#include "server/rpc/access.h"
#include "server/rpc/unary_call.h"

namespace groundswell {

// Several times what any request within the limits of the API takes, once it is a message.
inline constexpr size_t kDecodedBytesMax = size_t{32} << 20;
// Of fields that this API does not have, which a message keeps: those of a newer client are few.
inline constexpr size_t kUnknownBytesMax = size_t{64} << 10;

// InvalidArgument, reason UNDECODABLE_REQUEST: bytes that are no message of the type of this name.
absl::Status UndecodableRequest(std::string_view type);

// Whether `bytes`, as a message of this type, take about kDecodedBytesMax at most, and those of
// fields that it does not have kUnknownBytesMax: found out by walking through them, without
// building anything. InvalidArgument, reason REQUEST_TOO_LARGE, and
// UndecodableRequest.
absl::Status CheckDecodedSize(const grpc::ByteBuffer& bytes,
                              const google::protobuf::Descriptor& type);

// Makes `request` of `bytes`, which empties them, also on an error: that of CheckDecodedSize, or
// UndecodableRequest.
template <typename Request>
absl::Status DecodeBytes(grpc::ByteBuffer& bytes, Request& request) {
  absl::Status status = CheckDecodedSize(bytes, *Request::descriptor());
  if (status.ok() && !grpc::SerializationTraits<Request>::Deserialize(&bytes, &request).ok()) {
    status = UndecodableRequest(Request::descriptor()->full_name());
  }
  bytes.Clear();
  return status;
}

// Before a request is decoded: whether its caller may call. What it refers to must outlive the
// service.
struct RequestGate {
  const AccessControl& access;
  RequestMetrics& metrics;
  Right right;
};

// DecodeBytes, if AccessControl::CheckRight lets the caller in.
template <typename Request>
absl::Status Decode(const RequestGate& gate, const grpc::ServerContextBase& context,
                    grpc::ByteBuffer& bytes, Request& request) {
  if (absl::Status s = gate.access.CheckRight(context, gate.right); !s.ok()) return s;
  return DecodeBytes(bytes, request);
}

// The place of a method in its service, for gRPC's MarkMethod functions.
int IndexOf(std::string_view service, Method method);

// What a unary call holds from its bytes to its answer.
template <typename Request, typename Response>
class LateRequest final : public grpc::MessageHolder<grpc::ByteBuffer, Response> {
 public:
  class Allocator final : public grpc::MessageAllocator<grpc::ByteBuffer, Response> {
   public:
    grpc::MessageHolder<grpc::ByteBuffer, Response>* AllocateMessages() override {
      return new LateRequest;
    }
  };

  LateRequest() {
    this->set_request(&bytes);
    this->set_response(&response);
  }
  void Release() override { delete this; }

  grpc::ByteBuffer bytes;
  Request request;
  Response response;
};

// The handler of a unary method that `service` has as a typed one, for MarkMethodRawCallback. A
// request that is not admitted, or cannot be decoded, is answered and counted here.
template <typename Request, typename Response, typename Service>
grpc::internal::MethodHandler* DecodeLate(
    const RequestGate& gate, Method method, Service* service,
    grpc::ServerUnaryReactor* (Service::*handle)(grpc::CallbackServerContext*, const Request*,
                                                 Response*)) {
  using Held = LateRequest<Request, Response>;
  static typename Held::Allocator allocator;
  auto* const handler = new grpc::internal::CallbackUnaryHandler<grpc::ByteBuffer, Response>(
      [=](grpc::CallbackServerContext* context, const grpc::ByteBuffer*,
          Response* response) -> grpc::ServerUnaryReactor* {
        auto& held = static_cast<Held&>(*context->GetRpcAllocatorState());
        const absl::Status decoded = Decode(gate, *context, held.bytes, held.request);
        if (decoded.ok()) return (service->*handle)(context, &held.request, response);
        UnaryCall call(*context, gate.metrics, method);
        call.Finish(decoded);
        return call.reactor();
      });
  handler->SetMessageAllocator(&allocator);
  return handler;
}

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_RPC_REQUEST_DECODING_H_
