// IdleCalls: calls that last until somebody ends them, and on which nothing is in progress: health
// watches and reflection. There are only so many at once: such a call keeps its connection from
// being idle, and so its descriptor. A server that stops ends them at once instead of waiting.
#ifndef GROUNDSWELL_SERVER_RPC_IDLE_CALLS_H_
#define GROUNDSWELL_SERVER_RPC_IDLE_CALLS_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "grpcpp/impl/codegen/server_context.h"
#include "grpcpp/support/server_interceptor.h"

namespace groundswell {

// Thread-safe.
class IdleCalls {
 public:
  // `calls_max`: at once; where there are more, the oldest one of the address that has the most is
  // ended, so that one client does not keep others out. `on_ended` is called for each of these,
  // from any thread.
  IdleCalls(size_t calls_max, std::function<void()> on_ended);

  // Which of the calls from these hosts, the oldest first, gives way: the oldest of the host that
  // has the most. REQUIRES: there is one.
  static size_t GivesWay(std::span<const std::string> hosts);

  // For every server whose calls are to be known; this must outlive it.
  std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> MakeInterceptors();

  // Cancels those there are.
  void End();

 private:
  class Watcher;
  class WatcherFactory;

  // The call is there, from `host`.
  void Add(const std::string& host, grpc::ServerContextBase* call);
  void Remove(grpc::ServerContextBase* call);

  const size_t calls_max_;
  const std::function<void()> on_ended_;
  // Recursive: gRPC may end a call, and so take it away, while it is being cancelled.
  std::recursive_mutex mutex_;
  // The oldest first, and beside them from where; guarded by mutex_, as is what follows.
  std::vector<grpc::ServerContextBase*> calls_;
  std::vector<std::string> hosts_;
  bool ending_ = false;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_RPC_IDLE_CALLS_H_
