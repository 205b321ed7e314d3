#include "server/admin/admin_checks.h"

#include <gmock/gmock.h>

#include <limits>

#include "tests/support/snapshot_fixture.h"
#include "tests/support/temporary_directory.h"

namespace groundswell {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class UpsertItemCheckTest : public ::testing::Test {
 protected:
  UpsertItemCheckTest() {
    const SnapshotFixture fixture(directory_.File("."));
    snapshot_ = *Snapshot::Create(*ReadSnapshotDirectory(directory_.File(".")));
    request_.set_item_id("new");
  }

  std::string Refusal() {
    const absl::StatusOr<UpsertItem> item = CheckUpsertItem(request_, *snapshot_);
    EXPECT_EQ(item.status().code(), absl::StatusCode::kInvalidArgument) << item.status();
    return std::string(item.status().message());
  }

  TemporaryDirectory directory_;
  std::shared_ptr<const Snapshot> snapshot_;
  v1::UpsertItemRequest request_;
};

TEST_F(UpsertItemCheckTest, AnItemIsInTheTermsOfTheSnapshotThatServes) {
  request_.add_embedding(-1);
  request_.add_embedding(0);
  request_.mutable_available_from()->set_seconds(10);
  const absl::StatusOr<UpsertItem> item = CheckUpsertItem(request_, *snapshot_);
  ASSERT_TRUE(item.ok()) << item.status();
  EXPECT_EQ(item->clusters_of, snapshot_->digest());
  EXPECT_EQ(item->cluster, 2u) << "the item centroid that is nearest";
  EXPECT_THAT(item->embedding, ElementsAre(-1, 0));
  EXPECT_EQ(item->availability.from_us, 10'000'000);
  EXPECT_EQ(item->availability.until_us, Availability().until_us);
}

TEST_F(UpsertItemCheckTest, AnEmbeddingIsAsWideAsTheSnapshotsAndFinite) {
  request_.add_embedding(1);
  EXPECT_THAT(Refusal(), HasSubstr("must have 2 numbers"));
  request_.add_embedding(std::numeric_limits<float>::quiet_NaN());
  EXPECT_THAT(Refusal(), HasSubstr("must hold numbers between"));
}

TEST_F(UpsertItemCheckTest, TextsAreBounded) {
  request_.set_title(std::string(4'096, 'x'));
  request_.set_category(std::string(256, 'x'));
  EXPECT_TRUE(CheckUpsertItem(request_, *snapshot_).ok());
  request_.mutable_title()->push_back('x');
  EXPECT_THAT(Refusal(), HasSubstr("title"));
  request_.clear_title();
  request_.mutable_category()->push_back('x');
  EXPECT_THAT(Refusal(), HasSubstr("category"));
}

TEST_F(UpsertItemCheckTest, ATimeIsBeforeTheYear10000AndTheEndAfterTheBegin) {
  request_.mutable_available_from()->set_seconds(std::numeric_limits<int64_t>::max());
  EXPECT_THAT(Refusal(), HasSubstr("available_from"));
  request_.mutable_available_from()->set_seconds(10);
  request_.mutable_available_from()->set_nanos(-1);
  EXPECT_THAT(Refusal(), HasSubstr("available_from"));
  request_.mutable_available_from()->set_nanos(0);
  request_.mutable_available_until()->set_seconds(10);
  EXPECT_THAT(Refusal(), HasSubstr("must be later than available_from"));
  request_.mutable_available_until()->set_nanos(1'000);
  EXPECT_TRUE(CheckUpsertItem(request_, *snapshot_).ok());
}

TEST(DirectoryCheckTest, IsAbsolute) {
  EXPECT_TRUE(CheckDirectory("/somewhere").ok());
  EXPECT_THAT(std::string(CheckDirectory("somewhere").message()), HasSubstr("absolute path"));
}

}  // namespace
}  // namespace groundswell
