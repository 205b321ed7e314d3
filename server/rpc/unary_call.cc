#include "server/rpc/unary_call.h"

#include <algorithm>

#include "server/rpc/status_details.h"

namespace groundswell {

std::chrono::nanoseconds TimeFor(const grpc::CallbackServerContext& context,
                                 std::chrono::nanoseconds if_not_said) {
  if (context.deadline() == std::chrono::system_clock::time_point::max()) return if_not_said;
  return std::min<std::chrono::nanoseconds>(UnaryCall::kDeadlineMax,
                                            context.deadline() - std::chrono::system_clock::now());
}

UnaryCall::UnaryCall(grpc::CallbackServerContext& context, RequestMetrics& metrics, Method method,
                     std::chrono::nanoseconds default_deadline)
    : reactor_(context.DefaultReactor()),
      scope_(std::in_place, metrics, method),
      arrival_(scope_->begin()),
      deadline_(arrival_ + TimeFor(context, default_deadline)) {}

void UnaryCall::Finish(const absl::Status& outcome) {
  work_.reset();
  CountAndFinish(ToGrpcStatus(outcome), scope_, *reactor_);
}

}  // namespace groundswell
