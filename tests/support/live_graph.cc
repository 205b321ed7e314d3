#include "tests/support/live_graph.h"

#include <gtest/gtest.h>

#include <future>
#include <stdexcept>
#include <utility>

namespace groundswell {
namespace {

template <typename T>
T ValueOrThrow(absl::StatusOr<T> value) {
  if (!value.ok()) throw std::runtime_error(value.status().ToString());
  return *std::move(value);
}

Applier::Clustering TestClustering(const MacroShape& shape, size_t trained_items) {
  return {.of_new_user = [p = shape.user_clusters](ItemIndex item) { return ToInt(item) % p; },
          .of_known_user =
              [p = shape.user_clusters](const UserState& user) {
                size_t sum = 1;
                for (const Edge& edge : user.edges) sum += ToInt(edge.item);
                return static_cast<MacroNode>(sum % p);
              },
          .of_new_item =
              [q = shape.item_clusters](const CreateItem& item) {
                return static_cast<MacroNode>(item.item_id.size() % q);
              },
          .trained_users = 0,
          .trained_items = trained_items};
}

}  // namespace

LiveGraph::LiveGraph(const std::string& path, LiveGraphOptions options)
    : store(ValueOrThrow(GraphStore::Open(
          {.path = path, .write_buffer_bytes = options.write_buffer_bytes, .env = options.env}))),
      generation(ValueOrThrow(Generation::OpenCurrent(*store))) {
  const GraphState state = ValueOrThrow(generation.ReadState());
  const std::vector<StoredItem> items = ValueOrThrow(generation.ReadItems());
  catalogue = std::make_unique<Catalogue>(items.size() + options.spare_items);
  std::vector<MacroNode> clusters;
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
  log = ValueOrThrow(RocksdbLog::Open(*store, state.base_offset, options.log));
  const auto checkpoint = ValueOrThrow(generation.ReadCheckpoint());
  std::optional<Offset> checkpoint_offset;
  if (checkpoint.has_value()) checkpoint_offset = checkpoint->offset;
  Applier::Options applier_options{.batch_max = options.batch_max,
                                   .user_cache_bytes = options.user_cache_bytes,
                                   .clustering = TestClustering(options.shape, trained_items),
                                   .on_applied = [this](std::span<const Applier::Result> results) {
                                     const std::lock_guard<std::mutex> lock(mutex_);
                                     for (const auto& [interaction, outcome] : results)
                                       outcomes_.push_back(outcome);
                                   }};
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

std::vector<Applier::Outcome> LiveGraph::StopAndTakeOutcomes() {
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
  const auto verified = VerifyGraph(*store, generation, *applier, *catalogue, *graph);
  ASSERT_TRUE(verified.ok()) << verified.status();
  EXPECT_EQ(verified->difference_count, 0u)
      << (verified->differences.empty() ? "" : verified->differences[0]);
}

}  // namespace groundswell
