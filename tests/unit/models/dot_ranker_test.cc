// The dot product as a ranker: the smallest one there is, through the registry and a whole
// snapshot.
#include <gtest/gtest.h>

#include <limits>

#include "models/snapshot/registry.h"
#include "models/snapshot/snapshot.h"
#include "tests/support/safetensors_writer.h"
#include "tests/support/snapshot_fixture.h"
#include "tests/support/temporary_directory.h"

namespace groundswell {
namespace {

const Manifest::Model kModel{
    .name = "inner", .kind = "dot", .file = "embeddings.safetensors", .options = {}};

SafetensorsFile FileOf(const SafetensorsWriter& writer) {
  return *SafetensorsFile::Parse("embeddings.safetensors", writer.Bytes());
}

void ExpectDotRefused(const SafetensorsWriter& writer, const std::string& what,
                      const Manifest::Model& model = kModel) {
  const absl::Status status = MakeRanker(model, FileOf(writer)).status();
  EXPECT_FALSE(status.ok()) << what;
  EXPECT_NE(std::string(status.message()).find(what), std::string::npos) << status;
}

TEST(DotRankerTest, WrongTensorsAndOptionsAreNamed) {
  SafetensorsWriter none;
  ExpectDotRefused(none, "\"user\" is missing");
  SafetensorsWriter no_item;
  no_item.Add("user", {1, 2}, std::vector<float>{1, 2});
  ExpectDotRefused(no_item, "\"item\" is missing");
  SafetensorsWriter widths = no_item;
  widths.Add("item", {1, 3}, std::vector<float>{1, 2, 3});
  ExpectDotRefused(widths, "\"user\" have 2 numbers, those of \"item\" 3");
  SafetensorsWriter empty = no_item;
  empty.Add("item", {0, 2}, std::vector<float>());
  ExpectDotRefused(empty, "\"item\" has shape [0, 2]; for a dot model it must be a matrix");
  SafetensorsWriter nobody;
  nobody.Add("user", {0, 2}, std::vector<float>());
  nobody.Add("item", {1, 2}, std::vector<float>{3, 4});
  ExpectDotRefused(nobody, "Leave dot models out of the manifest where no user was trained");
  SafetensorsWriter nan = no_item;
  nan.Add("item", {1, 2}, std::vector<float>{0, std::numeric_limits<float>::quiet_NaN()});
  ExpectDotRefused(nan, "\"item\": element 1 is nan");
  SafetensorsWriter good = no_item;
  good.Add("item", {1, 2}, std::vector<float>{3, 4});
  EXPECT_TRUE(MakeRanker(kModel, FileOf(good)).ok());
  Manifest::Model spoiled = kModel;
  spoiled.options["tau"] = "1";
  ExpectDotRefused(good, "option \"tau\"", spoiled);
}

// The tiny snapshot: ann (1, 0), bob (0, 1), eve (1, 1); items (1, 0), (0, 1), (-1, 0), (0, -1).
class DotOfSnapshotTest : public testing::Test {
 protected:
  DotOfSnapshotTest() {
    fixture_.manifest["models"] = {{{"name", "inner"},
                                    {"kind", "dot"},
                                    {"file", "embeddings.safetensors"},
                                    {"options", nlohmann::json::object()}}};
    fixture_.WriteManifest();
    snapshot_ = *Snapshot::Create(*ReadSnapshotDirectory(directory_.path()));
    scratch_ = ranker().NewScratch(8);
  }

  const Ranker& ranker() const { return *snapshot_->FindRanker("inner"); }

  TemporaryDirectory directory_;
  SnapshotFixture fixture_{directory_.path()};
  std::shared_ptr<const Snapshot> snapshot_;
  std::unique_ptr<RankerScratch> scratch_;
};

TEST_F(DotOfSnapshotTest, ItReadsRowsAndNothingElse) {
  const RankerShape shape = ranker().shape();
  EXPECT_EQ(shape.user_rows, 4u);
  EXPECT_EQ(shape.item_rows, 5u);
  EXPECT_EQ(shape.user_clusters + shape.item_clusters + shape.recent_items + shape.recent_users,
            0u);
}

TEST_F(DotOfSnapshotTest, LogitsAreInnerProductsAndItemsWithoutEmbeddingComeLast) {
  const std::vector<uint32_t> rows{4, 0, 2, 1, 3};
  std::vector<float> logits(rows.size());
  ASSERT_TRUE(ranker().PrepareUser({.row = 3}, *scratch_).ok());
  ranker().ScoreItems({.rows = rows}, *scratch_, logits);
  EXPECT_EQ(logits, (std::vector<float>{-1, -std::numeric_limits<float>::infinity(), 1, 1, -1}));
  ASSERT_TRUE(ranker().PrepareUser({.row = 2}, *scratch_).ok());
  ranker().ScoreItems({.rows = rows}, *scratch_, logits);
  EXPECT_EQ(logits, (std::vector<float>{-1, -std::numeric_limits<float>::infinity(), 1, 0, 0}));
}

TEST_F(DotOfSnapshotTest, AUserWithoutEmbeddingHasNoScore) {
  const absl::Status status = ranker().PrepareUser({.row = 0}, *scratch_);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(std::string(status.message()).find("has an embedding"), std::string::npos) << status;
}

TEST_F(DotOfSnapshotTest, TheVectorsOfTheMomentAreReadWhereTheyAreGathered) {
  EXPECT_EQ(ranker().shape().vector_width, 2u);
  const std::vector<float> user{2, 1}, item{3, -1};
  ASSERT_TRUE(ranker().PrepareUser({.row = 0, .vector = user}, *scratch_).ok());
  const std::vector<uint32_t> rows{0, 1, 1};
  const std::vector<std::span<const float>> vectors{item, {}, item};
  std::vector<float> logits(rows.size());
  ranker().ScoreItems({.rows = rows, .vectors = vectors}, *scratch_, logits);
  EXPECT_EQ(logits, (std::vector<float>{5, -std::numeric_limits<float>::infinity(), 5}));
}

TEST(DotRankerTest, TablesOfItsOwnAreAnotherSpaceThanTheVectorsOfTheMoment) {
  SafetensorsWriter tables;
  tables.Add("user", {1, 2}, std::vector<float>{1, 2});
  tables.Add("item", {1, 2}, std::vector<float>{3, 4});
  Manifest::Model model = kModel;
  model.file = "two_towers.safetensors";
  const auto ranker = MakeRanker(model, *SafetensorsFile::Parse(model.file, tables.Bytes()));
  ASSERT_TRUE(ranker.ok()) << ranker.status();
  EXPECT_EQ((*ranker)->shape().vector_width, 0u);
}

}  // namespace
}  // namespace groundswell
