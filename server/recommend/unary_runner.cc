#include "server/recommend/unary_runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "scheduling/thread_scheduling.h"
#include "server/rpc/caught_status.h"
#include "server/rpc/status_details.h"
#include "server/rpc/unary_call.h"

namespace groundswell {
namespace {

std::optional<TraceContext> TraceOf(const grpc::CallbackServerContext& context) {
  const auto found = context.client_metadata().find("traceparent");
  if (found == context.client_metadata().end()) return std::nullopt;
  return ParseTraceParent({found->second.data(), found->second.size()});
}

constexpr size_t kAnswerBytesMax = size_t{4} << 20;  // what gRPC's clients take by default

size_t AnswerBytesMax(const grpc::CallbackServerContext& context) {
  const auto found = context.client_metadata().find("groundswell-answer-bytes-max");
  if (found == context.client_metadata().end()) return kAnswerBytesMax;
  size_t bytes = 0;
  const char* const end = found->second.data() + found->second.size();
  const auto [read_until, error] = std::from_chars(found->second.data(), end, bytes);
  return error == std::errc() && read_until == end ? bytes : kAnswerBytesMax;
}

absl::Status CheckAnswer(const grpc::CallbackServerContext& context,
                         const google::protobuf::Message& answer) {
  const size_t bytes = answer.ByteSizeLong();
  if (bytes <= kAnswerBytesMax) return absl::OkStatus();
  const size_t bytes_max = AnswerBytesMax(context);
  if (bytes <= bytes_max) return absl::OkStatus();
  return WithReason(
      absl::ResourceExhaustedError(fmt::format(
          "the answer has {} bytes and this client takes {}: ask for less at once, or let the "
          "client "
          "take larger messages and say so in the metadata groundswell-answer-bytes-max",
          bytes, bytes_max)),
      "ANSWER_TOO_LARGE", {{"answer_bytes", std::to_string(bytes)}});
}

}  // namespace

// One call on its way.
struct UnaryRunner::Pending {
  Pending(grpc::CallbackServerContext& call_context, UnaryRunner& unary_runner, Method call_method,
          std::string_view call_id, const google::protobuf::Message& call_response, Work call_work)
      : context(call_context),
        runner(unary_runner),
        unary(call_context, unary_runner.metrics_.requests(), call_method,
              unary_runner.options_.default_deadline),
        method(call_method),
        request_id(call_id),
        trace(TraceOf(call_context)),
        response(call_response),
        work(std::move(call_work)) {
    call.arrival = unary.arrival();
    call.deadline = unary.deadline();
    if (trace.has_value()) context.AddInitialMetadata("traceresponse", TraceResponse(*trace));
  }

  absl::Status RunWork() {
    return CaughtStatus([this] {
      const absl::Status status = work(call);
      if (status.ok()) return CheckAnswer(context, response);
      return call.stale ? OfStaleState(status) : status;
    });
  }

  void Finish(const absl::Status& status) {
    runner.slow_calls_.Observe({.method = method,
                                .request_id = request_id,
                                .trace = trace,
                                .code = status.code(),
                                .total = std::chrono::steady_clock::now() - call.arrival,
                                .queued = call.queued,
                                .stages = call.stages});
    call.state.reset();  // let go before the caller can believe it is done
    unary.Finish(status);
  }

  grpc::CallbackServerContext& context;
  UnaryRunner& runner;
  UnaryCall unary;
  const Method method;
  const std::string_view request_id;
  const std::optional<TraceContext> trace;
  const google::protobuf::Message& response;
  Work work;
  Call call;
};

UnaryRunner::UnaryRunner(const AccessControl& access, Admission& admission,
                         const ServingCell& serving, Metrics& metrics, Options options)
    : access_(access),
      admission_(admission),
      serving_(serving),
      metrics_(metrics),
      options_(options),
      slow_calls_(options.slow_call) {}

RequestGate UnaryRunner::gate() const {
  return {.access = access_, .metrics = metrics_.requests(), .right = Right::kRead};
}

grpc::ServerUnaryReactor* UnaryRunner::Run(grpc::CallbackServerContext* context, Method method,
                                           std::string_view request_id,
                                           absl::StatusOr<Offset> consistency_offset,
                                           const google::protobuf::Message& response, Work work) {
  RequestShortSlicesOnce();
  auto pending =
      std::make_shared<Pending>(*context, *this, method, request_id, response, std::move(work));
  grpc::ServerUnaryReactor* const reactor = pending->unary.reactor();
  if (absl::Status s = access_.Check(*context, Right::kRead); !s.ok()) {
    pending->Finish(s);
    return reactor;
  }
  if (!consistency_offset.ok()) {
    pending->Finish(consistency_offset.status());
    return reactor;
  }
  Call& call = pending->call;
  call.state = serving_.Get();
  Applier& applier = *call.state->applier;
  if (*consistency_offset <= applier.applied_offset()) {
    Enqueue(pending, /*reached=*/true);
    return reactor;
  }
  const auto wait_until = std::min(call.arrival + options_.consistency_wait,
                                   call.arrival + (call.deadline - call.arrival) / 2);
  applier.WhenApplied(*consistency_offset, wait_until,
                      [this, pending](bool reached) { Enqueue(pending, reached); });
  return reactor;
}

void UnaryRunner::Enqueue(const std::shared_ptr<Pending>& pending, bool reached) {
  pending->call.stale = !reached;
  const absl::Status submitted = admission_.Submit([this, pending](ComputeThread thread) {
    Call& call = pending->call;
    call.thread = thread;
    call.queued = std::chrono::steady_clock::now() - call.arrival;
    metrics_.pipeline().ObserveStage(Stage::kQueue, call.queued);
    if (pending->context.IsCancelled()) {
      metrics_.requests().CountRejected(Rejection::kCancelled);
      pending->Finish(absl::CancelledError("the caller gave up before the call began"));
    } else if (call.arrival + call.queued >= call.deadline) {
      metrics_.requests().CountRejected(Rejection::kDeadline);
      pending->Finish(absl::DeadlineExceededError("the deadline passed while the call waited"));
    } else {
      pending->Finish(pending->RunWork());
    }
  });
  if (submitted.ok()) return;
  metrics_.requests().CountRejected(absl::IsUnavailable(submitted) ? Rejection::kDraining
                                                                   : Rejection::kQueueFull);
  pending->Finish(submitted);
}

}  // namespace groundswell
