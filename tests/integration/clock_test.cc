// The server's clock, set wrong: while the server runs, it is not ready and takes nothing by it;
// where it was wrong before, removals tell it, and what was removed with it does no harm.
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
  grpc::Status RemoveItem(const std::string& item) {
    v1::RemoveItemRequest request;
    request.set_item_id(item);
    request.set_request_id(kRequestId);
    v1::RemovalReceipt receipt;
    return stubs_->admin->RemoveItem(NewContext().get(), request, &receipt);
  }
  // An interaction of ann's, with this number of its producer's.
  grpc::Status Send(int64_t sequence) {
    const auto context = NewContext();
    const auto stream = stubs_->interaction->Ingest(context.get());
    v1::IngestRequest request;
    request.set_producer_id("p");
    request.set_first_sequence(sequence);
    v1::Interaction& one = *request.add_interactions();
    one = NewInteraction("p" + std::to_string(sequence), "ann", kItem);
    one.mutable_event_time()->set_seconds(Now());
    stream->Write(request);
    stream->WritesDone();
    v1::IngestResponse response;
    if (stream->Read(&response)) {
      EXPECT_EQ(response.refusals_size(), 0) << response.ShortDebugString();
      last_sequence_ = response.last_sequence();
      token_ = response.consistency_token();
    }
    return stream->Finish();
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
  int64_t last_sequence_ = 0;
};

TEST_F(ClockTest, ARemovalByAClockThatIsAheadIsRefusedUntilItIsRight) {
  Start();
  Record("ann", Now());
  Stop();
  ShiftClock(400 * kDay);
  Start();
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
  Stop();
  ShiftClock(0);
  Start();
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
  Stop();
  ShiftClock(0);
  Start();
  Record("ann", Now());
  EXPECT_EQ(Total("ann"), 1);
}

TEST_F(ClockTest, NothingIsTakenNorPassedOverByAClockThatJumpsWhileTheServerRuns) {
  Start();
  EXPECT_TRUE(Send(1).ok());
  for (const int64_t days : {400, -10}) {
    ShiftClock(days * kDay);
    const grpc::Status refused = Send(last_sequence_ + 1);
    EXPECT_EQ(refused.error_code(), grpc::StatusCode::UNAVAILABLE) << days;
    EXPECT_EQ(ReasonOf(RichStatus(refused)), "CLOCK_JUMPED");
    EXPECT_NE(refused.error_message().find("restart"), std::string::npos);
    EXPECT_EQ(ReasonOf(RichStatus(Forget("ann"))), "CLOCK_JUMPED");
    EXPECT_EQ(ReasonOf(RichStatus(RemoveItem(kItem))), "CLOCK_JUMPED");
    v1::RecordInteractionRequest request;
    *request.mutable_interaction() = NewInteraction("single", "ann", kItem);
    v1::RecordInteractionResponse response;
    EXPECT_EQ(ReasonOf(RichStatus(
                  stubs_->interaction->RecordInteraction(NewContext().get(), request, &response))),
              "CLOCK_JUMPED");
    EXPECT_NE(HttpGet(server_->http_port(), "/readyz").find("CLOCK_JUMPED"), std::string::npos);
    const std::string metrics = HttpGet(server_->http_port(), "/metrics");
    EXPECT_EQ(metrics.find("\ngroundswell_clock_jump_seconds 0\n"), std::string::npos);
    EXPECT_NE(metrics.find("\ngroundswell_clock_jump_seconds "), std::string::npos);
    EXPECT_EQ(Total("ann"), last_sequence_) << "reads go on";
    ShiftClock(0);
    EXPECT_TRUE(server_->IsReady()) << "it came back";
    EXPECT_NE(
        HttpGet(server_->http_port(), "/metrics").find("\ngroundswell_clock_jump_seconds 0\n"),
        std::string::npos);
    EXPECT_TRUE(Send(last_sequence_ + 1).ok()) << days;
  }
  EXPECT_EQ(Total("ann"), 3);
}

TEST_F(ClockTest, ARestartSaysThatTheClockIsRightNow) {
  Start();
  ShiftClock(-2 * kDay);
  EXPECT_FALSE(server_->IsReady());
  Stop();
  Start();
  Record("ann", Now() - 3 * kDay);
  EXPECT_EQ(Total("ann"), 1);
}

TEST_F(ClockTest, WhereTheSettingAllowsItTheClockMayBeSet) {
  Start({"--ingest.clock_jump_max_s=0"});
  ShiftClock(400 * kDay);
  EXPECT_TRUE(server_->IsReady());
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
