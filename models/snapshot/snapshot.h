// A snapshot: one immutable version of everything trained, as files and as the server holds it.
//
// docs/snapshot.md describes the files. Reading one is two steps, so that a snapshot can come from
// a directory (import, replay) or from the store (serving) and is checked by the same code:
//
//   auto files = ReadSnapshotDirectory(dir);    // bytes, compared with the manifest's checksums
//   auto snapshot = Snapshot::Create(*files);   // shapes, tensors, values, models
//
// Everything here treats bytes from outside as untrusted: a bad file is an InvalidArgument (or
// DataLoss where a checksum differs) that names the file, the tensor and the remedy, never a crash.
#ifndef GROUNDSWELL_MODELS_SNAPSHOT_SNAPSHOT_H_
#define GROUNDSWELL_MODELS_SNAPSHOT_SNAPSHOT_H_

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "models/encoder.h"
#include "models/encoders/target_encoder.h"
#include "models/files/manifest.h"
#include "models/files/safetensors.h"
#include "models/ranker.h"

namespace groundswell {

// What serves: the manifest, the matrices, one ranker per model, and the encoders. Immutable; use
// from any thread.
class Snapshot {
 public:
  // Checks every tensor (presence, dtype, shape, finiteness, cluster ranges) and builds the
  // rankers and encoders. Needs the manifest, embeddings, clusters and their files; users, items
  // and graph are not read.
  static absl::StatusOr<std::shared_ptr<const Snapshot>> Create(const SnapshotFiles& files);

  // What a server without a model serves: no users, items, vectors or rankers, and one cluster that
  // everybody and everything belongs to. Always the same one.
  static std::shared_ptr<const Snapshot> Empty();
  bool is_empty() const { return is_empty_; }

  const Manifest& manifest() const { return manifest_; }
  // SHA-256 of manifest.json, hexadecimal; of the empty one, of no bytes. It covers every other
  // file through their checksums.
  const std::string& digest() const { return digest_; }

  // users x embedding_dim and items x embedding_dim, row-major.
  std::span<const float> user_embeddings() const { return user_embeddings_; }
  std::span<const float> item_embeddings() const { return item_embeddings_; }
  std::span<const float> ItemEmbedding(uint32_t item) const;

  // uc and ic: the cluster of every user and item of the snapshot.
  std::span<const uint32_t> user_clusters() const { return user_clusters_; }
  std::span<const uint32_t> item_clusters() const { return item_clusters_; }
  // The user cluster whose centroid is nearest (squared Euclidean distance, lowest index on a
  // tie) to `embedding`: how a user outside the snapshot gets one (spec of the macro graph).
  uint32_t NearestUserCluster(std::span<const float> embedding) const;
  // Likewise the item cluster of an item outside the snapshot; without an embedding, that of the
  // mean of all items.
  uint32_t ClusterOfNewItem(std::span<const float> embedding) const;

  // nullptr when the snapshot has no such model. An empty name is the default.
  const Ranker* FindRanker(std::string_view name) const;
  std::span<const std::unique_ptr<Ranker>> rankers() const { return rankers_; }

  // In the manifest's order.
  std::span<const std::unique_ptr<Encoder>> encoders() const { return encoders_; }
  TrainedVectors trained_vectors() const {
    return {manifest_.embedding_dim, user_embeddings_, item_embeddings_};
  }

 private:
  Snapshot() = default;
  absl::StatusOr<const SafetensorsFile*> OpenTensors(const std::string& name);
  absl::Status CheckEmbeddings(std::string_view tensor, std::span<const float> values) const;
  absl::Status ReadEmbeddings();
  absl::Status ReadClusterTensors();
  absl::Status MakeRankers();
  absl::Status MakeEncoders();

  Manifest manifest_;
  bool is_empty_ = false;
  std::string digest_;
  SnapshotFiles files_;
  // The opened files by name. They own what the spans below point into.
  std::map<std::string, SafetensorsFile> tensors_;
  std::span<const float> user_embeddings_;
  std::span<const float> item_embeddings_;
  std::span<const float> user_centroids_;  // P x embedding_dim
  std::span<const float> item_centroids_;  // Q x embedding_dim
  uint32_t cluster_of_mean_item_ = 0;
  std::vector<uint32_t> user_clusters_;
  std::vector<uint32_t> item_clusters_;
  std::vector<std::unique_ptr<Ranker>> rankers_;
  std::vector<std::unique_ptr<Encoder>> encoders_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_SNAPSHOT_SNAPSHOT_H_
