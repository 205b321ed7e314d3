#include "server/serving_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace groundswell {
namespace {

absl::StatusOr<SnapshotFiles> ReadSnapshotFiles(const GraphStore& store) {
  const auto names = store.ListSnapshotFiles();
  if (!names.ok()) return names.status();
  SnapshotFiles files;
  for (const std::string& name : *names) {
    const absl::StatusOr<uint64_t> bytes = store.SnapshotFileBytes(name);
    if (!bytes.ok()) return bytes.status();
    auto file = std::make_shared<FileBytes>(*bytes);
    if (absl::Status s = store.ReadSnapshotFile(name, file->mutable_view()); !s.ok()) return s;
    files.files.emplace(name, std::move(file));
  }
  return files;
}

MacroShape ShapeOf(const Snapshot& snapshot) {
  MacroShape shape{.user_clusters = snapshot.manifest().user_clusters,
                   .item_clusters = snapshot.manifest().item_clusters};
  for (const auto& ranker : snapshot.rankers()) {
    shape.recent_len =
        std::max(shape.recent_len, static_cast<uint32_t>(ranker->shape().recent_len));
  }
  return shape;
}

absl::Status LoadGraph(const GraphStore& store, MacroGraph& graph) {
  const MacroShape& shape = graph.items().shape();
  const size_t items = graph.items().size();
  absl::Status loaded =
      store.ForEachUser([&](std::string_view user_id, const UserState& user) -> absl::Status {
        const bool fits = user.cluster < shape.user_clusters &&
                          (user.edges.empty() || ToInt(user.edges.back().item) < items);
        if (!fits) {
          return absl::DataLossError(
              fmt::format("the record of user \"{}\" does not fit the snapshot", user_id));
        }
        graph.LoadUser(user);
        return absl::OkStatus();
      });
  if (loaded.ok()) graph.FinishLoading();
  return loaded;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ServingState>> LoadServingState(
    const GraphStore& store, const FaissSource::Options& index_options,
    const std::function<void(std::string_view)>& progress) {
  auto state = std::make_unique<ServingState>();
  absl::StatusOr<GraphState> graph_state = store.ReadState();
  if (!graph_state.ok()) return graph_state.status();
  state->graph_state = *std::move(graph_state);

  progress("snapshot");
  const absl::StatusOr<SnapshotFiles> files = ReadSnapshotFiles(store);
  if (!files.ok()) return files.status();
  auto snapshot = Snapshot::Create(*files);
  if (!snapshot.ok()) return snapshot.status();
  state->snapshot = *std::move(snapshot);

  progress("catalogue");
  auto catalogue = store.ReadCatalogue();
  if (!catalogue.ok()) return catalogue.status();
  state->catalogue = *std::move(catalogue);
  const auto clusters = state->snapshot->item_clusters();
  if (state->catalogue.size() != clusters.size()) {
    return absl::DataLossError(fmt::format("the catalogue holds {} items, the snapshot {}",
                                           state->catalogue.size(), clusters.size()));
  }

  progress("graph");
  state->graph = std::make_unique<MacroGraph>(
      ShapeOf(*state->snapshot), std::vector<MacroNode>(clusters.begin(), clusters.end()));
  if (absl::Status s = LoadGraph(store, *state->graph); !s.ok()) return s;

  progress("index");
  auto source = FaissSource::Build(state->snapshot->item_embeddings(),
                                   state->snapshot->manifest().embedding_dim, index_options);
  if (!source.ok()) return source.status();
  state->embedding_source = *std::move(source);
  RefreshPopularity(*state);
  return state;
}

void RefreshPopularity(ServingState& state) {
  std::vector<Count> totals(state.catalogue.size());
  for (uint32_t item = 0; item < totals.size(); ++item) {
    totals[item] = state.graph->items().Total(ItemIndex{item});
  }
  state.popularity.Update(totals);
}

}  // namespace groundswell
