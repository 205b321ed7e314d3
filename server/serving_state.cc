#include "server/serving_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <future>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "server/pipeline.h"

namespace groundswell {
namespace {

// Categories that an item macro node is called by.
constexpr size_t kNodeCategories = 3;
constexpr std::chrono::milliseconds kProgressInterval{200};

absl::StatusOr<SnapshotFiles> ReadSnapshotFiles(const Generation& generation) {
  const auto names = generation.ListSnapshotFiles();
  if (!names.ok()) return names.status();
  SnapshotFiles files;
  for (const std::string& name : *names) {
    const absl::StatusOr<uint64_t> bytes = generation.SnapshotFileBytes(name);
    if (!bytes.ok()) return bytes.status();
    auto file = std::make_shared<FileBytes>(*bytes);
    if (absl::Status s = generation.ReadSnapshotFile(name, file->mutable_view()); !s.ok()) return s;
    files.files.emplace(name, std::move(file));
  }
  return files;
}

MacroShape ShapeOf(const Snapshot& snapshot) {
  MacroShape shape{.user_clusters = snapshot.manifest().user_clusters,
                   .item_clusters = snapshot.manifest().item_clusters};
  for (const auto& ranker : snapshot.rankers()) {
    shape.recent_len =
        std::max(shape.recent_len, static_cast<uint32_t>(ranker->shape().recent_users));
  }
  return shape;
}

// The catalogue and the macro node of every item. Items of the snapshot come first.
absl::StatusOr<std::unique_ptr<Catalogue>> LoadItems(const Generation& generation,
                                                     const Snapshot& snapshot, size_t new_items_max,
                                                     std::vector<MacroNode>& clusters) {
  absl::StatusOr<std::vector<StoredItem>> items = generation.ReadItems();
  if (!items.ok()) return items.status();
  const auto trained = snapshot.item_clusters();
  if (items->size() < trained.size()) {
    return absl::DataLossError(fmt::format("the catalogue holds {} items, the snapshot {}",
                                           items->size(), trained.size()));
  }
  auto catalogue = std::make_unique<Catalogue>(items->size() + new_items_max);
  for (StoredItem& item : *items) {
    const ItemIndex index{static_cast<uint32_t>(clusters.size())};
    clusters.push_back(ToInt(index) < trained.size() ? trained[ToInt(index)] : item.cluster);
    if (clusters.back() >= snapshot.manifest().item_clusters) {
      return absl::DataLossError(
          fmt::format("the macro node of item \"{}\" does not exist", item.id));
    }
    catalogue->Add(std::move(item.id), std::move(item.title), item.category);
    if (item.removed) catalogue->Remove(index);
  }
  catalogue->FinishLoading();
  return catalogue;
}

// Mean of the embeddings of the user's items that have one, an item once; all zero without any.
std::vector<float> MeanEmbedding(const Snapshot& snapshot, const UserState& user) {
  std::vector<float> mean(snapshot.manifest().embedding_dim);
  size_t count = 0;
  for (size_t at = 0; at < user.edges.size(); ++at) {
    const ItemIndex item = user.edges[at].item;
    const bool repeats = at > 0 && user.edges[at - 1].item == item;
    if (repeats || ToInt(item) >= snapshot.item_clusters().size()) continue;
    const auto embedding = snapshot.ItemEmbedding(ToInt(item));
    for (size_t i = 0; i < mean.size(); ++i) mean[i] += embedding[i];
    ++count;
  }
  for (float& value : mean) value /= static_cast<float>(std::max<size_t>(count, 1));
  return mean;
}

std::shared_ptr<const ItemNodeCategories> CategoriesOfItemNodes(const Catalogue& catalogue,
                                                                const MacroGraph& graph) {
  const auto category_of_item = catalogue.category_of_item();
  absl::flat_hash_map<std::pair<MacroNode, uint32_t>, std::pair<Count, ItemIndex>> totals;
  for (uint32_t at = 0; at < category_of_item.size(); ++at) {
    const ItemIndex item{at};
    if (catalogue.Category(item).empty()) continue;
    auto& [total, example] = totals[{graph.ClusterOf(item), category_of_item[at]}];
    total += graph.items().Total(item);
    example = item;
  }
  using Ranked = std::tuple<MacroNode, Count, std::string_view>;
  std::vector<Ranked> ranked;
  for (const auto& [key, entry] : totals) {
    ranked.emplace_back(key.first, -entry.first, catalogue.Category(entry.second));
  }
  std::sort(ranked.begin(), ranked.end());
  ItemNodeCategories categories(graph.items().shape().item_clusters);
  for (const auto& [node, total, category] : ranked) {
    if (categories[node].size() < kNodeCategories) categories[node].emplace_back(category);
  }
  return std::make_shared<const ItemNodeCategories>(std::move(categories));
}

}  // namespace

ServingState::ServingState(Generation which) : generation(which) {}
ServingState::~ServingState() = default;

absl::StatusOr<std::unique_ptr<ServingState>> LoadServingState(const Generation& generation,
                                                               const LoadOptions& options,
                                                               const LoadProgress& progress) {
  auto state = std::make_unique<ServingState>(generation);
  absl::StatusOr<GraphState> graph_state = generation.ReadState();
  if (!graph_state.ok()) return graph_state.status();
  state->graph_state = *std::move(graph_state);

  progress("snapshot", 0, 0);
  const absl::StatusOr<SnapshotFiles> files = ReadSnapshotFiles(generation);
  if (!files.ok()) return files.status();
  auto snapshot = Snapshot::Create(*files);
  if (!snapshot.ok()) return snapshot.status();
  state->snapshot = *std::move(snapshot);

  progress("catalogue", 0, 0);
  std::vector<MacroNode> clusters;
  auto catalogue = LoadItems(generation, *state->snapshot, options.new_items_max, clusters);
  if (!catalogue.ok()) return catalogue.status();
  state->catalogue = *std::move(catalogue);

  // Beside the item side and the index, of which it knows nothing.
  std::atomic<uint64_t> users_read{0};
  std::future<absl::Status> adjacency_loaded;
  if (options.neighbors_max > 0) {
    state->adjacency = std::make_unique<InteractionAdjacency>(options.neighbors_max);
    adjacency_loaded = std::async(std::launch::async, [&] {
      return LoadAdjacency(
          generation, [&](uint64_t users) { users_read = users; }, *state->adjacency);
    });
  }

  state->graph =
      std::make_unique<MacroGraph>(ShapeOf(*state->snapshot), clusters, options.new_items_max);
  auto loaded = LoadItemSide(generation, options.from, *state->graph, progress);
  if (!loaded.ok()) return loaded.status();
  state->loaded = *std::move(loaded);

  progress("index", 0, 0);
  auto source = FaissSource::Build(state->snapshot->item_embeddings(),
                                   state->snapshot->manifest().embedding_dim, options.index);
  if (!source.ok()) return source.status();
  state->embedding_source = *std::move(source);
  if (adjacency_loaded.valid()) {
    while (adjacency_loaded.wait_for(kProgressInterval) != std::future_status::ready) {
      progress("adjacency", users_read, static_cast<uint64_t>(state->graph_state.live_user_count));
    }
    if (absl::Status s = adjacency_loaded.get(); !s.ok()) return s;
  }
  RefreshPopularity(*state);
  state->item_node_categories = CategoriesOfItemNodes(*state->catalogue, *state->graph);
  return state;
}

Applier::Clustering ClusteringOf(std::shared_ptr<const Snapshot> snapshot) {
  return {.of_new_user =
              [snapshot](ItemIndex item) {
                UserState user;
                user.edges.push_back({.item = item, .count = 1});
                return snapshot->NearestUserCluster(MeanEmbedding(*snapshot, user));
              },
          .of_known_user =
              [snapshot](const UserState& user) {
                return snapshot->NearestUserCluster(MeanEmbedding(*snapshot, user));
              },
          .of_new_item =
              [snapshot](const CreateItem& item) {
                return snapshot->ClusterOfNewItem(item.clusters_of == snapshot->digest()
                                                      ? item.embedding
                                                      : std::span<const float>());
              },
          .trained_users = snapshot->user_clusters().size(),
          .trained_items = snapshot->item_clusters().size()};
}

void RefreshPopularity(ServingState& state) {
  std::vector<Count> totals(state.catalogue->size());
  for (uint32_t item = 0; item < totals.size(); ++item) {
    totals[item] = state.graph->items().Total(ItemIndex{item});
  }
  state.popularity.Update(totals);
}

}  // namespace groundswell
