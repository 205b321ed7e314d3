// Starting: a loaded state gets its applier, which catches up with the log, and its pipeline.
#ifndef GROUNDSWELL_SERVER_SERVING_START_STATE_H_
#define GROUNDSWELL_SERVER_SERVING_START_STATE_H_

#include <cstddef>
#include <functional>
#include <span>

#include "absl/status/status.h"
#include "graph/fold/applier.h"
#include "graph/log/interaction_log.h"
#include "graph/store/store.h"
#include "server/pipeline/pipeline.h"
#include "server/process/metrics.h"
#include "server/serving/activation.h"
#include "server/serving/serving_state.h"

namespace groundswell {

// What every state that is started works with. The references and what the functions refer to must
// outlive the states.
struct StartContext {
  GraphStore& store;
  InteractionLog& log;
  const ServingCell& serving;
  ActivationPoint& point;
  PipelineMetrics& metrics;
  Applier::Options applier;  // but for what depends on the state
  Pipeline::Options pipeline;
  bool blend_learns = true;
  size_t compute_threads = 1;
  // Whether the configuration fits a snapshot.
  std::function<absl::Status(const Snapshot&)> check;
  // Told by the state that serves, and not by one that is made ready beside it; see
  // Applier::Options.
  std::function<void(std::span<const Applier::Result>)> on_applied;
  std::function<void(size_t edges)> on_expired;
};

// Returns when the graph has what the log holds. Cancelled when `cancelled` answers true.
absl::Status StartState(ServingState& state, const StartContext& context,
                        const std::function<bool()>& cancelled);

// Tells operators what serves from now on.
void ShowServed(const ServingState& state, ServedMetrics& metrics);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_SERVING_START_STATE_H_
