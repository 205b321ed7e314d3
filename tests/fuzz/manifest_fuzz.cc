// manifest.json: what is taken keeps to its schema, whatever the bytes.
#include <set>

#include "tests/fuzz/target.h"
#include "tests/support/tiny_snapshot.h"

namespace groundswell {
namespace {

void CheckFiles(const Manifest& manifest) {
  for (const auto& [name, file] : manifest.files) {
    Require(!name.empty() && name[0] != '.' && name.find('/') == std::string::npos &&
                name.find('\0') == std::string::npos && name != "manifest.json",
            "a file name stays in the directory");
    Require(file.sha256.size() == 64 &&
                file.sha256.find_first_not_of("0123456789abcdef") == std::string::npos,
            "a checksum is 64 lower-case hexadecimal digits");
  }
}

void CheckModels(const Manifest& manifest) {
  std::set<std::string> names;
  for (const Manifest::Model& model : manifest.models) {
    Require(!model.name.empty() && names.insert(model.name).second, "model names are unique");
    Require(manifest.files.contains(model.file), "a model's file is listed");
  }
}

}  // namespace

std::vector<std::string> SeedCorpus() {
  TinySnapshot tiny;
  std::vector<std::string> seeds;
  seeds.emplace_back(tiny.Files().files.at("manifest.json")->text());
  tiny.manifest["models"] = nlohmann::json::array();
  tiny.manifest.erase("data");
  seeds.emplace_back(nlohmann::json::parse(tiny.Files().files.at("manifest.json")->text()).dump());
  return seeds;
}

}  // namespace groundswell

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace groundswell;
  const auto manifest = ParseManifest(TextOf(data, size));
  if (!manifest.ok()) {
    Require(absl::IsInvalidArgument(manifest.status()), "a bad manifest is InvalidArgument");
    Require(manifest.status().message().starts_with("manifest.json: "), "the error names the file");
    return 0;
  }
  Require(manifest->format_version == 1, "the version is one that this server reads");
  Require(manifest->FullVersion() == manifest->name + "@" + manifest->version &&
              !manifest->name.empty() && !manifest->version.empty(),
          "a snapshot has a name and a version");
  Require(manifest->items >= 1 && manifest->embedding_dim >= 1 && manifest->user_clusters >= 1 &&
              manifest->item_clusters >= 1,
          "nothing that is divided by or taken modulo is 0");
  Require(manifest->users <= 1'000'000'000 && manifest->items <= 1'000'000'000 &&
              manifest->graph_offset <= uint64_t{1} << 62,
          "sizes fit their indices");
  CheckFiles(*manifest);
  CheckModels(*manifest);
  return 0;
}
