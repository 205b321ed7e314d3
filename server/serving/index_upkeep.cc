#include "server/serving/index_upkeep.h"

#include <spdlog/spdlog.h>

#include <string>

#include "index/vectors/faiss_index.h"

namespace groundswell {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::seconds kAfterFailure{60};
constexpr std::chrono::seconds kReportEvery{5};
constexpr int kNiceness = 19;

}  // namespace

IndexUpkeep::IndexUpkeep(const ServingCell& serving, ServedMetrics& metrics,
                         std::chrono::milliseconds interval)
    : serving_(serving),
      metrics_(metrics),
      thread_({.name = "index", .niceness = kNiceness}, interval,
              [this, interval](const PeriodicThread::KeepGoing& keep_going) {
                return LookAfter(serving_.Get(), interval, keep_going);
              }) {}

std::chrono::milliseconds IndexUpkeep::LookAfter(const std::shared_ptr<ServingState>& state,
                                                 std::chrono::milliseconds interval,
                                                 const PeriodicThread::KeepGoing& keep_going) {
  EmbeddingIndex& index = *state->embedding_index;
  if (!index.WantsRebuild()) return interval;
  spdlog::info("building the retrieval index: {} items have changed", index.status().changed_items);
  const auto begin = steady_clock::now();
  auto next_report = begin + kReportEvery;
  const absl::Status built = index.Rebuild(/*threads=*/1, [&](size_t done, size_t total) {
    metrics_.SetIndexProgress(done, total);
    if (steady_clock::now() >= next_report) {
      next_report += kReportEvery;
      spdlog::info("building the retrieval index: {} of {} items", done, total);
    }
    return keep_going() && serving_.Get() == state;
  });
  const auto took = steady_clock::now() - begin;
  if (absl::IsCancelled(built)) return interval;
  metrics_.CountIndexBuild(built.ok(), took);
  if (!built.ok()) {
    spdlog::error("cannot build the retrieval index, the old one stays: {}",
                  std::string(built.message()));
    return kAfterFailure;
  }
  const EmbeddingIndex::Status now = index.status();
  metrics_.SetIndex(now.kind, FaissIndex::Simd());
  spdlog::info("the retrieval index {} over {} items serves, built in {} ms", now.kind, now.items,
               std::chrono::duration_cast<std::chrono::milliseconds>(took).count());
  return interval;
}

}  // namespace groundswell
