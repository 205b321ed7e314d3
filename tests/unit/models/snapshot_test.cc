#include "models/snapshot/snapshot.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <limits>

#include "models/files/manifest.h"
#include "models/snapshot/examples.h"
#include "tests/support/encoder_fixture.h"
#include "tests/support/safetensors_writer.h"
#include "tests/support/snapshot_fixture.h"
#include "tests/support/temporary_directory.h"

namespace groundswell {
namespace {

class SnapshotTest : public testing::Test {
 protected:
  absl::StatusOr<std::shared_ptr<const Snapshot>> Load() {
    const auto files = ReadSnapshotDirectory(directory_.path());
    if (!files.ok()) return files.status();
    return Snapshot::Create(*files);
  }

  void ExpectRefused(const std::string& what) {
    fixture_.WriteManifest();
    const absl::Status status = Load().status();
    EXPECT_FALSE(status.ok()) << what;
    EXPECT_NE(std::string(status.message()).find(what), std::string::npos) << status;
  }

  absl::Status ParseGraphOf(const std::vector<int64_t>& begin, const std::vector<int32_t>& item,
                            const std::vector<int64_t>& count, const std::vector<int64_t>& offset,
                            int64_t time_us = 1) {
    SafetensorsWriter writer;
    writer.Add("user_begin", {begin.size()}, begin);
    writer.Add("item", {item.size()}, item);
    writer.Add("count", {count.size()}, count);
    writer.Add("last_time_us", {item.size()}, std::vector<int64_t>(item.size(), time_us));
    writer.Add("last_offset", {offset.size()}, offset);
    return ParseGraph((*Load())->manifest(),
                      *SafetensorsFile::Parse("graph.safetensors", writer.Bytes()))
        .status();
  }

  TemporaryDirectory directory_;
  SnapshotFixture fixture_{directory_.path()};
};

TEST_F(SnapshotTest, AChangedFileIsDataLoss) {
  std::filesystem::resize_file(directory_.File("clusters.safetensors"), 10);
  EXPECT_EQ(Load().status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(SnapshotTest, AMissingFileIsNotFound) {
  std::filesystem::remove(directory_.File("items.jsonl"));
  EXPECT_EQ(Load().status().code(), absl::StatusCode::kNotFound);
}

TEST_F(SnapshotTest, ShapesMustBeTheManifests) {
  fixture_.manifest["embedding_dim"] = 3;
  ExpectRefused("embeddings.safetensors");
}

TEST_F(SnapshotTest, ClustersMustBeInRange) {
  SafetensorsWriter clusters;
  clusters.Add("user", {3}, std::vector<int32_t>{0, 1, 2});
  clusters.Add("item", {4}, std::vector<int32_t>{0, 1, 2, 0});
  fixture_.WriteFile("clusters.safetensors", std::string(clusters.Bytes()->text()));
  ExpectRefused("element 2 is 2");
}

TEST_F(SnapshotTest, AModelOfAnUnknownKindIsRefused) {
  fixture_.manifest["models"] = {{{"name", "m"},
                                  {"kind", "crystal-ball"},
                                  {"file", "embeddings.safetensors"},
                                  {"options", nlohmann::json::object()}}};
  ExpectRefused("crystal-ball");
}

nlohmann::ordered_json EncodersOfEveryKind(SnapshotFixture& fixture) {
  nlohmann::ordered_json encoders = nlohmann::json::array();
  for (const FixtureEncoder& encoder : FixtureEncoders()) {
    encoders.push_back({{"name", encoder.entry.name},
                        {"side", encoder.entry.side == EncoderSide::kUser ? "user" : "item"},
                        {"kind", encoder.entry.kind},
                        {"file", encoder.entry.file},
                        {"options", encoder.entry.options}});
    // Two are of the snapshot itself.
    if (encoder.entry.kind == "mixture" || encoder.entry.kind == "newest") continue;
    SafetensorsWriter writer;
    for (const auto& [name, tensor] : encoder.tensors) {
      writer.Add(name, tensor.shape, tensor.values);
    }
    fixture.WriteFile(encoder.entry.file, std::string(writer.Bytes()->text()));
  }
  return encoders;
}

TEST_F(SnapshotTest, EncodersOfEveryKindAreLoadedAndProvedByTheirExamples) {
  fixture_.manifest["encoders"] = EncodersOfEveryKind(fixture_);
  fixture_.WriteManifest();
  const auto unproved = Load();
  ASSERT_TRUE(unproved.ok()) << unproved.status();
  ASSERT_EQ((*unproved)->encoders().size(), FixtureEncoders().size());
  auto agreement = CheckExamples(**unproved, *ReadSnapshotDirectory(directory_.path()));
  ASSERT_TRUE(agreement.ok()) << agreement.status();
  EXPECT_NE(Describe(*agreement).find("encoders unproved"), std::string::npos);

  EncoderExampleTensors examples;
  for (const FixtureEncoder& encoder : FixtureEncoders()) AddEncoderExamples(encoder, examples);
  fixture_.WriteFile(kEncoderExamplesFile, std::string(examples.Bytes()->text()));
  fixture_.WriteManifest();
  agreement = CheckExamples(**Load(), *ReadSnapshotDirectory(directory_.path()));
  ASSERT_TRUE(agreement.ok()) << agreement.status();
  EXPECT_EQ(agreement->encoders.size(), FixtureEncoders().size());

  examples.floats["als.vector"].values[1] += 0.01f;
  fixture_.WriteFile(kEncoderExamplesFile, std::string(examples.Bytes()->text()));
  fixture_.WriteManifest();
  agreement = CheckExamples(**Load(), *ReadSnapshotDirectory(directory_.path()));
  EXPECT_NE(std::string(agreement.status().message()).find("encoder \"als\" gives target 0"),
            std::string::npos)
      << agreement.status();
}

TEST_F(SnapshotTest, AnEncoderHasTheManifestsClusters) {
  SafetensorsWriter writer;
  writer.Add("item_centroids", {2, 2}, std::vector<float>{1, 0, 0, 1});
  fixture_.WriteFile("two.safetensors", std::string(writer.Bytes()->text()));
  fixture_.manifest["encoders"] = {{{"name", "m"},
                                    {"side", "user"},
                                    {"kind", "mixture"},
                                    {"file", "two.safetensors"},
                                    {"options", {{"clusters_max", "2"}}}}};
  ExpectRefused("has 2 item clusters; the manifest has 3");
}

TEST_F(SnapshotTest, UsersAndItemsAreChecked) {
  EXPECT_FALSE(ParseUsers("{\"id\":\"a\"}\n{\"id\":\"a\"}\n").ok());
  EXPECT_FALSE(ParseUsers("{\"id\":\"\"}").ok());
  EXPECT_FALSE(ParseUsers("{\"id\":\"" + std::string(257, 'x') + "\"}").ok());
  EXPECT_FALSE(ParseUsers("{\"id\":\"a\\nb\"}").ok());
  EXPECT_FALSE(ParseUsers("{\"id\":7}").ok());
  EXPECT_FALSE(ParseUsers("{\"id\":\"\xff\"}").ok());
  EXPECT_FALSE(ParseUsers("\n").ok());
  EXPECT_FALSE(ParseUsers(std::string(70'000, ' ')).ok());
  EXPECT_FALSE(ParseItems("{\"id\":\"a\",\"title\":\"t\"}").ok());
  EXPECT_TRUE(ParseUsers("")->empty());
  const auto items = ParseItems("{\"id\":\"a\",\"title\":\"\",\"category\":\"\",\"more\":1}");
  ASSERT_TRUE(items.ok()) << items.status();
  EXPECT_EQ((*items)[0].id, "a");
}

TEST_F(SnapshotTest, EveryBrokenEdgeIsRefused) {
  const std::vector<int64_t> begin{0, 1, 1, 2};
  EXPECT_TRUE(ParseGraphOf(begin, {0, 1}, {1, 1}, {1, 2}).ok());
  EXPECT_FALSE(ParseGraphOf({0, 1, 1}, {0}, {1}, {1}).ok()) << "one user too few";
  EXPECT_FALSE(ParseGraphOf({0, 2, 1, 2}, {0, 1}, {1, 1}, {1, 2}).ok()) << "falling";
  EXPECT_FALSE(ParseGraphOf({1, 1, 1, 2}, {0, 1}, {1, 1}, {1, 2}).ok()) << "not from 0";
  EXPECT_FALSE(ParseGraphOf({0, 1, 1, 1}, {0, 1}, {1, 1}, {1, 2}).ok()) << "edges left over";
  EXPECT_FALSE(ParseGraphOf({0, 1, 1, 3}, {0, 1}, {1, 1}, {1, 2}).ok()) << "beyond the edges";
  EXPECT_FALSE(ParseGraphOf(begin, {0, 4}, {1, 1}, {1, 2}).ok()) << "unknown item";
  EXPECT_FALSE(ParseGraphOf(begin, {0, -1}, {1, 1}, {1, 2}).ok()) << "negative item";
  EXPECT_TRUE(ParseGraphOf({0, 2, 2, 2}, {1, 1}, {1, 1}, {1, 2}).ok()) << "oldest first";
  EXPECT_FALSE(ParseGraphOf({0, 2, 2, 2}, {1, 1}, {1, 1}, {2, 1}).ok()) << "newest first";
  EXPECT_FALSE(ParseGraphOf({0, 2, 2, 2}, {1, 1}, {1, 1}, {1, 1}).ok()) << "one of them twice";
  EXPECT_FALSE(ParseGraphOf({0, 2, 2, 2}, {1, 0}, {1, 1}, {1, 2}).ok()) << "falling items";
  EXPECT_FALSE(ParseGraphOf(begin, {0, 1}, {0, 1}, {1, 2}).ok()) << "count 0";
  EXPECT_FALSE(ParseGraphOf(begin, {0, 1}, {int64_t{1} << 32, 1}, {1, 2}).ok()) << "count";
  EXPECT_FALSE(ParseGraphOf(begin, {0, 1}, {1, 1}, {1, 6}).ok()) << "offset beyond graph_offset";
  EXPECT_FALSE(ParseGraphOf(begin, {0, 1}, {1, 1}, {0, 2}).ok()) << "offset 0";
  constexpr int64_t kYear9999 = 253'402'300'799'999'999;
  EXPECT_TRUE(ParseGraphOf(begin, {0, 1}, {1, 1}, {1, 2}, kYear9999).ok());
  for (const int64_t time_us :
       {int64_t{-1}, kYear9999 + 1, 1'600'000'000 * int64_t{1'000'000'000}}) {
    EXPECT_FALSE(ParseGraphOf(begin, {0, 1}, {1, 1}, {1, 2}, time_us).ok()) << time_us;
  }
}

TEST_F(SnapshotTest, AWholeSnapshotIsRead) {
  const auto snapshot = Load();
  ASSERT_TRUE(snapshot.ok()) << snapshot.status();
  EXPECT_EQ((*snapshot)->manifest().FullVersion(), "tiny@1");
  EXPECT_EQ((*snapshot)->digest().size(), 64u);
  EXPECT_EQ((*snapshot)->ItemEmbedding(2)[0], -1.0f);
  EXPECT_EQ((*snapshot)->user_clusters()[2], 1u);
  EXPECT_EQ((*snapshot)->FindRanker(""), nullptr);
  const std::vector<float> diagonal{1, 1};
  EXPECT_EQ((*snapshot)->NearestUserCluster(diagonal), 0u) << "a tie goes to the lower number";
  const std::vector<float> upwards{0.4f, 0.5f};
  EXPECT_EQ((*snapshot)->NearestUserCluster(upwards), 1u);
}

TEST_F(SnapshotTest, EmbeddingsOfAnotherTypeAreConverted) {
  SafetensorsWriter embeddings;
  embeddings.Add("user", {3, 2}, std::vector<double>{1, 0, 0, 1, 0.1, 1});
  embeddings.AddNarrow("item", "F16", {4, 2},
                       std::vector<uint16_t>{0x3c00, 0, 0, 0x3c00, 0xbc00, 0, 0, 0xbc00});
  fixture_.WriteFile("embeddings.safetensors", std::string(embeddings.Bytes()->text()));
  fixture_.WriteManifest();
  const auto snapshot = Load();
  ASSERT_TRUE(snapshot.ok()) << snapshot.status();
  EXPECT_EQ((*snapshot)->user_embeddings()[2 * 2], 0.1f);
  EXPECT_EQ((*snapshot)->ItemEmbedding(2)[0], -1.0f);
}

TEST_F(SnapshotTest, TheDigestCoversEveryFile) {
  const std::string before = (*Load())->digest();
  fixture_.WriteFile("users.jsonl", "{\"id\":\"x\"}\n{\"id\":\"y\"}\n{\"id\":\"z\"}\n");
  fixture_.WriteManifest();
  EXPECT_NE((*Load())->digest(), before);
}

}  // namespace
}  // namespace groundswell
