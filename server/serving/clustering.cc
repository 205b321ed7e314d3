#include "server/serving/clustering.h"

#include <algorithm>
#include <span>
#include <vector>

namespace groundswell {
namespace {

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

}  // namespace

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
              [snapshot](const UpsertItem& item) {
                return snapshot->ClusterOfNewItem(item.clusters_of == snapshot->digest()
                                                      ? item.embedding
                                                      : std::span<const float>());
              },
          .trained_users = snapshot->user_clusters().size(),
          .trained_items = snapshot->item_clusters().size()};
}

}  // namespace groundswell
