// Checking, listing and rolling back snapshots, over real sockets.
#include <gmock/gmock.h>
#include <signal.h>

#include <chrono>
#include <filesystem>
#include <vector>

#include "tests/integration/sample_server.h"
#include "tests/support/other_snapshot.h"

namespace groundswell {
namespace {

using ::testing::HasSubstr;

class SnapshotsTest : public testing::Test {
 protected:
  SnapshotsTest() {
    ImportSample(directory_.File("db"));
    WriteOtherSnapshot(GROUNDSWELL_SAMPLE_SNAPSHOT, other_);
    Start();
  }

  void Start() {
    server_.emplace(directory_.File("db"), std::vector<std::string>());
    stubs_.emplace(server_->grpc_address());
  }

  grpc::Status Activate(const std::string& directory, bool validate_only = false) {
    v1::ActivateSnapshotRequest request;
    request.set_directory(directory);
    request.set_validate_only(validate_only);
    return stubs_->admin->ActivateSnapshot(NewContext().get(), request, &info_);
  }
  grpc::Status RollBack() {
    return stubs_->admin->RollBackSnapshot(NewContext().get(), {}, &info_);
  }
  std::vector<v1::ServedSnapshot> List() {
    v1::ListSnapshotsResponse response;
    EXPECT_TRUE(stubs_->admin->ListSnapshots(NewContext().get(), {}, &response).ok());
    return {response.snapshots().begin(), response.snapshots().end()};
  }
  v1::ServerStatus Status() {
    v1::ServerStatus status;
    EXPECT_TRUE(stubs_->admin->GetServerStatus(NewContext().get(), {}, &status).ok());
    return status;
  }

  TemporaryDirectory directory_;
  const std::string other_ = directory_.File("other");
  std::optional<ServerProcess> server_;
  std::optional<Stubs> stubs_;
  v1::SnapshotInfo info_;
};

TEST_F(SnapshotsTest, TheImportedOneServesAndThereIsNoneBefore) {
  const auto snapshots = List();
  ASSERT_EQ(snapshots.size(), 1u);
  EXPECT_EQ(snapshots[0].state(), v1::SNAPSHOT_STATE_SERVING);
  EXPECT_EQ(snapshots[0].digest(), Status().snapshot().digest());
  EXPECT_EQ(snapshots[0].version(), Status().snapshot().version());
  EXPECT_TRUE(std::filesystem::equivalent(snapshots[0].directory(), GROUNDSWELL_SAMPLE_SNAPSHOT));
  const int64_t now_s = std::chrono::duration_cast<std::chrono::seconds>(
                            std::chrono::system_clock::now().time_since_epoch())
                            .count();
  EXPECT_NEAR(static_cast<double>(snapshots[0].activate_time().seconds()),
              static_cast<double>(now_s), 600);

  const grpc::Status status = RollBack();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(status.error_message(), HasSubstr("no other snapshot"));
}

TEST_F(SnapshotsTest, RollingBackServesTheOneBeforeWithEveryInteraction) {
  const std::string imported = Status().snapshot().version();
  ASSERT_TRUE(Activate(other_).ok());
  v1::RecordInteractionRequest record;
  *record.mutable_interaction() = NewInteraction("a1", "ann", kItem);
  v1::RecordInteractionResponse recorded;
  ASSERT_TRUE(stubs_->interaction->RecordInteraction(NewContext().get(), record, &recorded).ok());

  const grpc::Status back = RollBack();
  ASSERT_TRUE(back.ok()) << back.error_message();
  EXPECT_EQ(info_.version(), imported);
  EXPECT_EQ(Status().snapshot().version(), imported);
  v1::GetUserStateRequest request;
  request.set_user_id("ann");
  request.set_consistency_token(recorded.consistency_token());
  v1::GetUserStateResponse state;
  ASSERT_TRUE(stubs_->recommend->GetUserState(NewContext().get(), request, &state).ok());
  EXPECT_EQ(state.total_count(), 1);
  v1::GraphVerification verified;
  ASSERT_TRUE(stubs_->admin->VerifyGraph(NewContext().get(), {}, &verified).ok());
  EXPECT_EQ(verified.difference_count(), 0);

  // It is remembered, and twice leads back.
  stubs_.reset();
  server_->Stop(SIGKILL);
  server_.reset();
  Start();
  const auto snapshots = List();
  ASSERT_EQ(snapshots.size(), 2u);
  EXPECT_EQ(snapshots[0].version(), imported);
  EXPECT_EQ(snapshots[0].state(), v1::SNAPSHOT_STATE_SERVING);
  EXPECT_EQ(snapshots[1].version(), "online-retail@other");
  EXPECT_EQ(snapshots[1].state(), v1::SNAPSHOT_STATE_AVAILABLE);
  EXPECT_EQ(snapshots[1].directory(), other_);
  ASSERT_TRUE(RollBack().ok());
  EXPECT_EQ(info_.version(), "online-retail@other");
}

TEST_F(SnapshotsTest, ADirectoryThatIsGoneCannotBeRolledBackTo) {
  ASSERT_TRUE(Activate(other_).ok());
  ASSERT_TRUE(RollBack().ok());
  const std::string serving = info_.version();
  std::filesystem::rename(other_, directory_.File("elsewhere"));
  ASSERT_EQ(List().size(), 2u);
  EXPECT_EQ(List()[1].state(), v1::SNAPSHOT_STATE_GONE);
  const grpc::Status status = RollBack();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(status.error_message(), HasSubstr(other_));
  EXPECT_EQ(Status().snapshot().version(), serving);
}

TEST_F(SnapshotsTest, ValidatingChangesNothing) {
  const v1::ServerStatus before = Status();
  ASSERT_TRUE(Activate(other_, /*validate_only=*/true).ok());
  EXPECT_EQ(info_.version(), "online-retail@other");
  EXPECT_GT(info_.rankers_size(), 0);
  EXPECT_EQ(List().size(), 1u);
  const v1::ServerStatus after = Status();
  EXPECT_EQ(after.snapshot().version(), before.snapshot().version());
  EXPECT_EQ(after.graph().log_end_offset(), before.graph().log_end_offset());

  std::filesystem::resize_file(other_ + "/items.jsonl", 100);
  EXPECT_EQ(Activate(other_, /*validate_only=*/true).error_code(), grpc::StatusCode::DATA_LOSS);
}

}  // namespace
}  // namespace groundswell
