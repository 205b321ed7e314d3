// A real server whose disk does not answer, or refuses everything: it is not ready meanwhile, and
// ends with a status that says to start it again when only that can help.
#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>
#include <signal.h>

#include <cerrno>
#include <cstring>
#include <thread>
#include <utility>
#include <vector>

#include "tests/integration/faulty_disk.h"
#include "tests/integration/raw_peer.h"
#include "tests/integration/sample_server.h"

namespace groundswell {
namespace {

using testing::HasSubstr;

constexpr int kTryAgain = 75;  // EX_TEMPFAIL
constexpr int kServing = 1;    // as grpc.health.v1 has them
constexpr int kNotServing = 2;

// What the gRPC health service says of a service, "" being all of them; 0: it did not answer.
int HealthOf(const Stubs& stubs, const std::string& service) {
  std::string asked;
  if (!service.empty()) asked = std::string("\n") + static_cast<char>(service.size()) + service;
  grpc::Slice slice(asked);
  const grpc::ByteBuffer request(&slice, 1);
  grpc::ByteBuffer response;
  grpc::GenericStub stub(stubs.channel);
  grpc::CompletionQueue queue;
  const auto context = NewContext();
  const auto call =
      stub.PrepareUnaryCall(context.get(), "/grpc.health.v1.Health/Check", request, &queue);
  grpc::Status status;
  call->StartCall();
  call->Finish(&response, &status, nullptr);
  void* tag = nullptr;
  bool is_ok = false;
  queue.Next(&tag, &is_ok);
  std::vector<grpc::Slice> parts;
  if (!status.ok() || !response.Dump(&parts).ok()) return 0;
  std::string answer;
  for (const grpc::Slice& part : parts) {
    answer.append(reinterpret_cast<const char*>(part.begin()), part.size());
  }
  return answer.size() == 2 && answer[0] == '\x08' ? answer[1] : 0;
}

class HangingDiskTest : public testing::Test {
 protected:
  void Serve(const std::vector<std::string>& flags) {
    server_ = std::make_unique<ServerProcess>(directory_.File("db"), flags, disk_.environment());
    stubs_ = std::make_unique<Stubs>(server_->grpc_address());
  }

  grpc::Status Record(const std::string& event_id) {
    v1::RecordInteractionRequest request;
    *request.mutable_interaction() = NewInteraction(event_id, "disk-user", kItem);
    v1::RecordInteractionResponse response;
    return stubs_->interaction->RecordInteraction(NewContext().get(), request, &response);
  }

  void ExpectBothSay(const std::string& ready, int health) {
    EXPECT_TRUE(Becomes([&] {
      return HttpGet(server_->http_port(), "/readyz").find(ready) != std::string::npos;
    })) << HttpGet(server_->http_port(), "/readyz");
    for (const char* service :
         {"", "groundswell.v1.RecommendationService", "groundswell.v1.InteractionService",
          "groundswell.v1.AdminService"}) {
      EXPECT_TRUE(Becomes([&] { return HealthOf(*stubs_, service) == health; })) << service;
    }
  }

  // 0 also while nothing of the user is applied.
  int64_t Count() {
    v1::GetUserStateRequest request;
    request.set_user_id("disk-user");
    v1::GetUserStateResponse state;
    const grpc::Status status =
        stubs_->recommend->GetUserState(NewContext().get(), request, &state);
    EXPECT_TRUE(status.ok() || status.error_code() == grpc::StatusCode::NOT_FOUND)
        << status.error_message();
    return state.total_count();
  }

  // Acknowledged, and applied: what hangs later does not hold it up.
  void RecordFirst() {
    ASSERT_TRUE(Record("before").ok());
    ASSERT_TRUE(Becomes([this] { return Count() == 1; }));
  }

  HangingDiskTest() { ImportSample(directory_.File("db")); }

  TemporaryDirectory directory_;
  FaultyDisk disk_{directory_.File("db"), directory_.File("control")};
  std::unique_ptr<ServerProcess> server_;
  std::unique_ptr<Stubs> stubs_;
};

TEST_F(HangingDiskTest, AWriteThatHangsMakesNotReadyUntilItComesBack) {
  Serve({"--storage.write_stall_s=1", "--storage.recovery_max_s=0"});
  ExpectBothSay("200", kServing);
  RecordFirst();
  disk_.Hang(FaultyCall::kSync);
  std::thread client([this] { EXPECT_TRUE(Record("during").ok()); });
  ExpectBothSay("has not come back for", kNotServing);
  EXPECT_EQ(Count(), 1) << "reads are answered";
  disk_.Heal();
  client.join();
  ExpectBothSay("200", kServing);
  EXPECT_TRUE(Record("after").ok());
  EXPECT_EQ(server_->Stop(SIGTERM), 0);
}

TEST_F(HangingDiskTest, AWriteThatHangsOnEndsTheServerToBeStartedAgain) {
  Serve({"--storage.write_stall_s=1", "--storage.recovery_max_s=3"});
  RecordFirst();
  disk_.Hang(FaultyCall::kSync);
  std::thread client([this] { EXPECT_FALSE(Record("during").ok()); });
  EXPECT_TRUE(Becomes([this] { return server_->HasEnded(); }));
  client.join();
  EXPECT_EQ(server_->Stop(SIGKILL), kTryAgain);
  disk_.Heal();
  Serve({});
  EXPECT_THAT(Count(), testing::AnyOf(1, 2)) << "it was not acknowledged, and may be there";
  ASSERT_TRUE(Record("during").ok());
  EXPECT_TRUE(Becomes([this] { return Count() == 2; }));
}

// However long nothing else happens.
TEST_F(HangingDiskTest, AWriteInProgressIsWaitedForAtTheEnd) {
  Serve({"--server.drain_s=3600", "--storage.write_stall_s=60"});
  RecordFirst();
  disk_.Hang(FaultyCall::kSync);
  std::thread client([this] { EXPECT_TRUE(Record("during").ok()); });
  EXPECT_TRUE(Becomes([this] { return disk_.hung(); }));
  Http2Peer silent(server_->grpc_port());
  silent.Say(BeginOfCall(1, "/groundswell.v1.RecommendationService/Recommend"));
  EXPECT_TRUE(silent.WasHeard());  // one that was not taken yet is not told that the server goes
  server_->Signal(SIGTERM);
  EXPECT_TRUE(Becomes([&] {
    silent.Listen(100);
    return silent.was_sent_away();
  }));
  // Time enough to end calls in, if it did.
  std::this_thread::sleep_for(std::chrono::milliseconds(1'500));
  disk_.Heal();
  client.join();
  EXPECT_EQ(server_->Stop(SIGTERM), 0);
}

TEST_F(HangingDiskTest, WritesThatAreRefusedMakeNotReadyButNeverEndTheServer) {
  Serve({"--storage.recovery_max_s=1"});
  disk_.Fail(FaultyCall::kWrite, EIO);
  EXPECT_FALSE(Record("refused").ok());
  ExpectBothSay("the log cannot be written", kNotServing);
  // Tried more often than within the limit: every other file is refused too.
  const int64_t failed = disk_.failed();
  EXPECT_TRUE(Becomes([&] { return disk_.failed() > failed + 5; }));
  EXPECT_FALSE(server_->HasEnded());
  disk_.Heal();
  EXPECT_TRUE(Becomes([this] { return server_->HasEnded() || server_->IsReady(); }));
}

TEST_F(HangingDiskTest, AStartThatTheDiskRefusesSaysToTryAgainAndHarmsNothing) {
  for (const auto& [call, error] :
       {std::pair(FaultyCall::kWrite, ENOSPC), std::pair(FaultyCall::kOpen, EMFILE)}) {
    disk_.Fail(call, error);
    const Finished refused = RunProgram(
        {GROUNDSWELL_SERVER_PROGRAM, "serve", "--server.data_dir=" + directory_.File("db"),
         "--server.grpc_address=127.0.0.1:0", "--server.http_address=127.0.0.1:0"},
        disk_.environment());
    EXPECT_EQ(refused.exit_code, kTryAgain) << refused.output;
    EXPECT_THAT(refused.output, HasSubstr(std::strerror(error)));
  }
  disk_.Heal();
  Serve({});
  ASSERT_TRUE(Record("after").ok());
  EXPECT_EQ(server_->Stop(SIGTERM), 0);
  const Finished verified =
      RunProgram({GROUNDSWELL_SERVER_PROGRAM, "verify", "--data-dir", directory_.File("db")});
  EXPECT_EQ(verified.exit_code, 0) << verified.output;
}

}  // namespace
}  // namespace groundswell
