#include "server/serving/load_state.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <future>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "models/embedding_range.h"
#include "models/files/manifest.h"
#include "server/pipeline/list_quality.h"
#include "server/rpc/api_time.h"
#include "server/serving/graph_follower.h"
#include "server/serving/snapshot_staging.h"

namespace groundswell {
namespace {

// Categories that an item cluster is called by.
constexpr size_t kCategoriesOfCluster = 3;
constexpr std::chrono::milliseconds kProgressInterval{200};
// Users that are read between two looks whether to go on.
constexpr uint64_t kUsersPerLook = 1'000;

// Databases may hold some from before such snapshots were refused.
absl::Status CheckNewestTime(const GraphState& state) {
  if (state.newest_event_time_us <= kApiTimeUsMax) return absl::OkStatus();
  return absl::FailedPreconditionError(fmt::format(
      "the newest interaction of the graph is {} microseconds after 1970, beyond the year 9999: "
      "last_time_us of the snapshot that it is from was in another unit, such as nanoseconds. "
      "Import that snapshot with last_time_us in microseconds over this database, or restore a "
      "backup from before it was activated",
      state.newest_event_time_us));
}

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

absl::Status LoadSnapshot(const Generation& generation, LiveState& state) {
  if (state.graph_state.snapshot_digest == Snapshot::Empty()->digest()) {
    state.snapshot = Snapshot::Empty();
    state.blend_weights.Publish(BuiltInBlendWeights());
    return absl::OkStatus();
  }
  const absl::StatusOr<SnapshotFiles> files = ReadSnapshotFiles(generation);
  if (!files.ok()) return files.status();
  auto snapshot = Snapshot::Create(*files);
  if (!snapshot.ok()) return snapshot.status();
  state.snapshot = *std::move(snapshot);
  auto examples = CheckExamples(*state.snapshot, *files);
  if (!examples.ok()) return examples.status();
  state.examples = *std::move(examples);
  const auto weights = BlendWeightsOf(*files);
  if (!weights.ok()) return weights.status();
  state.blend_weights.Publish(*weights);
  return absl::OkStatus();
}

// The first one votes.
std::vector<std::string> RankersWithoutVote(const Snapshot& snapshot) {
  std::vector<std::string> names;
  for (size_t at = 1; at < snapshot.rankers().size(); ++at) {
    names.emplace_back(snapshot.rankers()[at]->name());
  }
  return names;
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

// Of items that were given one.
using GivenVectors = std::vector<std::pair<ItemIndex, std::vector<float>>>;

// The catalogue and the cluster of every item. Items of the snapshot come first.
absl::StatusOr<std::unique_ptr<Catalogue>> LoadItems(const Generation& generation,
                                                     const Snapshot& snapshot, size_t new_items_max,
                                                     std::vector<Cluster>& clusters,
                                                     GivenVectors& given) {
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
      return absl::DataLossError(fmt::format("the cluster of item \"{}\" does not exist", item.id));
    }
    const bool has_vector = item.clusters_of == snapshot.digest() && !item.embedding.empty();
    if (has_vector && !item.removed) {
      // Databases may hold some from before such vectors were refused.
      if (IsEmbedding(item.embedding)) {
        given.emplace_back(index, std::move(item.embedding));
      } else {
        spdlog::warn("item \"{}\" was given a vector whose numbers are too large: it is left out",
                     item.id);
      }
    }
    catalogue->Add(std::move(item.id), std::move(item.title), item.category);
    catalogue->SetAvailability(index, item.availability);
    if (item.removed) catalogue->Remove(index);
  }
  catalogue->FinishLoading();
  return catalogue;
}

std::shared_ptr<const ItemClusterCategories> CategoriesOfItemClusters(const Catalogue& catalogue,
                                                                      const MacroGraph& graph) {
  const auto category_of_item = catalogue.category_of_item();
  absl::flat_hash_map<std::pair<Cluster, uint32_t>, std::pair<Count, ItemIndex>> totals;
  for (uint32_t at = 0; at < category_of_item.size(); ++at) {
    const ItemIndex item{at};
    if (catalogue.Category(item).empty()) continue;
    auto& [total, example] = totals[{graph.ClusterOf(item), category_of_item[at]}];
    total += graph.items().Total(item);
    example = item;
  }
  using Ranked = std::tuple<Cluster, Count, std::string_view>;
  std::vector<Ranked> ranked;
  for (const auto& [key, entry] : totals) {
    ranked.emplace_back(key.first, -entry.first, catalogue.Category(entry.second));
  }
  std::sort(ranked.begin(), ranked.end());
  ItemClusterCategories categories(graph.items().shape().item_clusters);
  for (const auto& [cluster, total, category] : ranked) {
    if (categories[cluster].size() < kCategoriesOfCluster)
      categories[cluster].emplace_back(category);
  }
  return std::make_shared<const ItemClusterCategories>(std::move(categories));
}

// What follows the edges, from the users' records as they are; on a thread of its own, beside the
// item side and the index, of which it knows nothing. Counts the users in `users_read`. All
// references must outlive the loading.
std::future<absl::Status> LoadFollowers(const LoadOptions& options,
                                        std::atomic<uint64_t>& users_read, LiveState& state) {
  state.fading_counts =
      std::make_unique<FadingCounts>(kBlendHalfLivesS, state.catalogue->capacity());
  state.item_ages = std::make_unique<ItemAges>(state.catalogue->capacity());
  state.trending = std::make_unique<TrendingItems>(options.trending_half_life_s,
                                                   state.snapshot->manifest().user_clusters);
  // What has left since may have been newer than all edges: time goes on from there.
  state.fading_counts->Advance(state.graph_state.newest_event_time_us);
  state.trending->Advance(state.graph_state.newest_event_time_us);
  state.adjacency = std::make_unique<InteractionAdjacency>(options.neighbors_max,
                                                           state.graph_state.window.trace_length());
  return std::async(std::launch::async, [&options, &users_read, &state]() -> absl::Status {
    const auto category_of_item = state.catalogue->category_of_item();
    const auto also = [&](const UserState& user) {
      CountEdges(user, category_of_item, *state.fading_counts, *state.item_ages, *state.trending);
      if (++users_read % kUsersPerLook != 0 || !options.cancelled || !options.cancelled()) {
        return absl::OkStatus();
      }
      return absl::CancelledError("the loading was cancelled");
    };
    return LoadAdjacency(state.generation, also, *state.adjacency);
  });
}

absl::Status FinishFollowers(std::future<absl::Status> loaded, std::atomic<uint64_t>& users_read,
                             const LoadProgress& progress, LiveState& state) {
  while (loaded.wait_for(kProgressInterval) != std::future_status::ready) {
    progress("users", users_read, static_cast<uint64_t>(state.graph_state.live_user_count));
  }
  return loaded.get();
}

// Those that were given, and those that follow from the users.
absl::Status MakeLiveVectors(const LoadOptions& options, LiveState& state) {
  const Snapshot& snapshot = *state.snapshot;
  const auto encoders =
      ChooseEncoders(snapshot.encoders(), options.user_encoder, options.item_encoder);
  if (!encoders.ok()) return encoders.status();
  for (const Encoder* const encoder : {encoders->user, encoders->item}) {
    if (encoder == nullptr) continue;
    spdlog::info("encoder {} makes vectors of {}", encoder->name(),
                 encoder->side() == EncoderSide::kUser ? "users" : "new items");
  }
  state.live_vectors =
      std::make_unique<LiveVectors>(LiveVectors::Trained{.users = snapshot.user_embeddings(),
                                                         .items = snapshot.item_embeddings(),
                                                         .dim = snapshot.manifest().embedding_dim},
                                    *state.adjacency, *encoders, state.graph.get());
  return absl::OkStatus();
}

absl::Status LoadNewItemVectors(const GivenVectors& given, LiveState& state) {
  const Snapshot& snapshot = *state.snapshot;
  // Without a snapshot no item ever gets a vector.
  const size_t trained =
      snapshot.is_empty() ? state.catalogue->capacity() : snapshot.item_clusters().size();
  state.new_item_vectors = std::make_unique<NewItemVectors>(*state.live_vectors, *state.adjacency,
                                                            *state.embedding_index, trained);
  for (const auto& [item, vector] : given) {
    if (absl::Status s = state.embedding_index->Upsert(item, vector); !s.ok()) return s;
    state.new_item_vectors->Given(item);
  }
  for (auto item = static_cast<uint32_t>(trained); item < state.catalogue->size(); ++item) {
    if (!state.catalogue->IsRemoved(ItemIndex{item}))
      state.new_item_vectors->Consider(ItemIndex{item});
  }
  while (state.new_item_vectors->has_due()) state.new_item_vectors->Refresh();
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<ServingState>> LoadServingState(const Generation& generation,
                                                               const LoadOptions& options,
                                                               const LoadProgress& progress) {
  auto state = std::make_unique<ServingState>(generation);
  absl::StatusOr<GraphState> graph_state = generation.ReadState();
  if (!graph_state.ok()) return graph_state.status();
  if (absl::Status s = CheckNewestTime(*graph_state); !s.ok()) return s;
  state->graph_state = *std::move(graph_state);

  progress("snapshot", 0, 0);
  if (absl::Status s = LoadSnapshot(generation, *state); !s.ok()) return s;
  state->list_quality =
      std::make_shared<ListQuality>(options.quality_window, RankersWithoutVote(*state->snapshot));

  progress("catalogue", 0, 0);
  std::vector<Cluster> clusters;
  GivenVectors given;
  auto catalogue = LoadItems(generation, *state->snapshot, options.new_items_max, clusters, given);
  if (!catalogue.ok()) return catalogue.status();
  state->catalogue = *std::move(catalogue);

  // Its destructor waits for the thread: on an error below, too, what that writes to is still
  // there.
  std::atomic<uint64_t> users_read{0};
  std::future<absl::Status> followers = LoadFollowers(options, users_read, *state);

  state->graph =
      std::make_unique<MacroGraph>(ShapeOf(*state->snapshot), clusters, options.new_items_max);
  auto loaded = LoadItemSide(generation, options.from, *state->graph, progress, options.cancelled);
  if (!loaded.ok()) return loaded.status();
  state->loaded = *std::move(loaded);

  progress("index", 0, 0);
  EmbeddingIndex::Options index_options = options.index;
  index_options.items_max = state->catalogue->capacity();
  // What is configured is for a snapshot's vectors.
  if (state->snapshot->is_empty()) index_options.factory = EmbeddingIndex::Options().factory;
  auto source = EmbeddingIndex::Build(state->snapshot->item_embeddings(),
                                      state->snapshot->manifest().embedding_dim, index_options,
                                      options.index_threads, [&](size_t done, size_t total) {
                                        progress("index", done, total);
                                        return !options.cancelled || !options.cancelled();
                                      });
  if (!source.ok()) return source.status();
  state->embedding_index = *std::move(source);
  if (absl::Status s = FinishFollowers(std::move(followers), users_read, progress, *state);
      !s.ok()) {
    return s;
  }
  RefreshPopularity(*state);
  if (absl::Status s = MakeLiveVectors(options, *state); !s.ok()) return s;
  if (absl::Status s = LoadNewItemVectors(given, *state); !s.ok()) return s;
  state->item_cluster_categories = CategoriesOfItemClusters(*state->catalogue, *state->graph);
  return state;
}

}  // namespace groundswell
