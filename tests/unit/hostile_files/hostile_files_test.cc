// Files made to crash their reader or to exhaust its memory: each must end in an error.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "models/files/manifest.h"
#include "models/macgnn/weights.h"
#include "tests/support/macgnn_fixture.h"
#include "tests/support/sanitized.h"
#include "tests/support/snapshot_fixture.h"
#include "tests/support/temporary_directory.h"

namespace groundswell {
namespace {

constexpr uint64_t kMoreThanAnyMemory = uint64_t{1} << 43;

void ExpectNamed(const absl::Status& status, absl::StatusCode code, const std::string& what) {
  EXPECT_EQ(status.code(), code) << status;
  EXPECT_NE(std::string(status.message()).find(what), std::string::npos) << status;
}

class HostileFilesTest : public testing::Test {
 protected:
  std::string ManifestText() {
    std::ifstream file(directory_.File("manifest.json"));
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void Resize(const std::string& name, uint64_t size) {
    std::filesystem::resize_file(directory_.File(name), size);  // sparse
  }
  absl::Status Read() {
    const auto files = ReadSnapshotDirectory(directory_.path());
    if (!files.ok()) return files.status();
    return CheckNothingUnlisted(directory_.path(),
                                *ParseManifest(files->files.at(kManifestFile)->text()));
  }

  TemporaryDirectory directory_;
  SnapshotFixture fixture_{directory_.path()};
};

TEST_F(HostileFilesTest, AManifestNestedDeeperThanTheStackIsRefusedWhereverTheNestingStands) {
  const std::string deep = std::string(500'000, '[') + std::string(500'000, ']');
  for (const char* key : {"users", "format_version", "metrics", "surprise"}) {
    nlohmann::json manifest = nlohmann::json::parse(ManifestText());
    manifest.erase(key);
    const std::string text =
        "{\"" + std::string(key) + "\":" + deep + "," + manifest.dump().substr(1);
    ExpectNamed(ParseManifest(text).status(), absl::StatusCode::kInvalidArgument,
                "\"" + std::string(key) + "\" is nested deeper");
  }
}

// It would be left out, and whoever put it there would believe that it counts.
TEST_F(HostileFilesTest, AnOptionalFileThatTheManifestDoesNotListIsRefused) {
  for (const std::string name :
       {"blend.json", "encoder_examples.safetensors", "examples.safetensors"}) {
    ASSERT_TRUE(Read().ok()) << name;
    std::ofstream(directory_.File(name)) << "{}";
    ExpectNamed(
        Read(), absl::StatusCode::kInvalidArgument,
        "\"" + name + "\" is in the directory and not in the manifest's \"files\": list it");
    std::filesystem::remove(directory_.File(name));
    std::filesystem::create_symlink("elsewhere", directory_.File(name));
    ExpectNamed(Read(), absl::StatusCode::kInvalidArgument, "list it there");
    std::filesystem::remove(directory_.File(name));
  }
  for (const std::string name :
       {"blend.json", "encoder_examples.safetensors", "examples.safetensors"}) {
    fixture_.WriteFile(name, "{}");
  }
  fixture_.WriteManifest();
  EXPECT_TRUE(Read().ok());
}

TEST_F(HostileFilesTest, AKeyThatStandsTwiceIsRefusedInEveryFile) {
  const std::string manifest = "{\"users\":9," + ManifestText().substr(1);
  ExpectNamed(ParseManifest(manifest).status(), absl::StatusCode::kInvalidArgument,
              "\"users\" stands twice");
  ExpectNamed(ParseUsers("{\"id\":\"a\"}\n{\"id\":\"b\",\"id\":\"c\"}").status(),
              absl::StatusCode::kInvalidArgument, "users.jsonl:2: the key \"id\" stands twice");
  const std::string entry = R"("a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]})";
  ExpectNamed(SafetensorsFile::Parse("t.safetensors",
                                     SafetensorsBytes("{" + entry + "," + entry + "}", "1234"))
                  .status(),
              absl::StatusCode::kInvalidArgument, "\"a\" stands twice");
}

TEST_F(HostileFilesTest, AFileOfAnotherSizeIsRefusedBeforeItIsRead) {
  Resize("clusters.safetensors", kMoreThanAnyMemory);
  ExpectNamed(Read(), absl::StatusCode::kDataLoss, "clusters.safetensors");
  Resize("manifest.json", kMoreThanAnyMemory);
  ExpectNamed(Read(), absl::StatusCode::kInvalidArgument, "manifest.json");
}

TEST_F(HostileFilesTest, AFileLargerThanTheMemoryIsAnError) {
#ifdef GROUNDSWELL_SANITIZED
  GTEST_SKIP() << "a sanitizer's allocator ends the process instead";
#endif
  Resize("users.jsonl", kMoreThanAnyMemory);
  ExpectNamed(ReadFileBytes(directory_.File("users.jsonl")).status(),
              absl::StatusCode::kResourceExhausted, "users.jsonl");
}

TEST_F(HostileFilesTest, ASnapshotThatDoesNotListItsCatalogueIsRefused) {
  const nlohmann::json good = nlohmann::json::parse(ManifestText());
  for (const char* name : {"users.jsonl", "items.jsonl"}) {
    nlohmann::json manifest = good;
    manifest["files"].erase(name);
    std::ofstream(directory_.File("manifest.json")) << manifest.dump();
    ExpectNamed(Read(), absl::StatusCode::kInvalidArgument, name);
  }
}

absl::Status LoadMacgnn(const std::map<std::string, MacgnnTensor>& tensors) {
  return LoadMacgnnWeights(MakeMacgnnFile(tensors),
                           {{"attention", "none"}, {"tau", "1"}, {"recent_len", "2"}})
      .status();
}

// Some MB of file, from which a table of terabytes would be derived.
TEST_F(HostileFilesTest, TensorsWhoseProductsWouldExhaustTheMemoryAreRefused) {
  auto tensors = SmallMacgnnTensors();
  const auto set = [&](const std::string& name, size_t rows, size_t columns) {
    tensors[name] = {{rows, columns}, std::vector<float>(rows * columns, 0.5f)};
  };
  for (const char* side : {"u", "i"}) {
    for (const char* part : {"Q", "K", "V"}) {
      set(std::string(side) + "_shared_aggregator." + part + "_w.weight", 4'096, 4);
    }
  }
  set("u_macro_embed.weight", 60'000, 4);
  ExpectNamed(LoadMacgnn(tensors), absl::StatusCode::kInvalidArgument, "u_macro_embed.weight");
  for (const char* name : {"u_macro_embed.weight", "i_macro_embed.weight", "mlp.2.weight",
                           "mlp.0.weight", "u_shared_aggregator.V_w.weight"}) {
    tensors = SmallMacgnnTensors();
    set(name, 70'000, tensors[name].shape[1]);
    ExpectNamed(LoadMacgnn(tensors), absl::StatusCode::kInvalidArgument, name);
  }
}

}  // namespace
}  // namespace groundswell
