// What a server's surroundings do to it: closed or full standard error, hangups, compressed
// requests, log lines of libraries.
#include <gmock/gmock.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>
#include <utility>
#include <vector>

#include "tests/integration/faulty_disk.h"
#include "tests/integration/raw_peer.h"
#include "tests/integration/sample_server.h"
#include "tests/support/sanitized.h"

namespace groundswell {
namespace {

using testing::HasSubstr;

constexpr char kNoDatabase[] = "--server.data_dir=/nonexistent";

// The server's start, which fails, with standard error as the shell makes it.
Finished StartIn(const std::string& redirection) {
  return RunProgram({"/bin/sh", "-c",
                     "exec '" GROUNDSWELL_SERVER_PROGRAM "' serve " + std::string(kNoDatabase) +
                         " " + redirection});
}

// What was printed is on its way until the program ends.
TEST(StandardStreamsTest, AnAnswerThatCannotBeWrittenIsNoSuccess) {
  for (const char* command :
       {"'" GROUNDSWELL_CLI_PROGRAM "' --help", "'" GROUNDSWELL_SERVER_PROGRAM "' --help"}) {
    const std::string shell = "exec " + std::string(command) + " >/dev/full";
    const Finished cut = RunProgram({"/bin/sh", "-c", shell});
    EXPECT_EQ(cut.exit_code, 1) << command;
    EXPECT_THAT(cut.output, HasSubstr("standard output cannot be written")) << command;
    const Finished closed = RunProgram({"/bin/sh", "-c", "exec " + std::string(command) + " >&-"});
    EXPECT_EQ(closed.exit_code, 1) << command;
    EXPECT_THAT(closed.output, HasSubstr("standard output cannot be written")) << command;
  }
}

// What libraries say early is held in a file that must not take the closed stream's number: the
// next one to have it would be a file of the database.
TEST(StandardStreamsTest, AClosedStandardOutputIsNoFileOfTheDatabase) {
  const TemporaryDirectory directory;
  const Finished closed = RunProgram({"/bin/sh", "-c",
                                      "exec '" GROUNDSWELL_SERVER_PROGRAM "' import --snapshot '" +
                                          std::string(GROUNDSWELL_SAMPLE_SNAPSHOT) +
                                          "' --data-dir '" + directory.File("db") + "' >&-"},
                                     {{"OMP_NUM_THREADS", "1"}});
  EXPECT_EQ(closed.exit_code, 1) << closed.output;
  EXPECT_THAT(closed.output, HasSubstr("standard output cannot be written"));
}

// Progress with nowhere to go ends no command, and a file beyond the limit of its size is an error.
TEST(StandardStreamsTest, AnImportNeedsNoStandardErrorAndNamesTheFileThatIsTooLarge) {
  const TemporaryDirectory directory;
  const std::string import = "exec '" GROUNDSWELL_SERVER_PROGRAM "' import --snapshot '" +
                             std::string(GROUNDSWELL_SAMPLE_SNAPSHOT) + "' --data-dir '" +
                             directory.File("db") + "'";
  const Finished limited = RunProgram({"/bin/sh", "-c", "ulimit -f 100; " + import});
  EXPECT_EQ(limited.exit_code, 1) << limited.output;
  EXPECT_THAT(limited.output, HasSubstr("ulimit -f"));
  EXPECT_EQ(RunProgram({"/bin/sh", "-c", import + " 2>/dev/full"}).exit_code, 0);
}

TEST(StandardStreamsTest, AnErrorWithNowhereToGoIsNoSignal) {
  for (const char* redirection : {"2>&-", "2>/dev/full", ">&- 2>&-", "<&- >&- 2>&-"}) {
    EXPECT_EQ(StartIn(redirection).exit_code, 1) << redirection;
  }
  const Finished help = RunProgram({"/bin/sh", "-c",
                                    "exec '" GROUNDSWELL_SERVER_PROGRAM "' import --snapshot '" +
                                        std::string(GROUNDSWELL_SAMPLE_SNAPSHOT) +
                                        "' --data-dir /proc/none 2>/dev/full"});
  EXPECT_EQ(help.exit_code, 1);
}

#ifndef GROUNDSWELL_SANITIZED  // whose own memory is beyond any such limit
// Less memory than the libraries' threads want. Those would try for it until the process is gone,
// or end it by an assertion. 127: not even the libraries fit.
TEST(MemoryTest, AStartWithoutEnoughEndsWithAStatus) {
  for (const int kilobytes : {200'000, 210'000, 240'000, 300'000, 500'000, 830'000, 900'000}) {
    const Finished failed = RunProgram(
        {"/bin/sh", "-c",
         "ulimit -v " + std::to_string(kilobytes) +
             " && exec timeout -s KILL 60 '" GROUNDSWELL_SERVER_PROGRAM "' serve " + kNoDatabase},
        {{"OPENBLAS_NUM_THREADS", "2"}});
    EXPECT_THAT(failed.exit_code, testing::AnyOf(1, 127)) << kilobytes << ": " << failed.output;
    if (failed.exit_code != 1) continue;
    EXPECT_THAT(failed.output, HasSubstr("limited to " + std::to_string(kilobytes) + " KiB"));
  }
}
// The commands that open a database and serve nobody, and the command line.
TEST(MemoryTest, EveryCommandWithoutEnoughEndsWithAStatus) {
  const TemporaryDirectory directory;
  const std::string import = " import --snapshot '" + std::string(GROUNDSWELL_SAMPLE_SNAPSHOT) +
                             "' --data-dir '" + directory.File("db") + "'";
  const std::string server = "'" GROUNDSWELL_SERVER_PROGRAM "'";
  for (const auto& [kilobytes, command] : std::vector<std::pair<int, std::string>>{
           {350'000, server + import},
           {350'000, server + " verify --data-dir /proc/none"},
           {350'000, server + " repair --data-dir /proc/none"},
           {80'000, "'" GROUNDSWELL_CLI_PROGRAM "' --server 127.0.0.1:9 status"}}) {
    const Finished failed = RunProgram(
        {"/bin/sh", "-c",
         "ulimit -v " + std::to_string(kilobytes) + " && exec timeout -s KILL 60 " + command},
        {{"OPENBLAS_NUM_THREADS", "2"}});
    EXPECT_EQ(failed.exit_code, 1) << command << ": " << failed.output;
    EXPECT_THAT(failed.output, HasSubstr("ulimit -v")) << command;
  }
}
#endif

// By a user who may have few threads, since the superuser may have any number; of its own, since
// all that a user runs count.
std::vector<std::string> AsAnother(std::vector<std::string> command) {
  const std::string user = std::to_string(20'000 + getpid() % 40'000);
  command.insert(command.begin(),
                 {"/usr/bin/setpriv", "--reuid", user, "--regid", user, "--clear-groups"});
  return command;
}

bool AnotherMayRunPrograms() {
  return RunProgram(AsAnother({GROUNDSWELL_SERVER_PROGRAM, "--version"})).exit_code == 0;
}

Finished RunWithThreads(int most, const std::string& command) {
  return RunProgram(
      AsAnother({"/bin/bash", "-c",
                 "ulimit -u " + std::to_string(most) + " && exec timeout -s KILL 60 " + command}),
      {{"OPENBLAS_NUM_THREADS", "1"}, {"OMP_NUM_THREADS", "1"}});
}

TEST(ThreadsTest, AStartWithTooFewEndsWithAStatus) {
  if (!AnotherMayRunPrograms()) {
    GTEST_SKIP() << "another user may not be, or may not run the programs of this build";
  }
  for (const char* const command :
       {"'" GROUNDSWELL_SERVER_PROGRAM "' serve --server.data_dir=/proc/none",
        "'" GROUNDSWELL_SERVER_PROGRAM "' verify --data-dir /proc/none",
        "'" GROUNDSWELL_CLI_PROGRAM "' --server 127.0.0.1:9 status"}) {
    const Finished failed = RunWithThreads(6, command);
    EXPECT_EQ(failed.exit_code, 1) << command << ": " << failed.output;
    EXPECT_THAT(failed.output, HasSubstr("ulimit -u")) << command;
  }
}

// Whatever the number: tables are opened side by side.
TEST(ThreadsTest, NoNumberOfThemAbortsACommand) {
  if (!AnotherMayRunPrograms()) {
    GTEST_SKIP() << "another user may not be, or may not run the programs of this build";
  }
  namespace fs = std::filesystem;
  const TemporaryDirectory directory;
  ImportSample(directory.File("db"));
  fs::permissions(directory.path(), fs::perms::all);
  fs::permissions(directory.File("db"), fs::perms::all);
  for (const auto& file : fs::directory_iterator(directory.File("db"))) {
    fs::permissions(file, fs::perms::all);
  }
  for (int most = 11; most <= 47; most += 3) {
    const Finished ended = RunWithThreads(
        most, "'" GROUNDSWELL_SERVER_PROGRAM "' verify --data-dir '" + directory.File("db") + "'");
    EXPECT_TRUE(ended.exit_code == 0 || ended.exit_code == 1) << most << ": " << ended.output;
  }
}

// And what libgomp says before main, which does not understand the variable.
TEST(JsonLogTest, TheFirstLinesAndTheLastErrorAreObjectsToo) {
  const Finished failed =
      RunProgram({GROUNDSWELL_SERVER_PROGRAM, "serve", "--logging.format=json", kNoDatabase},
                 {{"OMP_NUM_THREADS", "0"}});
  EXPECT_THAT(failed.output, HasSubstr("OMP_NUM_THREADS"));
  EXPECT_EQ(failed.exit_code, 1);
  std::istringstream lines(failed.output);
  size_t count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    const auto event = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    EXPECT_TRUE(event.is_object()) << line;
  }
  EXPECT_GE(count, 2u);
}

// Imported by one, served by another. Whoever may read everything gives that up first.
TEST(DatabaseRightsTest, ADirectoryThatCannotBeReadIsAnError) {
  TemporaryDirectory directory;
  const std::string closed = directory.File("closed");
  std::filesystem::create_directories(closed + "/db");
  std::vector<std::string> under;
  if (geteuid() == 0) {
    under = {"/usr/bin/setpriv", "--bounding-set=-dac_override,-dac_read_search"};
  }
  for (const auto& [shut, database] :
       {std::pair(closed, closed + "/db"), std::pair(closed, closed)}) {
    std::filesystem::permissions(shut, std::filesystem::perms::none);
    for (const std::vector<std::string>& command :
         {std::vector<std::string>{"serve", "--server.data_dir=" + database},
          {"verify", "--data-dir", database},
          {"import", "--snapshot", GROUNDSWELL_SAMPLE_SNAPSHOT, "--data-dir", database}}) {
      std::vector<std::string> arguments = under;
      arguments.emplace_back(GROUNDSWELL_SERVER_PROGRAM);
      arguments.insert(arguments.end(), command.begin(), command.end());
      const Finished failed = RunProgram(arguments);
      EXPECT_EQ(failed.exit_code, 1) << command[0] << " " << database << ": " << failed.output;
      EXPECT_THAT(failed.output, HasSubstr("Permission denied")) << command[0] << " " << database;
    }
    std::filesystem::permissions(shut, std::filesystem::perms::owner_all);
  }
}

// With a disk that keeps the start where it is until the signal has come.
TEST(DrainTest, AStartThatIsInterruptedEndsInOrder) {
  TemporaryDirectory directory;
  ImportSample(directory.File("db"));
  FaultyDisk disk(directory.File("db"), directory.File("control"));
  disk.Hang(FaultyCall::kSync);
  Finished finished;
  std::thread server([&] {
    finished = RunProgram(
        {"/bin/sh", "-c",
         "'" GROUNDSWELL_SERVER_PROGRAM "' serve '--server.data_dir=" + directory.File("db") +
             "' --server.grpc_address=127.0.0.1:0 --server.http_address=127.0.0.1:0 & "
             "until [ -e '" +
             directory.File("hung") + "' ]; do sleep .01; done; kill -TERM $!; : >'" +
             directory.File("told") + "'; wait $!"},
        disk.environment());
  });
  EXPECT_TRUE(Becomes([&] { return disk.hung(); }));
  std::ofstream(directory.File("hung")).flush();
  EXPECT_TRUE(Becomes([&] { return std::filesystem::exists(directory.File("told")); }));
  disk.Heal();
  server.join();
  EXPECT_EQ(finished.exit_code, 0) << finished.output;
  EXPECT_THAT(finished.output, HasSubstr("stopped before it served"));
}

// With a drain that a test would not wait for.
TEST(DrainTest, AnIdleStreamDoesNotHoldUpTheEnd) {
  TemporaryDirectory directory;
  ImportSample(directory.File("db"));
  ServerProcess server(directory.File("db"), {"--server.drain_s=3600"});
  Stubs stubs(server.grpc_address());
  const auto context = NewContext();
  const auto stream = stubs.interaction->Ingest(context.get());
  v1::IngestRequest request;
  *request.add_interactions() = NewInteraction("drain-1", "ann", kItem);
  ASSERT_TRUE(stream->Write(request));
  v1::IngestResponse response;
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(server.Stop(SIGTERM), 0);
  EXPECT_FALSE(stream->Read(&response));
  const grpc::Status status = stream->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE) << status.error_message();
  EXPECT_EQ(ReasonOf(RichStatus(status)), "STOPPING");
}

// Of gRPC's own services, which nobody else can end.
TEST(DrainTest, AHealthWatchAndReflectionDoNotHoldUpTheEnd) {
  TemporaryDirectory directory;
  ImportSample(directory.File("db"));
  ServerProcess server(directory.File("db"), {"--server.drain_s=3600"});
  Http2Peer peer(server.grpc_port());
  using namespace std::string_view_literals;
  peer.Say(BeginOfCall(1, "/grpc.health.v1.Health/Watch"));
  peer.SendData(1, "\0\0\0\0\0"sv);  // of everything
  peer.Say(BeginOfCall(3, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"));
  peer.SendData(3, "\0\0\0\0\x02\x3a\0"sv);  // list_services
  EXPECT_TRUE(Becomes([&] {
    peer.Listen(100);
    return (peer.answered(1) && peer.answered(3)) || !peer.is_open();
  }));
  EXPECT_TRUE(peer.is_open());
  EXPECT_EQ(server.Stop(SIGTERM), 0);
  EXPECT_TRUE(peer.peer().IsHungUpOn());
}

TEST(DrainTest, ARequestThatNeverComesDoesNotHoldUpTheEnd) {
  TemporaryDirectory directory;
  ImportSample(directory.File("db"));
  ServerProcess server(directory.File("db"), {"--server.drain_s=3600"});
  Http2Peer peer(server.grpc_port());
  using namespace std::string_view_literals;
  peer.Say(BeginOfCall(1, "/groundswell.v1.RecommendationService/Recommend"));
  peer.Say(BeginOfCall(3, "/groundswell.v1.RecommendationService/Recommend"));
  peer.SendData(3, "\0\0\0\x01\0begun"sv);
  EXPECT_TRUE(peer.WasHeard());
  EXPECT_EQ(server.Stop(SIGTERM), 0);
  EXPECT_TRUE(peer.peer().IsHungUpOn());
}

TEST(DrainTest, AnswersThatNobodyFetchesDoNotHoldUpTheEnd) {
  TemporaryDirectory directory;
  ImportSample(directory.File("db"));
  ServerProcess server(directory.File("db"), {"--server.drain_s=3600"});
  Stubs stubs(server.grpc_address());
  RecordAt(stubs, "unfetched", "ann", kItem, 1'322'000'000);
  Http2Peer peer(server.grpc_port());
  using namespace std::string_view_literals;
  peer.Say(Frame(FrameType::kSettings, 0, 0, kNoWindow));
  peer.Say(BeginOfCall(1, "/groundswell.v1.AdminService/GetServerStatus"));
  peer.SendData(1, "\0\0\0\0\0"sv);
  peer.Say(BeginOfCall(3, "/groundswell.v1.AdminService/ReadLog"));
  peer.SendData(3, "\0\0\0\0\0"sv);
  EXPECT_TRUE(Becomes([&] {
    return HttpGet(server.http_port(), "/metrics")
               .find("groundswell_requests_total{code=\"OK\",method=\"GetServerStatus\"} 1") !=
           std::string::npos;
  }));
  EXPECT_TRUE(peer.WasHeard());
  EXPECT_EQ(server.Stop(SIGTERM), 0);
  EXPECT_TRUE(peer.peer().IsHungUpOn());
  EXPECT_FALSE(peer.answered(1) || peer.answered(3));
}

#ifndef GROUNDSWELL_SANITIZED
TEST(DescriptorLimitTest, TooFewDescriptorsAreAnErrorThatSaysSo) {
  TemporaryDirectory directory;
  ImportSample(directory.File("db"));
  const Finished failed =
      RunProgram({"/usr/bin/prlimit", "--nofile=24:24", "--", GROUNDSWELL_SERVER_PROGRAM, "serve",
                  "--server.data_dir=" + directory.File("db")});
  EXPECT_EQ(failed.exit_code, 1) << failed.output;
  EXPECT_THAT(failed.output, HasSubstr("(ulimit -n) is 24"));
  const Finished client =
      RunProgram({"/usr/bin/prlimit", "--nofile=5:5", "--", GROUNDSWELL_CLI_PROGRAM, "--server",
                  "127.0.0.1:1", "status"});
  EXPECT_EQ(client.exit_code, 1) << client.output;
  EXPECT_THAT(client.output, HasSubstr("(ulimit -n) is 5"));
}
#endif

class SurroundingsTest : public SampleServerTest {};

TEST_F(SurroundingsTest, AHangupWithoutATerminalChangesNothing) {
  for (const int signal_number : {SIGHUP, SIGUSR1, SIGUSR2}) server_->Signal(signal_number);
  v1::ServerStatus status;
  std::this_thread::sleep_for(std::chrono::milliseconds(50));  // if it died, it has by now
  EXPECT_TRUE(stubs_->admin->GetServerStatus(NewContext().get(), {}, &status).ok());
}

TEST_F(SurroundingsTest, ACompressedRequestIsRefusedBeforeItIsInflated) {
  v1::RecommendRequest request;
  request.set_user_id(std::string(3 << 20, 'u'));  // within the limit, and 3 KB as gzip
  v1::RecommendResponse response;
  for (const auto algorithm : {GRPC_COMPRESS_GZIP, GRPC_COMPRESS_DEFLATE}) {
    const auto context = NewContext();
    context->set_compression_algorithm(algorithm);
    const grpc::Status refused = stubs_->recommend->Recommend(context.get(), request, &response);
    EXPECT_EQ(refused.error_code(), grpc::StatusCode::UNIMPLEMENTED) << refused.error_message();
    EXPECT_THAT(refused.error_message(), HasSubstr("is disabled"));
  }
}

}  // namespace
}  // namespace groundswell
