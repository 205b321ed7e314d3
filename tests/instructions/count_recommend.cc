// Answers Recommend calls on the sample snapshot with default settings, without gRPC, for a count
// of the instructions of each stage:
//
//   valgrind --tool=callgrind --toggle-collect=CountedRecommend count_recommend SNAPSHOT DIRECTORY
//
// Prints the instruction set that the program was compiled for, and how many calls were counted.
#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "graph/store/rocksdb_log.h"
#include "server/config/config.h"
#include "server/offline/import.h"
#include "server/options.h"
#include "server/pipeline/pipeline.h"
#include "server/process/metrics.h"
#include "server/serving/clustering.h"
#include "server/serving/graph_follower.h"
#include "server/serving/load_state.h"
#include "server/serving/serving_state.h"

namespace groundswell {
namespace {

// Every so many of the users ask.
constexpr size_t kUserStep = 205;

[[noreturn]] void FailToCount(const absl::Status& status) {
  fmt::print(stderr, "count_recommend: {}\n", std::string(status.message()));
  std::exit(1);
}

template <typename Value>
Value ValueToCount(absl::StatusOr<Value> value) {
  if (!value.ok()) FailToCount(value.status());
  return *std::move(value);
}

std::vector<std::string> CountedUsers(const Generation& generation) {
  std::vector<std::string> users;
  size_t at = 0;
  const absl::Status read =
      generation.ForEachUser([&](std::string_view id, const UserState&) -> absl::Status {
        if (at++ % kUserStep == 0) users.emplace_back(id);
        return absl::OkStatus();
      });
  if (!read.ok()) FailToCount(read);
  return users;
}

}  // namespace
}  // namespace groundswell

// The name that callgrind switches its counters by.
extern "C" [[gnu::noinline]] bool CountedRecommend(groundswell::Pipeline& pipeline,
                                                   const groundswell::RecommendQuery& query) {
  groundswell::StageDurations durations;
  return pipeline.Recommend(query, {.number = 0}, durations).ok();
}

int main(int argc, char** argv) {
  using namespace groundswell;
  if (argc != 3) {
    fmt::print(stderr, "usage: count_recommend SNAPSHOT DIRECTORY\n");
    return 2;
  }
  const std::string database = std::string(argv[2]) + "/count_recommend";
  const auto nothing = [](std::string_view, uint64_t, uint64_t) {};
  const auto goes_on = [] { return false; };
  const auto imported =
      Import({.snapshot_directory = argv[1], .data_dir = database}, nothing, goes_on);
  if (!imported.ok()) FailToCount(imported.status());
  const auto store = ValueToCount(GraphStore::Open({.path = database}));
  const auto state =
      ValueToCount(LoadServingState(ValueToCount(Generation::OpenCurrent(*store)), {}, nothing));
  const auto log = ValueToCount(RocksdbLog::Open(*store, state->graph_state.base_offset, {}));
  Applier::Options options{.fold = {.clustering = ClusteringOf(state->snapshot)}};
  FollowGraph(*state, options);
  state->applier =
      std::make_unique<Applier>(*store, state->generation, *log, *state->catalogue, *state->graph,
                                state->graph_state, std::nullopt, std::move(options));
  RefreshPopularity(*state);
  Metrics metrics(std::vector<std::string>{"purchase"});
  Pipeline pipeline(*state, metrics.pipeline(), PipelineOptionsOf(Config{}, metrics.pipeline()), 1);
  pipeline.WarmUp();

  RecommendQuery query{.ranker = state->snapshot->FindRanker(""),
                       .deadline = std::chrono::steady_clock::now() + std::chrono::hours(24)};
  const std::vector<std::string> users = CountedUsers(state->generation);
  // Uncounted: memory that grows, items that the ranker prepares once, blocks that come from disk.
  for (const std::string& user : users) {
    StageDurations durations;
    query.user_id = user;
    const auto list = pipeline.Recommend(query, {.number = 0}, durations);
    if (!list.ok()) FailToCount(list.status());
  }
  for (const std::string& user : users) {
    query.user_id = user;
    if (!CountedRecommend(pipeline, query)) return 1;
  }
  log->Close();
  state->applier.reset();  // which reads the log
#ifdef __AVX2__
  fmt::print("x86-64-v3 {}\n", users.size());
#else
  fmt::print("x86-64 {}\n", users.size());
#endif
  return 0;
}
