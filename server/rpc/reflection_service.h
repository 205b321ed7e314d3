// ReflectionService: what the server's API is, for clients that ask (gRPC server reflection,
// grpc.reflection.v1 and v1alpha).
//
// In the place of gRPC's own, which decodes what anybody sends: of a message of 4 MiB, one of
// 200 MB. Here a request is bounded while it is still bytes.
#ifndef GROUNDSWELL_SERVER_RPC_REFLECTION_SERVICE_H_
#define GROUNDSWELL_SERVER_RPC_REFLECTION_SERVICE_H_

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "grpcpp/impl/service_type.h"

namespace groundswell {

class ReflectionService final : public grpc::Service {
 public:
  // Not a setting: a request holds one name, of at most some hundred letters.
  static constexpr size_t kRequestBytesMax = size_t{64} << 10;

  // Lists these services, by their full names. What they are made of is asked of protobuf's
  // generated descriptors, and of ProtocolDescriptors.
  explicit ReflectionService(std::vector<std::string> service_names);

  // The serialized ServerReflectionResponse for a serialized ServerReflectionRequest.
  // InvalidArgument: it is none. REQUIRES: at most kRequestBytesMax.
  static absl::StatusOr<std::string> Answer(std::string_view request,
                                            std::span<const std::string> service_names);

 private:
  const std::vector<std::string> service_names_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_RPC_REFLECTION_SERVICE_H_
