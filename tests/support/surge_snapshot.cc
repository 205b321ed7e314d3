#include "tests/support/surge_snapshot.h"

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "tests/support/sha256.h"
#include "tests/support/surge_fixture.h"

namespace groundswell {
namespace {

nlohmann::ordered_json ReadJson(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot open " + path);
  return nlohmann::ordered_json::parse(file);
}

}  // namespace

void WriteSurgeSnapshot(const std::string& sample, const std::string& directory) {
  namespace fs = std::filesystem;
  fs::copy(sample, directory, fs::copy_options::recursive);
  auto manifest = ReadJson(directory + "/manifest.json");
  // The sample's examples have no logits of these models.
  manifest["files"].erase("examples.safetensors");
  fs::remove(directory + "/examples.safetensors");
  const SurgeSizes sizes{.items = manifest["items"].get<size_t>() + 1,
                         .categories = 8,
                         .item_width = 16,
                         .category_width = 4,
                         .heads = 1};
  for (const auto& [name, variant] :
       {std::pair{"surge", "authors"}, std::pair{"surge-paper", "paper"}}) {
    std::mt19937_64 random(11);
    const auto file =
        CheckpointBytes(RandomSurgeTensors(variant, sizes, random), SurgeCategories(sizes));
    const std::string bytes(file->text());
    const std::string file_name = std::string(name) + ".safetensors";
    std::ofstream(directory + "/" + file_name, std::ios::binary) << bytes;
    manifest["files"][file_name] = {{"sha256", Sha256(bytes)}, {"bytes", bytes.size()}};
    manifest["models"].push_back({{"name", name},
                                  {"kind", "surge"},
                                  {"file", file_name},
                                  {"options", SurgeOptions(variant, kSurgeSnapshotHistory, 5)}});
  }
  manifest["version"] = "surge";
  std::ofstream(directory + "/manifest.json") << manifest.dump(2);
}

}  // namespace groundswell
