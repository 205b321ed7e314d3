// A gRPC server of this process at a free port of loopback, for clients to be tried on services of
// a test's own.
#ifndef GROUNDSWELL_TESTS_UNIT_CLIENT_LOOPBACK_SERVER_H_
#define GROUNDSWELL_TESTS_UNIT_CLIENT_LOOPBACK_SERVER_H_

#include <grpcpp/grpcpp.h>

#include <initializer_list>
#include <memory>
#include <string>

namespace groundswell {

class LoopbackServer {
 public:
  // They must outlive it.
  explicit LoopbackServer(std::initializer_list<grpc::Service*> services) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    for (grpc::Service* const service : services) builder.RegisterService(service);
    server_ = builder.BuildAndStart();
  }

  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

 private:
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_TESTS_UNIT_CLIENT_LOOPBACK_SERVER_H_
