// UnaryCall: one unary call on its way to its answer, which is counted.
#ifndef GROUNDSWELL_SERVER_RPC_UNARY_CALL_H_
#define GROUNDSWELL_SERVER_RPC_UNARY_CALL_H_

#include <chrono>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/server_callback.h"
#include "server/process/metrics.h"
#include "server/rpc/work_in_progress.h"

namespace groundswell {

// Ends a call: counts it under the code of `result`, before its caller can ask for the count, and
// then tells its caller. REQUIRES: `scope` has a value; it has none afterwards.
template <typename Reactor>
void CountAndFinish(const grpc::Status& result, std::optional<RpcScope>& scope, Reactor& reactor) {
  scope->set_code(result.error_code());
  scope.reset();
  reactor.Finish(result);
}

// For how long the caller still waits, at most UnaryCall::kDeadlineMax; `if_not_said`: where the
// caller names no deadline.
std::chrono::nanoseconds TimeFor(const grpc::CallbackServerContext& context,
                                 std::chrono::nanoseconds if_not_said);

class UnaryCall {
 public:
  static constexpr std::chrono::hours kDeadlineMax{1};

  // `metrics` must outlive the call, and the context is the caller's until Finish.
  // `default_deadline`: of a caller who names none.
  UnaryCall(grpc::CallbackServerContext& context, RequestMetrics& metrics, Method method,
            std::chrono::nanoseconds default_deadline = kDeadlineMax);

  // When the caller stops waiting, at most kDeadlineMax after the arrival.
  std::chrono::steady_clock::time_point deadline() const { return deadline_; }
  std::chrono::steady_clock::time_point arrival() const { return arrival_; }
  // What a handler returns to gRPC.
  grpc::ServerUnaryReactor* reactor() const { return reactor_; }

  // Exactly once; request and response are gone afterwards.
  void Finish(const absl::Status& outcome);

 private:
  grpc::ServerUnaryReactor* const reactor_;
  std::optional<RpcScope> scope_;
  std::optional<WorkInProgress::Piece> work_{std::in_place};
  const std::chrono::steady_clock::time_point arrival_;
  const std::chrono::steady_clock::time_point deadline_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_RPC_UNARY_CALL_H_
