#include "server/rpc/undecodable_requests.h"

#include <fmt/format.h>
#include <google/protobuf/descriptor.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "server/rpc/status_details.h"

namespace groundswell {
namespace {

namespace experimental = grpc::experimental;

// "/groundswell.v1.RecommendationService/Recommend" in protobuf's terms; nullptr: not ours.
const google::protobuf::MethodDescriptor* FindMethod(std::string_view path) {
  if (!path.starts_with("/groundswell.v1.")) return nullptr;
  std::string name(path.substr(1));
  std::replace(name.begin(), name.end(), '/', '.');
  return google::protobuf::DescriptorPool::generated_pool()->FindMethodByName(name);
}

std::optional<Method> CountedAs(std::string_view name) {
  for (int i = 0; i < static_cast<int>(Method::kCount); ++i) {
    if (NameOf(static_cast<Method>(i)) == name) return static_cast<Method>(i);
  }
  return std::nullopt;
}

// No handler of ours says UNIMPLEMENTED, so one that leaves is gRPC's own.
class TellUndecodable final : public experimental::Interceptor {
 public:
  TellUndecodable(RequestMetrics& metrics, const google::protobuf::MethodDescriptor& method)
      : metrics_(metrics), method_(method) {}

  void Intercept(experimental::InterceptorBatchMethods* methods) override {
    const bool ends =
        methods->QueryInterceptionHookPoint(experimental::InterceptionHookPoints::PRE_SEND_STATUS);
    if (ends && methods->GetSendStatus().error_code() == grpc::StatusCode::UNIMPLEMENTED) {
      const grpc::Status status =
          ToGrpcStatus(UndecodableRequest(method_.input_type()->full_name()));
      methods->ModifySendStatus(status);
      if (const auto counted = CountedAs(method_.name()); counted.has_value()) {
        RpcScope(metrics_, *counted).set_code(status.error_code());
      }
    }
    methods->Proceed();
  }

 private:
  RequestMetrics& metrics_;
  const google::protobuf::MethodDescriptor& method_;
};

class TellUndecodableFactory final : public experimental::ServerInterceptorFactoryInterface {
 public:
  TellUndecodableFactory(RequestMetrics& metrics, std::vector<std::string> services)
      : metrics_(metrics), services_(std::move(services)) {}

  experimental::Interceptor* CreateServerInterceptor(experimental::ServerRpcInfo* info) override {
    const auto* method = FindMethod(info->method());
    const bool is_served =
        method != nullptr && std::find(services_.begin(), services_.end(),
                                       method->service()->full_name()) != services_.end();
    return is_served ? new TellUndecodable(metrics_, *method) : nullptr;  // gRPC deletes it
  }

 private:
  RequestMetrics& metrics_;
  const std::vector<std::string> services_;
};

}  // namespace

absl::Status UndecodableRequest(std::string_view type) {
  return WithReason(
      absl::InvalidArgumentError(fmt::format("the request is no {}: its bytes cannot be decoded. "
                                             "Strings must be UTF-8, and the message "
                                             "one of this API",
                                             type)),
      "UNDECODABLE_REQUEST", {{"message", std::string(type)}});
}

std::unique_ptr<experimental::ServerInterceptorFactoryInterface> MakeUndecodableInterceptors(
    RequestMetrics& metrics, std::vector<std::string> services) {
  return std::make_unique<TellUndecodableFactory>(metrics, std::move(services));
}

}  // namespace groundswell
