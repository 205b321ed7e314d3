// The protocols of gRPC that every address speaks beside the services of the API, for clients that
// ask by reflection: health checks and reflection itself. gRPC's own libraries have no descriptors
// of the one, and those of the other where they are linked.
#ifndef GROUNDSWELL_SERVER_RPC_PROTOCOL_DESCRIPTORS_H_
#define GROUNDSWELL_SERVER_RPC_PROTOCOL_DESCRIPTORS_H_

#include <array>

namespace google::protobuf {
class DescriptorPool;
}  // namespace google::protobuf

namespace groundswell {

// Full names of their services.
inline constexpr std::array kProtocolServices = {"grpc.health.v1.Health",
                                                 "grpc.reflection.v1.ServerReflection",
                                                 "grpc.reflection.v1alpha.ServerReflection"};

// What these are made of, in files by the names that they have everywhere. Thread-safe.
const google::protobuf::DescriptorPool& ProtocolDescriptors();

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_RPC_PROTOCOL_DESCRIPTORS_H_
