#include "models/files/manifest.h"
#include "tests/fuzz/seed_corpus.h"

namespace groundswell {

std::vector<std::string> SeedCorpus() {
  return {R"({"format_version":1,"name":"n","version":"v","create_time":"2011-11-11T12:50:00Z",
"users":3,"items":4,"embedding_dim":2,"user_clusters":2,"item_clusters":3,"graph_offset":5,
"models":[{"name":"macgnn","kind":"macgnn","file":"m.safetensors","options":{"tau":"1.9"}}],
"files":{"m.safetensors":{"sha256":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
"bytes":7}},"metrics":{"auc":0.5},"data":{"license":"CC BY 4.0"}})",
          "{}", "[]"};
}

}  // namespace groundswell

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace groundswell;
  const auto manifest = ParseManifest(AsText(data, size));
  if (!manifest.ok()) return 0;
  Require(manifest->format_version == 1, "only the known version is accepted");
  Require(manifest->items > 0 && manifest->user_clusters > 0, "sizes are positive");
  for (const auto& [name, file] : manifest->files) {
    Require(name.find('/') == std::string::npos && name != "..", "files stay in the directory");
  }
  for (const auto& model : manifest->models) {
    Require(manifest->files.contains(model.file), "a model's file is listed");
  }
  return 0;
}
