#include "server/rpc/idle_calls.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

namespace groundswell {

namespace experimental = grpc::experimental;

namespace {

// "ipv4:127.0.0.1" of "ipv4:127.0.0.1:7100".
std::string HostOf(const std::string& peer) { return peer.substr(0, peer.rfind(':')); }

}  // namespace

class IdleCalls::Watcher final : public experimental::Interceptor {
 public:
  Watcher(IdleCalls& calls, grpc::ServerContextBase* call) : calls_(calls), call_(call) {}
  ~Watcher() override { calls_.Remove(call_); }

  void Intercept(experimental::InterceptorBatchMethods* methods) override {
    // Not before: who calls, and whether it can be ended, is known once the call has begun.
    if (methods->QueryInterceptionHookPoint(
            experimental::InterceptionHookPoints::POST_RECV_INITIAL_METADATA)) {
      calls_.Add(HostOf(call_->peer()), call_);
    }
    methods->Proceed();
  }

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

IdleCalls::IdleCalls(size_t calls_max, std::function<void()> on_ended)
    : calls_max_(calls_max), on_ended_(std::move(on_ended)) {}

std::unique_ptr<experimental::ServerInterceptorFactoryInterface> IdleCalls::MakeInterceptors() {
  return std::make_unique<WatcherFactory>(*this);
}

size_t IdleCalls::GivesWay(std::span<const std::string> hosts) {
  std::map<std::string_view, size_t> count_of;
  for (const std::string& host : hosts) ++count_of[host];
  const auto busiest = std::ranges::max_element(
      count_of, {}, [](const auto& host_and_count) { return host_and_count.second; });
  return static_cast<size_t>(std::ranges::find(hosts, busiest->first) - hosts.begin());
}

void IdleCalls::Add(const std::string& host, grpc::ServerContextBase* call) {
  const std::lock_guard<std::recursive_mutex> lock(mutex_);
  calls_.push_back(call);
  hosts_.push_back(host);
  if (ending_) return End();
  if (calls_.size() <= calls_max_) return;
  grpc::ServerContextBase* const ended = calls_[GivesWay(hosts_)];
  Remove(ended);
  on_ended_();
  ended->TryCancel();
}

void IdleCalls::Remove(grpc::ServerContextBase* call) {
  const std::lock_guard<std::recursive_mutex> lock(mutex_);
  const auto at = std::ranges::find(calls_, call);
  if (at == calls_.end()) return;
  hosts_.erase(hosts_.begin() + (at - calls_.begin()));
  calls_.erase(at);
}

void IdleCalls::End() {
  const std::lock_guard<std::recursive_mutex> lock(mutex_);
  ending_ = true;
  while (!calls_.empty()) {
    grpc::ServerContextBase* const call = calls_.back();
    calls_.pop_back();
    hosts_.pop_back();
    call->TryCancel();
  }
}

}  // namespace groundswell
