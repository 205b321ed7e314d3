// Self-proving snapshots by the real server: what disagrees with its own examples is neither
// imported nor activated.
#include "models/snapshot/examples.h"

#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/integration/sample_server.h"
#include "tests/support/graph_fixture.h"
#include "tests/support/sha256.h"

namespace groundswell {
namespace {

namespace fs = std::filesystem;

constexpr size_t kRow = 5;  // whose logit is spoiled

std::string ReadText(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// A copy of the sample under another version, with 0.25 added to one example's logit by `model`.
void WriteSpoiled(const std::string& directory, const std::string& model) {
  fs::copy(GROUNDSWELL_SAMPLE_SNAPSHOT, directory);
  const std::string path = directory + "/" + kExamplesFile;
  const auto bytes = *ReadFileBytes(path);
  const SafetensorsFile file = *SafetensorsFile::Parse(kExamplesFile, bytes);
  const std::span<const std::byte> logits = file.tensors().at("logit." + model).data;
  float logit = 0;
  std::memcpy(&logit, logits.data() + kRow * sizeof(logit), sizeof(logit));
  logit += 0.25f;
  std::string text(bytes->text());
  const auto at = static_cast<size_t>(logits.data() - bytes->view().data());
  std::memcpy(text.data() + at + kRow * sizeof(logit), &logit, sizeof(logit));
  std::ofstream(path, std::ios::binary) << text;
  auto manifest = nlohmann::ordered_json::parse(ReadText(directory + "/manifest.json"));
  manifest["version"] = "spoiled";
  manifest["files"][kExamplesFile]["sha256"] = Sha256(text);
  std::ofstream(directory + "/manifest.json") << manifest.dump(2);
}

class ExamplesServerTest : public testing::Test {
 protected:
  Finished Import(const std::string& snapshot) {
    return RunProgram(
        {GROUNDSWELL_SERVER_PROGRAM, "import", "--snapshot", snapshot, "--data-dir", data_dir_});
  }

  static void ExpectSays(const std::string& text, const std::string& what) {
    EXPECT_NE(text.find(what), std::string::npos) << what << " is not in: " << text;
  }

  TemporaryDirectory directory_;
  const std::string data_dir_ = directory_.File("db");
};

TEST_F(ExamplesServerTest, AnImportSaysWhatIsProved) {
  const Finished import = Import(GROUNDSWELL_SAMPLE_SNAPSHOT);
  EXPECT_EQ(import.exit_code, 0) << import.output;
  ExpectSays(import.output, "proved by 300 examples: macgnn within ");
}

TEST_F(ExamplesServerTest, ASnapshotWithoutExamplesIsImportedUnproved) {
  const std::string snapshot = directory_.File("without");
  fs::copy(GROUNDSWELL_SAMPLE_SNAPSHOT, snapshot);
  auto manifest = nlohmann::ordered_json::parse(ReadText(snapshot + "/manifest.json"));
  manifest["files"].erase(kExamplesFile);
  std::ofstream(snapshot + "/manifest.json") << manifest.dump(2);
  const Finished forgotten = Import(snapshot);
  EXPECT_EQ(forgotten.exit_code, 1) << "the proof would be lost";
  ExpectSays(forgotten.output,
             "\"examples.safetensors\" is in the directory and not in the manifest");
  fs::remove(snapshot + "/" + kExamplesFile);
  const Finished import = Import(snapshot);
  EXPECT_EQ(import.exit_code, 0) << import.output;
  ExpectSays(import.output, "unproved");
  const ServerProcess server(data_dir_);
  EXPECT_EQ(HttpGet(server.http_port(), "/metrics").find("groundswell_parity_max_abs_error{"),
            std::string::npos);
}

TEST_F(ExamplesServerTest, ASpoiledSnapshotIsNotImported) {
  for (const std::string model : {"macgnn", "dot"}) {
    const std::string snapshot = directory_.File("spoiled-" + model);
    WriteSpoiled(snapshot, model);
    const Finished import = Import(snapshot);
    EXPECT_EQ(import.exit_code, 1);
    ExpectSays(import.output, "model \"" + model + "\" gives row 5 the logit ");
    ExpectSays(import.output, "1 of 300 rows");
    ExpectSays(import.output, "trainer examples");
    EXPECT_FALSE(fs::exists(data_dir_));
    EXPECT_FALSE(fs::exists(data_dir_ + ".importing"));
  }
}

TEST_F(ExamplesServerTest, ASpoiledSnapshotIsNotActivatedAndTheOldOneGoesOnServing) {
  ASSERT_EQ(Import(GROUNDSWELL_SAMPLE_SNAPSHOT).exit_code, 0);
  const ServerProcess server(data_dir_);
  const Stubs stubs(server.grpc_address());
  v1::RecommendRequest recommend;
  recommend.set_user_id(kCustomer);
  v1::RecommendResponse before, after;
  ASSERT_TRUE(stubs.recommend->Recommend(NewContext().get(), recommend, &before).ok());
  const std::string gauge = "groundswell_parity_max_abs_error{model=\"macgnn\"} ";
  const std::string metrics = HttpGet(server.http_port(), "/metrics");
  ExpectSays(metrics, gauge);
  EXPECT_LT(std::stod(metrics.substr(metrics.find(gauge) + gauge.size())), 1e-3);

  WriteSpoiled(directory_.File("spoiled"), "macgnn");
  v1::ActivateSnapshotRequest activate;
  activate.set_directory(directory_.File("spoiled"));
  v1::SnapshotInfo info;
  const grpc::Status status = stubs.admin->ActivateSnapshot(NewContext().get(), activate, &info);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  ExpectSays(status.error_message(), "model \"macgnn\" gives row 5 the logit ");

  ASSERT_TRUE(stubs.recommend->Recommend(NewContext().get(), recommend, &after).ok());
  EXPECT_EQ(after.snapshot_version(), before.snapshot_version());
  EXPECT_EQ(after.ranker(), "macgnn");
  ASSERT_EQ(after.items_size(), before.items_size());
  for (int i = 0; i < after.items_size(); ++i) {
    EXPECT_EQ(after.items(i).item_id(), before.items(i).item_id());
  }
  v1::ServerStatus served;
  ASSERT_TRUE(stubs.admin->GetServerStatus(NewContext().get(), {}, &served).ok());
  EXPECT_EQ(served.snapshot().version(), before.snapshot_version());
}

// As on a machine whose arithmetic is another.
TEST_F(ExamplesServerTest, AServerThatComputesOtherLogitsDoesNotStart) {
  ASSERT_EQ(Import(GROUNDSWELL_SAMPLE_SNAPSHOT).exit_code, 0);
  WriteSpoiled(directory_.File("spoiled"), "macgnn");
  {
    const auto store = OpenStore(data_dir_);
    GraphStore::Batch batch(*store);
    Generation::OpenCurrent(*store)->PutSnapshotFileChunk(
        batch, kExamplesFile, 0, ReadText(directory_.File("spoiled") + "/" + kExamplesFile));
    ASSERT_TRUE(store->Commit(batch, /*sync=*/true).ok());
  }
  const Finished server =
      RunProgram({GROUNDSWELL_SERVER_PROGRAM, "serve", "--server.data_dir=" + data_dir_,
                  "--server.grpc_address=127.0.0.1:0", "--server.http_address=127.0.0.1:0"});
  EXPECT_EQ(server.exit_code, 1);
  ExpectSays(server.output, "model \"macgnn\" gives row 5 the logit ");
}

}  // namespace
}  // namespace groundswell
