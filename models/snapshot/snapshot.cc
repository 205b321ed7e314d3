#include "models/snapshot/snapshot.h"

#include <fmt/format.h>

#include <array>
#include <limits>
#include <utility>

#include "models/embedding_range.h"
#include "models/files/sha256.h"
#include "models/snapshot/encoder_registry.h"
#include "models/snapshot/registry.h"

namespace groundswell {
namespace {

constexpr char kClustersFile[] = "clusters.safetensors";

// Clusters of every user or item, each below `clusters`.
absl::StatusOr<std::vector<uint32_t>> ReadClusters(const SafetensorsFile& file,
                                                   std::string_view tensor, size_t count,
                                                   uint32_t clusters) {
  const std::array<size_t, 1> shape{count};
  const absl::StatusOr<std::vector<int64_t>> values = file.Integers(tensor, shape);
  if (!values.ok()) return values.status();
  std::vector<uint32_t> read;
  read.reserve(count);
  for (size_t i = 0; i < values->size(); ++i) {
    const int64_t value = (*values)[i];
    if (value < 0 || value >= clusters) {
      return absl::InvalidArgumentError(
          fmt::format("{}: tensor \"{}\": element {} is {}; it must be 0 to {}", file.name(),
                      tensor, i, value, clusters - 1));
    }
    read.push_back(static_cast<uint32_t>(value));
  }
  return read;
}

// A size of 0 is a feature that the model does not read.
absl::Status CheckShape(const Manifest& manifest, const Manifest::Model& model,
                        const RankerShape& shape) {
  const auto fits = [](size_t size, size_t needed) { return size == 0 || size == needed; };
  if (shape.item_rows == manifest.items + 1 && fits(shape.user_rows, manifest.users + 1) &&
      fits(shape.user_clusters, manifest.user_clusters) &&
      fits(shape.item_clusters, manifest.item_clusters)) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(fmt::format(
      "{}: model \"{}\" has {} user rows, {} item rows, {} user and {} item clusters; the "
      "manifest needs {}, {} (one more than users and items, for row 0), {} and {}, or 0 of what "
      "the model does not read",
      model.file, model.name, shape.user_rows, shape.item_rows, shape.user_clusters,
      shape.item_clusters, manifest.users + 1, manifest.items + 1, manifest.user_clusters,
      manifest.item_clusters));
}

// The row of `centroids` that is nearest to `embedding`; the first on a tie.
uint32_t Nearest(std::span<const float> centroids, std::span<const float> embedding) {
  uint32_t nearest = 0;
  // Doubles in a fixed order: every machine decides alike.
  double least = std::numeric_limits<double>::infinity();
  for (size_t begin = 0; begin < centroids.size(); begin += embedding.size()) {
    double distance = 0;
    for (size_t i = 0; i < embedding.size(); ++i) {
      const double difference = double{embedding[i]} - double{centroids[begin + i]};
      distance += difference * difference;
    }
    if (distance < least) {
      least = distance;
      nearest = static_cast<uint32_t>(begin / embedding.size());
    }
  }
  return nearest;
}

}  // namespace

absl::StatusOr<std::shared_ptr<const Snapshot>> Snapshot::Create(const SnapshotFiles& files) {
  const auto manifest_bytes = files.files.find(kManifestFile);
  if (manifest_bytes == files.files.end()) {
    return absl::InvalidArgumentError("the snapshot has no manifest.json");
  }
  absl::StatusOr<Manifest> parsed = ParseManifest(manifest_bytes->second->text());
  if (!parsed.ok()) return parsed.status();
  std::shared_ptr<Snapshot> snapshot(new Snapshot);
  snapshot->manifest_ = *std::move(parsed);
  snapshot->digest_ = Sha256(manifest_bytes->second->view());
  snapshot->files_ = files;
  if (absl::Status s = snapshot->ReadEmbeddings(); !s.ok()) return s;
  if (absl::Status s = snapshot->ReadClusterTensors(); !s.ok()) return s;
  if (absl::Status s = snapshot->MakeRankers(); !s.ok()) return s;
  if (absl::Status s = snapshot->MakeEncoders(); !s.ok()) return s;
  return std::shared_ptr<const Snapshot>(std::move(snapshot));
}

std::shared_ptr<const Snapshot> Snapshot::Empty() {
  static const std::shared_ptr<const Snapshot> empty = [] {
    std::shared_ptr<Snapshot> snapshot(new Snapshot);
    // A row has a length, though there is none.
    snapshot->manifest_ = {.format_version = 1,
                           .name = "none",
                           .version = {},
                           .embedding_dim = 1,
                           .user_clusters = 1,
                           .item_clusters = 1,
                           .models = {},
                           .encoders = {},
                           .files = {},
                           .metrics = {},
                           .data = {}};
    snapshot->is_empty_ = true;
    snapshot->digest_ = Sha256({});
    return snapshot;
  }();
  return empty;
}

absl::StatusOr<const SafetensorsFile*> Snapshot::OpenTensors(const std::string& name) {
  if (const auto open = tensors_.find(name); open != tensors_.end()) return &open->second;
  const auto at = files_.files.find(name);
  if (at == files_.files.end()) {
    return absl::InvalidArgumentError(
        fmt::format("manifest.json lists no file \"{}\"; every snapshot needs it", name));
  }
  absl::StatusOr<SafetensorsFile> file = SafetensorsFile::Parse(name, at->second);
  if (!file.ok()) return file.status();
  return &tensors_.emplace(name, *std::move(file)).first->second;
}

absl::Status Snapshot::CheckEmbeddings(std::string_view tensor,
                                       std::span<const float> values) const {
  const auto bad = std::find_if_not(values.begin(), values.end(), IsEmbeddingNumber);
  if (bad == values.end()) return absl::OkStatus();
  return absl::InvalidArgumentError(fmt::format(
      "{}: tensor \"{}\": row {} holds {}; embeddings must be between -{} and {}: export a "
      "checkpoint "
      "from before the training diverged",
      kEmbeddingsFile, tensor, static_cast<size_t>(bad - values.begin()) / manifest_.embedding_dim,
      *bad, kEmbeddingNumberMax, kEmbeddingNumberMax));
}

absl::Status Snapshot::ReadEmbeddings() {
  const absl::StatusOr<const SafetensorsFile*> open = OpenTensors(kEmbeddingsFile);
  if (!open.ok()) return open.status();
  const SafetensorsFile& file = **open;
  const std::array<size_t, 2> user_shape{manifest_.users, manifest_.embedding_dim};
  const auto users = file.Floats("user", user_shape);
  if (!users.ok()) return users.status();
  const std::array<size_t, 2> item_shape{manifest_.items, manifest_.embedding_dim};
  const auto items = file.Floats("item", item_shape);
  if (!items.ok()) return items.status();
  if (absl::Status s = CheckEmbeddings("user", *users); !s.ok()) return s;
  if (absl::Status s = CheckEmbeddings("item", *items); !s.ok()) return s;
  user_embeddings_ = *users;
  item_embeddings_ = *items;
  return absl::OkStatus();
}

absl::Status Snapshot::ReadClusterTensors() {
  const absl::StatusOr<const SafetensorsFile*> open = OpenTensors(kClustersFile);
  if (!open.ok()) return open.status();
  const SafetensorsFile& file = **open;
  auto users = ReadClusters(file, "user", manifest_.users, manifest_.user_clusters);
  if (!users.ok()) return users.status();
  auto items = ReadClusters(file, "item", manifest_.items, manifest_.item_clusters);
  if (!items.ok()) return items.status();
  const std::array<size_t, 2> user_shape{manifest_.user_clusters, manifest_.embedding_dim};
  const auto user_centroids = file.Floats("user_centroids", user_shape);
  if (!user_centroids.ok()) return user_centroids.status();
  const std::array<size_t, 2> item_shape{manifest_.item_clusters, manifest_.embedding_dim};
  const auto item_centroids = file.Floats("item_centroids", item_shape);
  if (!item_centroids.ok()) return item_centroids.status();
  user_clusters_ = *std::move(users);
  item_clusters_ = *std::move(items);
  if (absl::Status s = CheckEmbeddings("user_centroids", *user_centroids); !s.ok()) return s;
  if (absl::Status s = CheckEmbeddings("item_centroids", *item_centroids); !s.ok()) return s;
  user_centroids_ = *user_centroids;
  item_centroids_ = *item_centroids;
  std::vector<double> sums(manifest_.embedding_dim);
  for (size_t at = 0; at < item_embeddings_.size(); ++at) {
    sums[at % sums.size()] += item_embeddings_[at];
  }
  std::vector<float> mean(sums.size());
  for (size_t i = 0; i < mean.size(); ++i) {
    mean[i] = static_cast<float>(sums[i] / static_cast<double>(manifest_.items));
  }
  cluster_of_mean_item_ = Nearest(item_centroids_, mean);
  return absl::OkStatus();
}

absl::Status Snapshot::MakeRankers() {
  for (const Manifest::Model& model : manifest_.models) {
    const absl::StatusOr<const SafetensorsFile*> file = OpenTensors(model.file);
    if (!file.ok()) return file.status();
    auto ranker = MakeRanker(model, **file);
    if (!ranker.ok()) return ranker.status();
    if (absl::Status s = CheckShape(manifest_, model, (*ranker)->shape()); !s.ok()) return s;
    rankers_.push_back(*std::move(ranker));
  }
  return absl::OkStatus();
}

absl::Status Snapshot::MakeEncoders() {
  for (const Manifest::Encoder& entry : manifest_.encoders) {
    const absl::StatusOr<const SafetensorsFile*> file = OpenTensors(entry.file);
    if (!file.ok()) return file.status();
    auto encoder = MakeEncoder(entry, **file, trained_vectors());
    if (!encoder.ok()) return encoder.status();
    const size_t clusters = (*encoder)->shape().clusters;
    if (clusters > 0 && clusters != manifest_.item_clusters) {
      return absl::InvalidArgumentError(
          fmt::format("{}: encoder \"{}\" has {} item clusters; the manifest has {}", entry.file,
                      entry.name, clusters, manifest_.item_clusters));
    }
    encoders_.push_back(*std::move(encoder));
  }
  return absl::OkStatus();
}

std::span<const float> Snapshot::ItemEmbedding(uint32_t item) const {
  return item_embeddings_.subspan(size_t{item} * manifest_.embedding_dim, manifest_.embedding_dim);
}

uint32_t Snapshot::NearestUserCluster(std::span<const float> embedding) const {
  return Nearest(user_centroids_, embedding);
}

uint32_t Snapshot::ClusterOfNewItem(std::span<const float> embedding) const {
  return embedding.empty() ? cluster_of_mean_item_ : Nearest(item_centroids_, embedding);
}

const Ranker* Snapshot::FindRanker(std::string_view name) const {
  for (const auto& ranker : rankers_) {
    if (name.empty() || ranker->name() == name) return ranker.get();
  }
  return nullptr;
}

}  // namespace groundswell
