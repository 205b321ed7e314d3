// A unary call of a service without a server: gRPC's own test double stands for the connection.
#ifndef GROUNDSWELL_TESTS_UNIT_SERVER_UNARY_TEST_CALL_H_
#define GROUNDSWELL_TESTS_UNIT_SERVER_UNARY_TEST_CALL_H_

#include <google/rpc/error_details.pb.h>
#include <google/rpc/status.pb.h>
#include <grpcpp/test/default_reactor_test_peer.h>

#include <future>
#include <string>
#include <thread>

namespace groundswell {

class UnaryTestCall {
 public:
  grpc::CallbackServerContext* context() { return &context_; }

  // Until the call is finished. Once.
  grpc::StatusCode Wait() {
    status_ = finished_.get_future().get();
    // The double still writes to itself after it told the outcome: it may go only behind that.
    while (!peer_.test_status_set()) std::this_thread::yield();
    return status_.error_code();
  }

  // The detail of this kind in the status that Wait has seen; empty where there is none.
  template <typename Detail>
  Detail detail() const {
    google::rpc::Status details;
    details.ParseFromString(status_.error_details());
    Detail found;
    for (const google::protobuf::Any& one : details.details()) one.UnpackTo(&found);
    return found;
  }
  std::string message() const { return status_.error_message(); }
  std::string reason() const { return detail<google::rpc::ErrorInfo>().reason(); }

 private:
  grpc::CallbackServerContext context_;
  std::promise<grpc::Status> finished_;
  grpc::Status status_;
  grpc::testing::DefaultReactorTestPeer peer_{
      &context_, [this](const grpc::Status& status) { finished_.set_value(status); }};
};

}  // namespace groundswell

#endif  // GROUNDSWELL_TESTS_UNIT_SERVER_UNARY_TEST_CALL_H_
