#include "server/rpc/unary_call.h"

#include <algorithm>

#include "server/rpc/status_details.h"

namespace groundswell {
namespace {

std::chrono::steady_clock::time_point DeadlineOf(const grpc::CallbackServerContext& context) {
  const auto now = std::chrono::steady_clock::now();
  const auto longest = now + std::chrono::hours(1);
  if (context.deadline() == std::chrono::system_clock::time_point::max()) return longest;
  return std::min(longest, now + (context.deadline() - std::chrono::system_clock::now()));
}

}  // namespace

UnaryCall::UnaryCall(grpc::CallbackServerContext& context, RequestMetrics& metrics, Method method)
    : reactor_(context.DefaultReactor()),
      scope_(std::in_place, metrics, method),
      arrival_(scope_->begin()),
      deadline_(DeadlineOf(context)) {}

void UnaryCall::Finish(const absl::Status& outcome) {
  CountAndFinish(ToGrpcStatus(outcome), scope_, *reactor_);
}

}  // namespace groundswell
