#include "tests/support/live_graph.h"

#include <gtest/gtest.h>

#include <future>
#include <stdexcept>
#include <utility>

#include "graph/upkeep/adjacency_verification.h"
#include "tests/support/value_or_throw.h"

namespace groundswell {
namespace {

Applier::Clustering TestClustering(const MacroShape& shape, size_t trained_items) {
  return {.of_new_user = [p = shape.user_clusters](ItemIndex item) { return ToInt(item) % p; },
          .of_known_user =
              [p = shape.user_clusters](const UserState& user) {
                size_t sum = 1;
                for (const Edge& edge : user.edges) sum += ToInt(edge.item);
                return static_cast<Cluster>(sum % p);
              },
          .of_new_item =
              [q = shape.item_clusters](const UpsertItem& item) {
                return static_cast<Cluster>(item.item_id.size() % q);
              },
          .trained_users = 0,
          .trained_items = trained_items};
}

std::unique_ptr<InteractionAdjacency> Load(const Generation& generation, size_t neighbors_max) {
  auto adjacency = std::make_unique<InteractionAdjacency>(
      neighbors_max, ValueOrThrow(generation.ReadState()).window.trace_length());
  const absl::Status loaded = LoadAdjacency(
      generation, [](const UserState&) { return absl::OkStatus(); }, *adjacency);
  if (!loaded.ok()) throw std::runtime_error(loaded.ToString());
  return adjacency;
}

void ExpectSame(const NeighborLists& lists, const NeighborLists& expected, uint32_t nodes) {
  std::vector<Neighbor> is;
  std::vector<Neighbor> should_be;
  for (uint32_t node = 0; node < nodes; ++node) {
    lists.CopyTo(node, is);
    expected.CopyTo(node, should_be);
    EXPECT_TRUE(is == should_be) << "node " << node << ": " << is.size() << " neighbours, not "
                                 << should_be.size() << ", or others";
    EXPECT_EQ(lists.Find(node).weight_max(), expected.Find(node).weight_max()) << "node " << node;
  }
  EXPECT_EQ(lists.edge_count(), expected.edge_count());
}

}  // namespace

LiveGraph::LiveGraph(const std::string& path, LiveGraphOptions options)
    : store(ValueOrThrow(GraphStore::Open(
          {.path = path, .write_buffer_bytes = options.write_buffer_bytes, .env = options.env}))),
      generation(ValueOrThrow(Generation::OpenCurrent(*store))),
      neighbors_max_(options.neighbors_max) {
  const GraphState state = ValueOrThrow(generation.ReadState());
  const std::vector<StoredItem> items = ValueOrThrow(generation.ReadItems());
  catalogue = std::make_unique<Catalogue>(items.size() + options.spare_items);
  std::vector<Cluster> clusters;
  size_t trained_items = 0;
  for (const StoredItem& item : items) {
    const auto index = static_cast<uint32_t>(clusters.size());
    clusters.push_back(item.created ? item.cluster : index % options.shape.item_clusters);
    trained_items += item.created ? 0 : 1;
    catalogue->Add(item.id, item.title, item.category);
    if (item.removed) catalogue->Remove(ItemIndex{index});
  }
  catalogue->FinishLoading();
  graph = std::make_unique<MacroGraph>(options.shape, clusters, options.spare_items);
  loaded = ValueOrThrow(LoadItemSide(generation, options.load_from, *graph,
                                     [](std::string_view, uint64_t, uint64_t) {}));
  adjacency = Load(generation, neighbors_max_);
  log = ValueOrThrow(RocksdbLog::Open(*store, state.base_offset, options.log));
  const auto checkpoint = ValueOrThrow(generation.ReadCheckpoint());
  std::optional<Offset> checkpoint_offset;
  if (checkpoint.has_value()) checkpoint_offset = checkpoint->offset;
  Applier::Options applier_options{
      .fold = {.batch_max = options.batch_max,
               .user_cache_bytes = options.user_cache_bytes,
               .clustering = TestClustering(options.shape, trained_items)},
      .on_digest = options.on_digest};
  applier_options.on_applied = [this](std::span<const Applier::Result> results) {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (const auto& [interaction, outcome] : results) outcomes_.push_back(outcome);
  };
  applier_options.fold.on_edges_changed =
      [this, also = options.on_edges_changed](const EdgeChange& change) {
        adjacency->Change(change);
        if (also) also(change);
      };
  applier = std::make_unique<Applier>(*store, generation, *log, *catalogue, *graph, state,
                                      checkpoint_offset, std::move(applier_options));
  const absl::Status caught_up = applier->CatchUp([](Offset, Offset) {}, [] { return false; });
  if (!caught_up.ok()) throw std::runtime_error(caught_up.ToString());
}

LiveGraph::~LiveGraph() {
  if (log != nullptr) log->Close();
  applier.reset();  // it tells `outcomes_`
}

absl::StatusOr<AppendResult> LiveGraph::Send(AppendRequest request) {
  std::promise<absl::StatusOr<AppendResult>> answer;
  const absl::Status queued = log->Append(
      std::move(request),
      [&](absl::StatusOr<AppendResult> result) { answer.set_value(std::move(result)); });
  if (!queued.ok()) return queued;
  return answer.get_future().get();
}

Offset LiveGraph::Append(std::vector<LogEntry> entries) {
  return ValueOrThrow(Send({.entries = std::move(entries)})).entries.back().offset;
}

bool LiveGraph::WaitFor(Offset offset, std::chrono::milliseconds limit) {
  std::promise<bool> reached;
  applier->WhenApplied(offset, std::chrono::steady_clock::now() + limit,
                       [&](bool is_reached) { reached.set_value(is_reached); });
  return reached.get_future().get();
}

Offset LiveGraph::Apply(std::vector<LogEntry> entries) {
  const Offset offset = Append(std::move(entries));
  EXPECT_TRUE(WaitFor(offset));
  return offset;
}

std::vector<FoldOutcome> LiveGraph::StopAndTakeOutcomes() {
  log->Close();
  applier.reset();
  const std::lock_guard<std::mutex> lock(mutex_);
  return std::move(outcomes_);
}

UserState LiveGraph::User(const std::string& id) const {
  return ValueOrThrow(generation.ReadUser(id)).value_or(UserState{});
}

absl::StatusOr<CheckpointInfo> LiveGraph::Checkpoint() {
  return WriteCheckpoint(*store, generation, *applier, *graph, 0, [] { return true; });
}

void LiveGraph::ExpectVerified() {
  AdjacencyVerification of_adjacency(*adjacency, generation, *applier);
  const auto verified =
      VerifyGraph(*store, generation, *applier, *catalogue, *graph, {{of_adjacency.View()}});
  ASSERT_TRUE(verified.ok()) << verified.status();
  EXPECT_EQ(verified->difference_count, 0u)
      << (verified->differences.empty() ? "" : verified->differences[0]);
  const auto expected = Load(generation, neighbors_max_);
  const uint32_t users = ValueOrThrow(generation.ReadState()).user_count;
  ExpectSame(adjacency->items_of_users(), expected->items_of_users(), users);
  ExpectSame(adjacency->traces(), expected->traces(), users);
  ExpectSame(adjacency->users_of_items(), expected->users_of_items(),
             static_cast<uint32_t>(graph->item_count()));
}

}  // namespace groundswell
