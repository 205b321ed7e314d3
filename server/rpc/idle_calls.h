// IdleCalls: calls that last until somebody ends them, and on which nothing is in progress: health
// watches and reflection. A server that stops ends them at once instead of waiting for them.
#ifndef GROUNDSWELL_SERVER_RPC_IDLE_CALLS_H_
#define GROUNDSWELL_SERVER_RPC_IDLE_CALLS_H_

#include <memory>
#include <mutex>
#include <set>

#include "grpcpp/impl/codegen/server_context.h"
#include "grpcpp/support/server_interceptor.h"

namespace groundswell {

// Thread-safe.
class IdleCalls {
 public:
  // For every server whose calls are to be known; this must outlive it.
  std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> MakeInterceptors();

  // Cancels those there are.
  void End();

 private:
  class Watcher;
  class WatcherFactory;

  void Add(grpc::ServerContextBase* call);
  void Remove(grpc::ServerContextBase* call);

  // Recursive: gRPC may end a call, and so take it away, while it is being cancelled.
  std::recursive_mutex mutex_;
  std::set<grpc::ServerContextBase*> calls_;  // guarded by mutex_
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_RPC_IDLE_CALLS_H_
