// UnaryRunner: the way of every computed unary call (a UnaryCall), from the gRPC thread to a
// compute thread and back.
//
//   arrival -> (wait for the caller's own write) -> queue -> compute thread -> finish
//
// Whatever happens the call is finished exactly once, counted and timed, and logged if it was slow.
// gRPC's clients take answers of 4 MiB unless they are told otherwise; one that takes more says so
// in its metadata, `groundswell-answer-bytes-max`.
//
// A caller's `traceparent` (W3C Trace Context) stands in the log, and is answered by a
// `traceresponse`.
#ifndef GROUNDSWELL_SERVER_RECOMMEND_UNARY_RUNNER_H_
#define GROUNDSWELL_SERVER_RECOMMEND_UNARY_RUNNER_H_

#include <chrono>
#include <memory>
#include <string_view>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "google/protobuf/message.h"
#include "graph/ids.h"
#include "grpcpp/grpcpp.h"
#include "server/pipeline/admission.h"
#include "server/pipeline/query.h"
#include "server/process/metrics.h"
#include "server/recommend/slow_call_log.h"
#include "server/rpc/access.h"
#include "server/rpc/request_decoding.h"
#include "server/serving/serving_state.h"

namespace groundswell {

class UnaryRunner {
 public:
  struct Options {
    std::chrono::milliseconds default_deadline{100};
    std::chrono::milliseconds consistency_wait{50};
    std::chrono::milliseconds slow_call{0};  // calls that take as long are logged; 0: none
  };

  // What a running call knows of itself.
  struct Call {
    ComputeThread thread;
    std::chrono::steady_clock::time_point arrival;
    std::chrono::steady_clock::time_point deadline;
    std::chrono::nanoseconds queued{};    // from arrival until a compute thread took it
    StageDurations stages;                // the work's to add to
    bool stale = false;                   // the consistency offset was not reached in time
    std::shared_ptr<ServingState> state;  // the world as the call sees it, from arrival to end
  };
  using Work = absl::AnyInvocable<absl::Status(Call&)>;

  // All references must outlive the runner.
  UnaryRunner(const AccessControl& access, Admission& admission, const ServingCell& serving,
              Metrics& metrics, Options options);

  // Runs `work` on a compute thread once the graph contains `consistency_offset`, or the wait for
  // it is over, if the caller has the right to read. An error as `consistency_offset` finishes the
  // call with it. Request and response may be used by `work`; they live until the call is finished.
  // `request_id` is the request's. A `response` that is larger than the caller takes becomes an
  // error that says so: ResourceExhausted, reason ANSWER_TOO_LARGE. What `work` throws becomes one,
  // too: Internal.
  grpc::ServerUnaryReactor* Run(grpc::CallbackServerContext* context, Method method,
                                std::string_view request_id,
                                absl::StatusOr<Offset> consistency_offset,
                                const google::protobuf::Message& response, Work work);

  const SlowCallLog& slow_calls() const { return slow_calls_; }

  // What a call has to pass before its request is decoded.
  RequestGate gate() const;

 private:
  struct Pending;
  void Enqueue(const std::shared_ptr<Pending>& pending, bool reached);

  const AccessControl& access_;
  Admission& admission_;
  const ServingCell& serving_;
  Metrics& metrics_;
  const Options options_;
  SlowCallLog slow_calls_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_RECOMMEND_UNARY_RUNNER_H_
