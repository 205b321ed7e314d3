#include "server/serving/start_state.h"

#include <spdlog/spdlog.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "index/vectors/faiss_index.h"
#include "scheduling/thread_scheduling.h"
#include "server/serving/clustering.h"
#include "server/serving/graph_follower.h"

namespace groundswell {
namespace {

using std::chrono::steady_clock;

Applier::Options OptionsFor(const ServingState& state, const StartContext& context) {
  Applier::Options options = context.applier;
  options.fold.clustering = ClusteringOf(state.snapshot);
  FollowGraph(state, options);
  const auto serves = [&serving = context.serving, &state] {
    return serving.Get().get() == &state;
  };
  options.on_applied = [serves,
                        tell = context.on_applied](std::span<const Applier::Result> results) {
    if (serves()) tell(results);
  };
  options.on_expired = [serves, tell = context.on_expired](size_t edges) {
    if (serves()) tell(edges);
  };
  options.on_status = [](const absl::Status& status) {
    if (status.ok()) {
      spdlog::info("applying interactions again");
    } else {
      spdlog::error("cannot apply interactions: {}", std::string(status.message()));
    }
  };
  options.on_activate = [&point = context.point, &store = context.store](
                            Offset, const ActivateSnapshot& change) {
    point.Reached(change, store);
  };
  return options;
}

absl::Status CatchUp(Applier& applier, const std::function<bool()>& cancelled) {
  auto last_report = steady_clock::now();
  return applier.CatchUp(
      [&](Offset applied, Offset end) {
        if (steady_clock::now() - last_report < std::chrono::seconds(1)) return;
        last_report = steady_clock::now();
        spdlog::info("applying the log: offset {} of {}", applied, end);
      },
      cancelled);
}

}  // namespace

absl::Status StartState(ServingState& state, const StartContext& context,
                        const std::function<bool()>& cancelled) {
  if (absl::Status s = context.check(*state.snapshot); !s.ok()) return s;
  std::optional<Offset> checkpoint;
  const auto stored = state.generation.ReadCheckpoint();
  if (!stored.ok()) return stored.status();
  if (stored->has_value()) checkpoint = (*stored)->offset;
  Applier::Options options = OptionsFor(state, context);
  if (absl::Status s =
          FollowWithBlend(state, context.pipeline.retrieval, context.blend_learns, options);
      !s.ok()) {
    return s;
  }
  state.applier =
      std::make_unique<Applier>(context.store, state.generation, context.log, *state.catalogue,
                                *state.graph, state.graph_state, checkpoint, std::move(options));
  if (absl::Status s = CatchUp(*state.applier, cancelled); !s.ok()) return s;
  RefreshPopularity(state);
  state.pipeline =
      std::make_unique<Pipeline>(state, context.metrics, context.pipeline, context.compute_threads);
  RunAtLowestPriority([&state] { state.pipeline->WarmUp(); });
  return absl::OkStatus();
}

void ShowServed(const ServingState& state, ServedMetrics& metrics) {
  metrics.SetSnapshot(state.snapshot->manifest().FullVersion());
  const EmbeddingIndex::Status index = state.embedding_index->status();
  metrics.SetIndex(index.kind, FaissIndex::Simd());
  spdlog::info("retrieval index: {} over {} items, by a FAISS for {}", index.kind, index.items,
               FaissIndex::Simd());
  std::vector<std::pair<std::string, std::string>> rankers;
  for (const auto& ranker : state.snapshot->rankers()) {
    rankers.emplace_back(ranker->name(), ranker->arithmetic());
    spdlog::info("ranker {}: {}", rankers.back().first, rankers.back().second);
  }
  metrics.SetRankers(rankers);
  metrics.SetParity(state.examples.max_abs_error);
  if (state.snapshot->is_empty()) {
    spdlog::info("no snapshot: lists come from the live graph alone until one is activated");
    return;
  }
  const auto level = state.examples.rows > 0 ? spdlog::level::info : spdlog::level::warn;
  spdlog::log(level, "{}: {}", state.snapshot->manifest().FullVersion(), Describe(state.examples));
}

}  // namespace groundswell
