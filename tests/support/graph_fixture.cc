#include "tests/support/graph_fixture.h"

#include <atomic>
#include <stdexcept>

namespace groundswell {
namespace {

void ThrowIfBad(const absl::Status& status) {
  if (!status.ok()) throw std::runtime_error(status.ToString());
}

}  // namespace

std::vector<Cluster> ClustersOf(size_t items, uint32_t item_clusters) {
  std::vector<Cluster> clusters;
  for (size_t item = 0; item < items; ++item) {
    clusters.push_back(static_cast<Cluster>(item % item_clusters));
  }
  return clusters;
}

void MakeStore(const std::string& path, size_t items, const Window& window, rocksdb::Env* env) {
  auto store = GraphStore::Open({.path = path, .create = true, .env = env});
  ThrowIfBad(store.status());
  const Generation generation(**store, 1);
  GraphStore::Batch batch(**store);
  for (uint32_t item = 0; item < items; ++item) {
    generation.PutItem(batch, ItemIndex{item},
                       {.id = "i" + std::to_string(item),
                        .title = "Item " + std::to_string(item),
                        .category = "things"});
  }
  generation.PutState(batch, {.snapshot_digest = "test", .window = window});
  generation.PutCurrent(batch);
  ThrowIfBad((*store)->Commit(batch, /*sync=*/true));
}

std::unique_ptr<GraphStore> OpenStore(const std::string& path) {
  auto store = GraphStore::Open({.path = path});
  ThrowIfBad(store.status());
  return *std::move(store);
}

Window RandomWindow(std::mt19937_64& random, int64_t tick_us) {
  Window window;
  if (random() % 2 == 0) window.age_us = (5 + static_cast<int64_t>(random() % 60)) * tick_us;
  if (random() % 3 == 0) window.interactions = 2 + static_cast<int64_t>(random() % 8);
  if (random() % 3 == 0) window.items = 1 + static_cast<int64_t>(random() % 4);
  if (random() % 2 == 0) window.traced = 1 + static_cast<int64_t>(random() % 16);
  return window;
}

Interaction MakeInteraction(const std::string& user, const std::string& item, Count weight,
                            int64_t time_us, std::string event_id) {
  static std::atomic<int64_t> next{0};
  if (event_id.empty()) event_id = "event-" + std::to_string(++next);
  return {.event_id = std::move(event_id),
          .user_id = user,
          .item_id = item,
          .event_type = "purchase",
          .weight = weight,
          .event_time_us = time_us,
          .received_time_us = 0,
          .user_cluster = std::nullopt};
}

}  // namespace groundswell
