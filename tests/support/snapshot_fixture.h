// A tiny whole snapshot on disk, to be spoiled by tests.
#ifndef GROUNDSWELL_TESTS_SUPPORT_SNAPSHOT_FIXTURE_H_
#define GROUNDSWELL_TESTS_SUPPORT_SNAPSHOT_FIXTURE_H_

#include <nlohmann/json.hpp>
#include <string>

namespace groundswell {

// Three users, four items, two user and three item clusters, embeddings of two numbers, no models.
// Written to `directory`, which must exist; WriteManifest writes manifest.json with the right sizes
// and checksums of the files that are there.
class SnapshotFixture {
 public:
  explicit SnapshotFixture(std::string directory);

  // The manifest that WriteManifest writes, but for "files".
  nlohmann::ordered_json manifest;

  // Replaces a file.
  void WriteFile(const std::string& name, const std::string& bytes);
  void WriteManifest();

 private:
  const std::string directory_;
  std::map<std::string, std::string> files_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_TESTS_SUPPORT_SNAPSHOT_FIXTURE_H_
