// The sample snapshot, or another one, with its live graph: everything that a pipeline works on,
// without a server.
#ifndef GROUNDSWELL_TESTS_UNIT_SERVER_LIVE_SAMPLE_H_
#define GROUNDSWELL_TESTS_UNIT_SERVER_LIVE_SAMPLE_H_

#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <string>
#include <utility>

#include "graph/store/rocksdb_log.h"
#include "server/offline/import.h"
#include "server/serving/clustering.h"
#include "server/serving/graph_follower.h"
#include "server/serving/load_state.h"
#include "server/serving/serving_state.h"
#include "tests/support/temporary_directory.h"

namespace groundswell {

// A customer of the sample with a long history.
inline constexpr char kCustomer[] = "17850";
// Places in its catalogue for items that come later.
inline constexpr int kNewItemsMax = 100;

struct LiveSample {
  explicit LiveSample(const std::string& snapshot = GROUNDSWELL_SAMPLE_SNAPSHOT) {
    const auto report = Import(
        {.snapshot_directory = snapshot, .data_dir = directory.File("db")},
        [](std::string_view, uint64_t, uint64_t) {}, [] { return false; });
    EXPECT_TRUE(report.ok()) << report.status();
    store = *GraphStore::Open({.path = directory.File("db")});
    state = *LoadServingState(*Generation::OpenCurrent(*store), {.new_items_max = kNewItemsMax},
                              [](std::string_view, uint64_t, uint64_t) {});
    log = *RocksdbLog::Open(*store, state->graph_state.base_offset, {});
    Applier::Options options{.fold = {.clustering = ClusteringOf(state->snapshot)}};
    FollowGraph(*state, options);
    state->applier =
        std::make_unique<Applier>(*store, state->generation, *log, *state->catalogue, *state->graph,
                                  state->graph_state, std::nullopt, std::move(options));
    EXPECT_TRUE(state->applier->CatchUp([](Offset, Offset) {}, [] { return false; }).ok());
  }
  ~LiveSample() { log->Close(); }

  // Appends and waits until it is applied.
  void Apply(LogEntry entry) {
    std::promise<Offset> appended;
    AppendRequest request;
    request.entries.push_back(std::move(entry));
    const absl::Status queued =
        log->Append(std::move(request), [&](const absl::StatusOr<AppendResult>& result) {
          appended.set_value(result.ok() ? result->entries.back().offset : Offset{0});
        });
    ASSERT_TRUE(queued.ok()) << queued;
    std::promise<bool> applied;
    state->applier->WhenApplied(appended.get_future().get(),
                                std::chrono::steady_clock::now() + std::chrono::seconds(30),
                                [&](bool reached) { applied.set_value(reached); });
    ASSERT_TRUE(applied.get_future().get());
  }

  // What a server does once a second.
  void Refresh() {
    RefreshPopularity(*state);
    while (state->new_item_vectors->has_due()) state->new_item_vectors->Refresh();
  }

  TemporaryDirectory directory;
  std::unique_ptr<GraphStore> store;
  std::unique_ptr<RocksdbLog> log;
  std::unique_ptr<ServingState> state;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_TESTS_UNIT_SERVER_LIVE_SAMPLE_H_
