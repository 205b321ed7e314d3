// A full disk: what cannot be written is refused, nothing of it counts, and the server goes on.
#include <signal.h>

#include <cerrno>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "tests/integration/faulty_disk.h"
#include "tests/integration/sample_server.h"

namespace groundswell {
namespace {

namespace fs = std::filesystem;

class FullDiskTest : public testing::Test {
 protected:
  void FillDisk() { disk_.Fail(FaultyCall::kWrite, ENOSPC); }
  void FreeDisk() { disk_.Heal(); }

  static grpc::Status Record(const Stubs& stubs, const std::string& event_id,
                             v1::RecordInteractionResponse& response) {
    v1::RecordInteractionRequest request;
    *request.mutable_interaction() = NewInteraction(event_id, "disk-user", kItem);
    return stubs.interaction->RecordInteraction(NewContext().get(), request, &response);
  }

  static int64_t Count(const Stubs& stubs, const std::string& consistency_token) {
    v1::GetUserStateRequest request;
    request.set_user_id("disk-user");
    request.set_consistency_token(consistency_token);
    v1::GetUserStateResponse state;
    const grpc::Status status = stubs.recommend->GetUserState(NewContext().get(), request, &state);
    return status.ok() ? state.total_count() : 0;
  }

  TemporaryDirectory directory_;
  FaultyDisk disk_{directory_.File("db"), directory_.File("control")};
};

TEST_F(FullDiskTest, IngestIsRefusedReadsGoOnAndItRecoversByItself) {
  ImportSample(directory_.File("db"));
  std::string token;
  {
    ServerProcess server(directory_.File("db"), {}, disk_.environment());
    const Stubs stubs(server.grpc_address());
    v1::RecordInteractionResponse response;
    ASSERT_TRUE(Record(stubs, "before", response).ok());

    FillDisk();
    const auto expect_full = [](const grpc::Status& full) {
      EXPECT_EQ(full.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED) << full.error_message();
      EXPECT_EQ(ReasonOf(RichStatus(full)), "LOG_FULL");
      EXPECT_TRUE(DetailOf<google::rpc::RetryInfo>(RichStatus(full)).has_value());
    };
    for (int i = 0; i < 3; ++i) {
      expect_full(Record(stubs, "while-full-" + std::to_string(i), response));
    }
    v1::UpsertItemRequest upsert;
    upsert.set_item_id("new-while-full");
    v1::UpsertItemResponse upserted;
    expect_full(stubs.admin->UpsertItem(NewContext().get(), upsert, &upserted));
    v1::ForgetUserRequest forget;
    forget.set_user_id(kCustomer);
    forget.set_request_id("11111111-2222-3333-4444-777777777777");
    v1::RemovalReceipt receipt;
    expect_full(stubs.interaction->ForgetUser(NewContext().get(), forget, &receipt));
    v1::RecommendRequest recommend;
    recommend.set_user_id(kCustomer);
    v1::RecommendResponse list;
    EXPECT_TRUE(stubs.recommend->Recommend(NewContext().get(), recommend, &list).ok());
    EXPECT_EQ(list.items_size(), 20);

    FreeDisk();
    grpc::Status again;
    ASSERT_TRUE(Becomes([&] { return (again = Record(stubs, "after", response)).ok(); }))
        << again.error_message();
    token = response.consistency_token();
    EXPECT_EQ(Count(stubs, token), 2) << "what was refused does not count";
    ASSERT_TRUE(Record(stubs, "while-full-0", response).ok());
    EXPECT_FALSE(response.duplicate()) << "what was refused is new when it is sent again";
    token = response.consistency_token();
    EXPECT_EQ(Count(stubs, token), 3);
    EXPECT_EQ(server.Stop(SIGTERM), 0);
  }
  ServerProcess server(directory_.File("db"));
  EXPECT_EQ(Count(Stubs(server.grpc_address()), token), 3);
}

TEST_F(FullDiskTest, AnImportFailsWithTheReasonAndLeavesNothing) {
  FillDisk();
  const Finished import =
      RunProgram({GROUNDSWELL_SERVER_PROGRAM, "import", "--snapshot", GROUNDSWELL_SAMPLE_SNAPSHOT,
                  "--data-dir", directory_.File("db")},
                 disk_.environment());
  EXPECT_EQ(import.exit_code, 1);
  EXPECT_NE(import.output.find("No space left"), std::string::npos) << import.output;
  EXPECT_FALSE(fs::exists(directory_.File("db")));
  EXPECT_FALSE(fs::exists(directory_.File("db.importing")));
}

// RocksDB does not recover from these by itself, and may never close then.
TEST_F(FullDiskTest, AnImportThatTheDiskRefusesForeverEndsWithTheReason) {
  const std::vector<std::string> import = {"/usr/bin/timeout",
                                           "-s",
                                           "KILL",
                                           "120",
                                           GROUNDSWELL_SERVER_PROGRAM,
                                           "import",
                                           "--snapshot",
                                           GROUNDSWELL_SAMPLE_SNAPSHOT,
                                           "--data-dir",
                                           directory_.File("db")};
  ASSERT_EQ(RunProgram(import, disk_.environment()).exit_code, 0);
  const int64_t writes = disk_.calls(FaultyCall::kWrite);
  fs::remove_all(directory_.File("db"));
  for (const auto& [error, said] :
       {std::pair(EDQUOT, "quota exceeded"), std::pair(EIO, "Input/output error"),
        std::pair(EFBIG, "File too large")}) {
    disk_.Fail(FaultyCall::kWrite, error, /*passing=*/writes / 2);
    const Finished refused = RunProgram(import, disk_.environment());
    EXPECT_EQ(refused.exit_code, 1) << refused.output;
    EXPECT_NE(refused.output.find(said), std::string::npos) << refused.output;
    EXPECT_FALSE(fs::exists(directory_.File("db")));
    EXPECT_FALSE(fs::exists(directory_.File("db.importing")));
  }
}

}  // namespace
}  // namespace groundswell
