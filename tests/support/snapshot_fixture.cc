#include "tests/support/snapshot_fixture.h"

#include <fmt/format.h>

#include <fstream>
#include <utility>
#include <vector>

#include "tests/support/safetensors_writer.h"
#include "tests/support/sha256.h"

namespace groundswell {
SnapshotFixture::SnapshotFixture(std::string directory) : directory_(std::move(directory)) {
  manifest = {{"format_version", 1},
              {"name", "tiny"},
              {"version", "1"},
              {"create_time", "2011-11-11T12:50:00Z"},
              {"users", 3},
              {"items", 4},
              {"embedding_dim", 2},
              {"user_clusters", 2},
              {"item_clusters", 3},
              {"graph_offset", 5},
              {"models", nlohmann::json::array()},
              {"metrics", {{"heldout.auc", 0.75}}}};
  WriteFile("users.jsonl", "{\"id\":\"ann\"}\n{\"id\":\"bob\"}\n{\"id\":\"eve\"}\n");
  std::string items;
  for (int i = 0; i < 4; ++i) {
    items +=
        fmt::format("{{\"id\":\"i{0}\",\"title\":\"Item {0}\",\"category\":\"c{1}\"}}\n", i, i % 2);
  }
  WriteFile("items.jsonl", items);

  SafetensorsWriter embeddings;
  embeddings.Add("user", {3, 2}, std::vector<float>{1, 0, 0, 1, 1, 1});
  embeddings.Add("item", {4, 2}, std::vector<float>{1, 0, 0, 1, -1, 0, 0, -1});
  WriteFile("embeddings.safetensors", std::string(embeddings.Bytes()->text()));

  SafetensorsWriter clusters;
  clusters.Add("user", {3}, std::vector<int32_t>{0, 1, 1});
  clusters.Add("item", {4}, std::vector<int32_t>{0, 1, 2, 0});
  clusters.Add("user_centroids", {2, 2}, std::vector<float>{1, 0, 0, 1});
  clusters.Add("item_centroids", {3, 2}, std::vector<float>{1, 0, 0, 1, -1, 0});
  WriteFile("clusters.safetensors", std::string(clusters.Bytes()->text()));

  SafetensorsWriter graph;
  graph.Add("user_begin", {4}, std::vector<int64_t>{0, 2, 3, 3});
  graph.Add("item", {3}, std::vector<int32_t>{0, 3, 1});
  graph.Add("count", {3}, std::vector<int32_t>{1, 2, 1});
  graph.Add("last_time_us", {3}, std::vector<int64_t>{10, 20, 30});
  graph.Add("last_offset", {3}, std::vector<int64_t>{1, 4, 5});
  WriteFile("graph.safetensors", std::string(graph.Bytes()->text()));
  WriteManifest();
}

void SnapshotFixture::WriteFile(const std::string& name, const std::string& bytes) {
  std::ofstream(directory_ + "/" + name, std::ios::binary) << bytes;
  files_[name] = bytes;
}

void SnapshotFixture::WriteManifest() {
  nlohmann::ordered_json whole = manifest;
  if (!whole.contains("files")) {
    for (const auto& [name, bytes] : files_) {
      whole["files"][name] = {{"sha256", Sha256(bytes)}, {"bytes", bytes.size()}};
    }
  }
  std::ofstream(directory_ + "/manifest.json") << whole.dump(2);
}

}  // namespace groundswell
