#include "tests/support/other_snapshot.h"

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <vector>

#include "models/files/manifest.h"
#include "models/files/safetensors.h"
#include "tests/support/safetensors_writer.h"
#include "tests/support/sha256.h"
#include "tests/support/value_or_throw.h"

namespace groundswell {
namespace {

std::vector<int32_t> Narrow(const std::vector<int64_t>& wide) { return {wide.begin(), wide.end()}; }

}  // namespace

void WriteOtherSnapshot(const std::string& sample, const std::string& directory) {
  namespace fs = std::filesystem;
  fs::copy(sample, directory, fs::copy_options::recursive);
  const SnapshotFiles files = ValueOrThrow(ReadSnapshotDirectory(sample));
  auto manifest = nlohmann::ordered_json::parse(files.files.at("manifest.json")->text());
  const size_t users = manifest["users"];
  const size_t items = manifest["items"];
  const size_t p = manifest["user_clusters"];
  const size_t q = manifest["item_clusters"];
  const size_t d = manifest["embedding_dim"];

  const std::string name = "clusters.safetensors";
  const SafetensorsFile old = ValueOrThrow(SafetensorsFile::Parse(name, files.files.at(name)));
  std::vector<int32_t> nodes = Narrow(ValueOrThrow(old.Integers("item", std::vector{items})));
  for (int32_t& node : nodes) node = static_cast<int32_t>(q) - 1 - node;
  const auto centroids = ValueOrThrow(old.Floats("item_centroids", std::vector{q, d}));
  std::vector<float> reversed;
  for (size_t node = q; node > 0; --node) {
    const auto row = centroids.subspan((node - 1) * d, d);
    reversed.insert(reversed.end(), row.begin(), row.end());
  }
  const auto user_centroids = ValueOrThrow(old.Floats("user_centroids", std::vector{p, d}));
  SafetensorsWriter writer;
  writer.Add("user", {users}, Narrow(ValueOrThrow(old.Integers("user", std::vector{users}))));
  writer.Add("item", {items}, nodes);
  writer.Add("user_centroids", {p, d},
             std::vector<float>(user_centroids.begin(), user_centroids.end()));
  writer.Add("item_centroids", {q, d}, reversed);
  const std::string bytes(writer.Bytes()->text());
  std::ofstream(directory + "/" + name, std::ios::binary) << bytes;

  manifest["version"] = "other";
  manifest["files"][name] = {{"sha256", Sha256(bytes)}, {"bytes", bytes.size()}};
  std::ofstream(directory + "/manifest.json") << manifest.dump(2);
}

}  // namespace groundswell
