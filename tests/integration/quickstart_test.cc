// quickstart: from a shop's own CSV to recommendations, with the real programs.
#include <gmock/gmock.h>
#include <signal.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

#include "tests/integration/faulty_disk.h"
#include "tests/integration/sample_server.h"
#include "tests/integration/server_process.h"

namespace groundswell {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

class QuickstartTest : public testing::Test {
 protected:
  // Columns, times and an order as shops have them.
  void WriteShop() {
    std::ofstream log(shop_);
    log << "customer_id,sku,event,ts,price\r\n";
    for (int customer = 0; customer < 60; ++customer) {
      for (int at = 0; at < 5; ++at) {
        const int minute = (customer * 7 + at * 13) % 60;
        log << "c" << customer << ",\"sku-" << (customer + at) % 12 << "\","
            << (at == 4 ? "purchase" : "Add to cart") << ",2019-10-0" << 1 + (customer + at) % 9
            << "T12:" << (minute < 10 ? "0" : "") << minute << ":00Z,1.99\r\n";
      }
    }
    log << ",sku-1,view,2019-10-01T12:00:00Z,1\r\nc1,sku-1,view,soon,1\r\n";
  }

  Finished Quickstart(std::vector<std::string> more = {}) {
    std::vector<std::string> arguments = {GROUNDSWELL_CLI_PROGRAM,
                                          "quickstart",
                                          shop_,
                                          "--data",
                                          data_,
                                          "--grpc-address",
                                          "127.0.0.1:0",
                                          "--http-address",
                                          "127.0.0.1:0",
                                          "--connect-address",
                                          "127.0.0.1:0"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return RunProgram(arguments);
  }

  TemporaryDirectory directory_;
  const std::string shop_ = directory_.File("shop.csv");
  const std::string data_ = directory_.File("data");
};

TEST_F(QuickstartTest, AShopsOwnCsvGivesRecommendationsAndADatabaseToGoOnWith) {
  WriteShop();
  const Finished quickstart = Quickstart({"--stop", "--skip-bad-records"});
  EXPECT_EQ(quickstart.exit_code, 0) << quickstart.output;
  for (const char* part :
       {"customer_id", "60 users", "sku", "12 items", "ISO 8601", "add_to_cart 240, purchase 60",
        "passed over: price", "300 interactions, to be sorted by time; 2 of 302 records left out",
        "300 interactions are on disk, 0 were there already, 0 refused", "Recommendations for c",
        "sku-", "curl -s http://127.0.0.1:", "/console", "groundswell-server serve --config",
        "the server has stopped"}) {
    EXPECT_THAT(quickstart.output, HasSubstr(part));
  }
  EXPECT_THAT(quickstart.output, Not(HasSubstr("refused:")));

  const Finished verified = RunProgram({GROUNDSWELL_SERVER_PROGRAM, "verify", "--data-dir", data_});
  EXPECT_EQ(verified.exit_code, 0) << verified.output;
  EXPECT_THAT(verified.output, HasSubstr("300 interactions"));
  const Finished again = Quickstart({"--stop"});
  EXPECT_EQ(again.exit_code, 1);
  EXPECT_THAT(again.output, HasSubstr("holds a database already"));
}

// The list is shown all the same.
TEST_F(QuickstartTest, WhatIsLeftOutUnaskedIsNoSuccess) {
  WriteShop();
  const Finished partly = Quickstart({"--stop"});
  EXPECT_EQ(partly.exit_code, 1) << partly.output;
  EXPECT_THAT(partly.output, HasSubstr("Recommendations for c"));
  EXPECT_THAT(partly.output, HasSubstr("2 of 302 records are not in it"));
  EXPECT_THAT(partly.output, HasSubstr("--skip-bad-records"));
}

TEST_F(QuickstartTest, AFileBesideTheDirectoryIsNotReplaced) {
  WriteShop();
  std::ofstream(data_ + ".toml") << "mine";
  const Finished refused = Quickstart({"--stop"});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.output, HasSubstr("data.toml\" is there already"));
  std::string kept;
  std::getline(std::ifstream(data_ + ".toml") >> std::ws, kept);
  EXPECT_EQ(kept, "mine");
}

TEST_F(QuickstartTest, ALogThatCannotBeReadSaysWhyAndNothingIsMade) {
  std::ofstream(shop_) << "when,who,thing\n1,u,i\n";
  const Finished unknown = Quickstart({"--stop"});
  EXPECT_EQ(unknown.exit_code, 1);
  EXPECT_THAT(unknown.output, HasSubstr("the columns are \"when\", \"who\", \"thing\""));
  EXPECT_FALSE(fs::exists(data_));
  const Finished named = Quickstart(
      {"--stop", "--user", "who", "--item", "thing", "--time", "when", "--type", "view"});
  EXPECT_EQ(named.exit_code, 0) << named.output;
  EXPECT_THAT(named.output, HasSubstr("view 1"));
}

TEST_F(QuickstartTest, AServerThatDoesNotStartSaysWhy) {
  WriteShop();
  const Finished refused = Quickstart({"--stop", "--server-program", "/bin/false"});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.output, HasSubstr("the server did not start"));
  EXPECT_FALSE(fs::exists(data_ + ".toml")) << "another try can be made";
}

TEST_F(QuickstartTest, ADiskWithoutRoomSaysSoAndLeavesNothing) {
  WriteShop();
  FaultyDisk disk(data_, directory_.File("control"));
  disk.Fail(FaultyCall::kWrite, ENOSPC);
  const Finished refused =
      RunProgram({GROUNDSWELL_CLI_PROGRAM, "quickstart", shop_, "--data", data_, "--stop"},
                 disk.environment());
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.output, HasSubstr("data.toml\": No space left on device"));
  EXPECT_FALSE(fs::exists(data_ + ".toml")) << "another try can be made";
}

// Between the check and the failure somebody else has begun to serve the directory.
TEST_F(QuickstartTest, WhatAnotherServerHasMadeOfTheDirectoryIsNotDeleted) {
  WriteShop();
  const std::string program = directory_.File("server");
  const std::string process = directory_.File("pid");
  std::ofstream(program) << "#!/bin/sh\n"
                         << "setsid " << GROUNDSWELL_SERVER_PROGRAM
                         << " serve --server.data_dir=" << data_
                         << " --server.grpc_address=127.0.0.1:0"
                         << " --server.http_address=127.0.0.1:0 >" << data_
                         << ".out 2>&1 </dev/null &\n"
                         << "echo $! >" << process << "\n"
                         << "until grep -q '^ready ' " << data_ << ".out; do sleep 0.1; done\n"
                         << "exit 1\n";
  fs::permissions(program, fs::perms::owner_all);
  const Finished refused =
      Quickstart({"--stop", "--skip-bad-records", "--server-program", program});
  pid_t other = 0;
  std::ifstream(process) >> other;
  ASSERT_GT(other, 0) << refused.output;
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_TRUE(fs::exists(data_ + "/CURRENT")) << "it is the other server's";
  EXPECT_EQ(::kill(other, SIGTERM), 0) << "which goes on";
  EXPECT_TRUE(Becomes([&] {  // once it has ended
    return RunProgram({GROUNDSWELL_SERVER_PROGRAM, "verify", "--data-dir", data_}).exit_code == 0;
  }));
}

TEST_F(QuickstartTest, AnAddressInUseNamesTheFlagThatMendsIt) {
  WriteShop();
  ASSERT_EQ(Quickstart({"--stop", "--skip-bad-records"}).exit_code, 0);
  const ServerProcess other(data_);
  const Finished refused = RunProgram(
      {GROUNDSWELL_CLI_PROGRAM, "quickstart", shop_, "--skip-bad-records", "--data",
       directory_.File("another"), "--stop", "--grpc-address", "127.0.0.1:0", "--connect-address",
       "127.0.0.1:0", "--http-address", "127.0.0.1:" + std::to_string(other.http_port())});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.output, HasSubstr("the server did not start: server.http_address"));
  EXPECT_THAT(refused.output, HasSubstr("--http-address names another"));
  EXPECT_THAT(refused.output, Not(HasSubstr("batch_max"))) << "its configuration";
  EXPECT_TRUE(fs::is_empty(directory_.File("another"))) << "another try can be made";
}

TEST_F(QuickstartTest, AnInterruptEndsTheServerInOrder) {
  WriteShop();
  // As at a terminal, once it says how to stop it.
  const Finished interrupted = RunProgram(
      {"/bin/sh", "-c",
       "\"$0\" quickstart \"$1\" --skip-bad-records --data \"$2\" --grpc-address 127.0.0.1:0 "
       "--http-address 127.0.0.1:0 --connect-address 127.0.0.1:0 >\"$2.out\" & P=$!; until grep -q "
       "'Ctrl-C' "
       "\"$2.out\" || ! kill -0 $P; do "
       "sleep 0.1; done; kill -INT $P; wait $P; S=$?; cat \"$2.out\"; exit $S",
       GROUNDSWELL_CLI_PROGRAM, shop_, data_});
  EXPECT_EQ(interrupted.exit_code, 0) << interrupted.output;
  EXPECT_THAT(interrupted.output, HasSubstr("the server has stopped"));
  const Finished verified = RunProgram({GROUNDSWELL_SERVER_PROGRAM, "verify", "--data-dir", data_});
  EXPECT_EQ(verified.exit_code, 0) << "nobody holds it any more: " << verified.output;
}

}  // namespace
}  // namespace groundswell
