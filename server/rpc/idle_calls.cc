#include "server/rpc/idle_calls.h"

#include <string_view>

namespace groundswell {

namespace experimental = grpc::experimental;

class IdleCalls::Watcher final : public experimental::Interceptor {
 public:
  Watcher(IdleCalls& calls, grpc::ServerContextBase* call) : calls_(calls), call_(call) {
    calls_.Add(call_);
  }
  ~Watcher() override { calls_.Remove(call_); }

  void Intercept(experimental::InterceptorBatchMethods* methods) override { methods->Proceed(); }

 private:
  IdleCalls& calls_;
  grpc::ServerContextBase* const call_;
};

class IdleCalls::WatcherFactory final : public experimental::ServerInterceptorFactoryInterface {
 public:
  explicit WatcherFactory(IdleCalls& calls) : calls_(calls) {}

  experimental::Interceptor* CreateServerInterceptor(experimental::ServerRpcInfo* info) override {
    const std::string_view method = info->method();
    const bool is_idle =
        method == "/grpc.health.v1.Health/Watch" || method.ends_with("/ServerReflectionInfo");
    return is_idle ? new Watcher(calls_, info->server_context()) : nullptr;  // gRPC deletes it
  }

 private:
  IdleCalls& calls_;
};

std::unique_ptr<experimental::ServerInterceptorFactoryInterface> IdleCalls::MakeInterceptors() {
  return std::make_unique<WatcherFactory>(*this);
}

void IdleCalls::Add(grpc::ServerContextBase* call) {
  const std::lock_guard<std::recursive_mutex> lock(mutex_);
  calls_.insert(call);
}

void IdleCalls::Remove(grpc::ServerContextBase* call) {
  const std::lock_guard<std::recursive_mutex> lock(mutex_);
  calls_.erase(call);
}

void IdleCalls::End() {
  const std::lock_guard<std::recursive_mutex> lock(mutex_);
  while (!calls_.empty()) {
    grpc::ServerContextBase* const call = *calls_.begin();
    calls_.erase(calls_.begin());
    call->TryCancel();
  }
}

}  // namespace groundswell
