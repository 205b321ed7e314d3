// UnaryRunner: the way of every computed unary call, from the gRPC thread to a compute thread and
// back.
//
//   arrival -> (wait for the caller's own write) -> queue -> compute thread -> finish
//
// Whatever happens the call is finished exactly once, counted and timed.
#ifndef GROUNDSWELL_SERVER_UNARY_RUNNER_H_
#define GROUNDSWELL_SERVER_UNARY_RUNNER_H_

#include <chrono>
#include <memory>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "graph/ids.h"
#include "grpcpp/grpcpp.h"
#include "server/access.h"
#include "server/admission.h"
#include "server/metrics.h"
#include "server/serving_state.h"

namespace groundswell {

class UnaryRunner {
 public:
  struct Options {
    std::chrono::milliseconds default_deadline{100};
    std::chrono::milliseconds consistency_wait{50};
  };

  // What a running call knows of itself.
  struct Call {
    ComputeThread thread;
    std::chrono::steady_clock::time_point arrival;
    std::chrono::steady_clock::time_point deadline;
    std::chrono::nanoseconds queued{};    // from arrival until a compute thread took it
    bool stale = false;                   // the consistency offset was not reached in time
    std::shared_ptr<ServingState> state;  // the world as the call sees it, from arrival to end
  };
  using Work = absl::AnyInvocable<absl::Status(const Call&)>;

  // All references must outlive the runner.
  UnaryRunner(const AccessControl& access, Admission& admission, const ServingCell& serving,
              Metrics& metrics, Options options);

  // Runs `work` on a compute thread once the graph contains `consistency_offset`, or the wait for
  // it is over, if the caller has the right to read. An error as `consistency_offset` finishes the
  // call with it. Request and response
  // may be used by `work`; they live until the call is finished.
  grpc::ServerUnaryReactor* Run(grpc::CallbackServerContext* context, Method method,
                                absl::StatusOr<Offset> consistency_offset, Work work);

 private:
  struct Pending;
  void Enqueue(const std::shared_ptr<Pending>& pending, bool reached);

  const AccessControl& access_;
  Admission& admission_;
  const ServingCell& serving_;
  Metrics& metrics_;
  const Options options_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_UNARY_RUNNER_H_
