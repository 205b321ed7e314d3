// kill -9 at any moment: what was acknowledged is there once, and the server starts without help.
#include <signal.h>

#include <random>
#include <thread>

#include "tests/integration/sample_server.h"

namespace groundswell {
namespace {

constexpr char kUser[] = "durable-user";

// Ingests one interaction per batch until the server goes away; the number acknowledged, which is
// also the last event number that is certainly on disk. Event ids continue from `first`.
int IngestUntilItDies(const std::string& address, int first) {
  const Stubs stubs(address);
  const auto context = NewContext();
  const auto stream = stubs.interaction->Ingest(context.get());
  int acknowledged = first;
  std::thread reader([&] {
    v1::IngestResponse response;
    while (stream->Read(&response)) {
      acknowledged += response.accepted_count() + response.duplicate_count();
    }
  });
  for (int event = first;; ++event) {
    v1::IngestRequest request;
    *request.add_interactions() = NewInteraction("durable-" + std::to_string(event), kUser, kItem);
    if (!stream->Write(request)) break;
  }
  reader.join();
  stream->Finish();
  return acknowledged;
}

int64_t CountOf(const std::string& address) {
  const Stubs stubs(address);
  v1::GetUserStateRequest request;
  request.set_user_id(kUser);
  v1::GetUserStateResponse state;
  const grpc::Status status = stubs.recommend->GetUserState(NewContext().get(), request, &state);
  return status.ok() ? state.total_count() : 0;
}

TEST(DurabilityTest, KillAtRandomMomentsLosesNothingAcknowledgedAndCountsNothingTwice) {
  TemporaryDirectory directory;
  ImportSample(directory.File("db"));
  std::mt19937_64 random(7);
  int acknowledged = 0;
  for (int cycle = 0; cycle < 8; ++cycle) {
    ServerProcess server(directory.File("db"));
    const int64_t found = CountOf(server.grpc_address());
    // More may be on disk than was acknowledged, never less; and each event at most once.
    EXPECT_GE(found, acknowledged) << "cycle " << cycle;
    // The client goes on from its last acknowledgement, so it sends again what it does not know of.
    std::thread killer([&, delay = std::chrono::milliseconds(20 + random() % 150)] {
      std::this_thread::sleep_for(delay);
      server.Stop(SIGKILL);
    });
    acknowledged = IngestUntilItDies(server.grpc_address(), acknowledged);
    killer.join();
  }
  EXPECT_GT(acknowledged, 0);
  ServerProcess server(directory.File("db"));
  const int64_t found = CountOf(server.grpc_address());
  EXPECT_GE(found, acknowledged);

  // All that was ever sent, once more: only what never arrived may count now.
  const Stubs stubs(server.grpc_address());
  const auto context = NewContext();
  const auto stream = stubs.interaction->Ingest(context.get());
  v1::IngestRequest request;
  v1::IngestResponse response;
  int64_t accepted = 0;
  for (int event = 0; event < acknowledged; ++event) {
    *request.add_interactions() = NewInteraction("durable-" + std::to_string(event), kUser, kItem);
    if (request.interactions_size() < 1'000 && event + 1 < acknowledged) continue;
    ASSERT_TRUE(stream->Write(request));
    ASSERT_TRUE(stream->Read(&response));
    accepted += response.accepted_count();
    request.clear_interactions();
  }
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(accepted, 0);
  EXPECT_EQ(CountOf(server.grpc_address()), found);
  EXPECT_EQ(server.Stop(SIGTERM), 0);
}

TEST(DurabilityTest, TerminationDrainsAndARestartContinues) {
  TemporaryDirectory directory;
  ImportSample(directory.File("db"));
  int64_t offset = 0;
  {
    ServerProcess server(directory.File("db"));
    const Stubs stubs(server.grpc_address());
    v1::RecordInteractionRequest request;
    *request.mutable_interaction() = NewInteraction("drain-1", kUser, kItem);
    v1::RecordInteractionResponse response;
    ASSERT_TRUE(stubs.interaction->RecordInteraction(NewContext().get(), request, &response).ok());
    offset = response.offset();
    EXPECT_EQ(server.Stop(SIGTERM), 0);
  }
  ServerProcess server(directory.File("db"));
  const Stubs stubs(server.grpc_address());
  v1::ServerStatus status;
  ASSERT_TRUE(stubs.admin->GetServerStatus(NewContext().get(), {}, &status).ok());
  EXPECT_EQ(status.graph().applied_offset(), offset);
  EXPECT_EQ(CountOf(server.grpc_address()), 1);
}

TEST(DurabilityTest, APortInUseIsAnErrorThatNamesIt) {
  TemporaryDirectory directory;
  ImportSample(directory.File("db"));
  ImportSample(directory.File("other"));
  ServerProcess server(directory.File("db"));
  const Finished grpc_taken = RunProgram(
      {GROUNDSWELL_SERVER_PROGRAM, "serve", "--server.data_dir=" + directory.File("other"),
       "--server.grpc_address=" + server.grpc_address(), "--server.http_address=127.0.0.1:0"});
  EXPECT_EQ(grpc_taken.exit_code, 1);
  EXPECT_NE(grpc_taken.output.find("server.grpc_address"), std::string::npos) << grpc_taken.output;
  const Finished http_taken = RunProgram(
      {GROUNDSWELL_SERVER_PROGRAM, "serve", "--server.data_dir=" + directory.File("other"),
       "--server.grpc_address=127.0.0.1:0",
       "--server.http_address=127.0.0.1:" + std::to_string(server.http_port())});
  EXPECT_EQ(http_taken.exit_code, 1);
  EXPECT_NE(http_taken.output.find("http"), std::string::npos) << http_taken.output;
}

TEST(DurabilityTest, ADatabaseInUseIsRefused) {
  TemporaryDirectory directory;
  ImportSample(directory.File("db"));
  ServerProcess server(directory.File("db"));
  const Finished second =
      RunProgram({GROUNDSWELL_SERVER_PROGRAM, "serve", "--server.data_dir=" + directory.File("db"),
                  "--server.grpc_address=127.0.0.1:0", "--server.http_address=127.0.0.1:0"});
  EXPECT_EQ(second.exit_code, 1);
  EXPECT_NE(second.output.find("is in use by another process"), std::string::npos) << second.output;
  EXPECT_GT(CountOf(server.grpc_address()), -1);
}

}  // namespace
}  // namespace groundswell
