#include <set>

#include "models/files/manifest.h"
#include "tests/fuzz/seed_corpus.h"

namespace groundswell {

std::vector<std::string> SeedCorpus() {
  return {
      "{\"id\":\"a\",\"title\":\"A mug\",\"category\":\"mugs\"}\n{\"id\":\"b\",\"title\":\"\","
      "\"category\":\"\"}\n",
      "{\"id\":\"\\u00e9\",\"title\":\"\xc3\xa9\",\"category\":\"c\"}", "\n", "{}"};
}

}  // namespace groundswell

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace groundswell;
  if (const auto items = ParseItems(AsText(data, size)); items.ok()) {
    std::set<std::string> ids;
    for (const CatalogueItem& item : *items) {
      Require(!item.id.empty() && item.id.size() <= 256, "an id has 1 to 256 bytes");
      Require(ids.insert(item.id).second, "ids are unique");
    }
  }
  ParseUsers(AsText(data, size)).IgnoreError();
  return 0;
}
