// The server's clock, set wrong: removals tell it, and what was removed with it does no harm.
#include <signal.h>

#include <chrono>
#include <filesystem>
#include <fstream>

#include "tests/integration/sample_server.h"

namespace groundswell {
namespace {

constexpr int64_t kDay = 86'400;

class ClockTest : public testing::Test {
 protected:
  ClockTest() { ImportSample(directory_.File("db")); }

  void Start(std::vector<std::string> flags = {}) {
    server_.emplace(directory_.File("db"), std::move(flags),
                    Environment{{"LD_PRELOAD", GROUNDSWELL_SHIFTED_CLOCK_LIBRARY},
                                {"CLOCK_SHIFT_FILE", directory_.File("shift")}});
    stubs_.emplace(server_->grpc_address());
  }
  void Stop() {
    stubs_.reset();
    EXPECT_EQ(server_->Stop(SIGTERM), 0);
    server_.reset();
  }
  // As one that writes the file anew, so that the server never reads half of it.
  void ShiftClock(int64_t seconds) {
    std::ofstream(directory_.File("shift.new")) << seconds;
    std::filesystem::rename(directory_.File("shift.new"), directory_.File("shift"));
  }

  void Record(const std::string& user, int64_t time_s) {
    token_ = RecordAt(*stubs_, std::to_string(++events_), user, kItem, time_s);
  }
  grpc::Status Forget(const std::string& user) {
    v1::ForgetUserRequest request;
    request.set_user_id(user);
    request.set_request_id(kRequestId);
    v1::RemovalReceipt receipt;
    grpc::Status status = stubs_->interaction->ForgetUser(NewContext().get(), request, &receipt);
    if (status.ok()) token_ = receipt.consistency_token();
    return status;
  }
  int64_t Total(const std::string& user) {
    v1::GetUserStateRequest request;
    request.set_user_id(user);
    request.set_consistency_token(token_);
    v1::GetUserStateResponse state;
    const grpc::Status status =
        stubs_->recommend->GetUserState(NewContext().get(), request, &state);
    return status.ok() ? state.total_count() : 0;
  }
  static int64_t Now() {
    return std::chrono::duration_cast<std::chrono::seconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
  }

  static constexpr char kRequestId[] = "123e4567-e89b-42d3-a456-426614174000";
  TemporaryDirectory directory_;
  std::optional<ServerProcess> server_;
  std::optional<Stubs> stubs_;
  std::string token_;
  int events_ = 0;
};

TEST_F(ClockTest, ARemovalByAClockThatJumpedAheadIsRefusedUntilItIsRight) {
  Start();
  Record("ann", Now());
  ShiftClock(400 * kDay);
  Record("ann", Now());
  EXPECT_EQ(Total("ann"), 2);  // both are applied
  const grpc::Status refused = Forget("ann");
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(ReasonOf(RichStatus(refused)), "CLOCK_AHEAD");
  EXPECT_NE(refused.error_message().find("ingest.clock_ahead_max_s"), std::string::npos);
  EXPECT_EQ(Total("ann"), 2);
  Stop();
  Start();
  EXPECT_EQ(ReasonOf(RichStatus(Forget("ann"))), "CLOCK_AHEAD") << "also after a restart";
  ShiftClock(0);
  const grpc::Status forgotten = Forget("ann");
  EXPECT_TRUE(forgotten.ok()) << forgotten.error_message();
  EXPECT_EQ(Total("ann"), 0);
}

// Nothing tells the clock wrong in a log without interactions.
TEST_F(ClockTest, WhatAClockAheadRemovedMayComeAnew) {
  ShiftClock(400 * kDay);
  Start();
  const grpc::Status forgotten = Forget("ann");
  ASSERT_TRUE(forgotten.ok()) << forgotten.error_message();
  ShiftClock(0);
  Record("ann", Now());
  EXPECT_EQ(Total("ann"), 1);
}

TEST_F(ClockTest, AfterAReplayOfLastYearUsersAreForgotten) {
  Start({"--ingest.trained_events=count"});
  for (int day = 0; day < 3; ++day) Record("ann", Now() - (365 - day) * kDay);
  const grpc::Status forgotten = Forget("ann");
  ASSERT_TRUE(forgotten.ok()) << forgotten.error_message();
  Record("ann", Now() - 300 * kDay);
  EXPECT_EQ(Total("ann"), 0) << "it happened before the removal";
}

}  // namespace
}  // namespace groundswell
