// A server that begins in an empty directory: the real programs, from nothing to lists, and on to a
// trained snapshot.
#include <gmock/gmock.h>
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>

#include "tests/integration/sample_server.h"

namespace groundswell {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;

constexpr int kSampleGraphOffset = 338'290;  // of its manifest
constexpr char kShop[] =
    "timestamp,user,item\n"
    "1322000000,ann,mug\n1322000060,ann,bag\n1322000120,bob,mug\n1322000180,bob,bag\n"
    "1322000240,eve,mug\n1322000300,eve,hat\n1322000360,zoe,mug\n";

class EmptyServerProcessTest : public testing::Test {
 protected:
  EmptyServerProcessTest() { fs::create_directory(data_dir_); }

  void Start(std::vector<std::string> flags = {}, const std::string& data_dir = "") {
    server_.emplace(data_dir.empty() ? data_dir_ : data_dir, std::move(flags));
    stubs_.emplace(server_->grpc_address());
  }
  void Stop() { EXPECT_EQ(server_->Stop(SIGTERM), 0); }

  Finished Cli(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(),
                     {GROUNDSWELL_CLI_PROGRAM, "--server", server_->grpc_address()});
    return RunProgram(arguments);
  }
  void IngestShop() {
    std::ofstream(directory_.File("shop.csv")) << kShop;
    const Finished ingest = Cli({"ingest", directory_.File("shop.csv")});
    ASSERT_EQ(ingest.exit_code, 0) << ingest.output;
    ASSERT_THAT(ingest.output, HasSubstr("7 accepted"));
  }
  v1::GraphVerification Verify() {
    v1::GraphVerification verification;
    const grpc::Status status = stubs_->admin->VerifyGraph(NewContext().get(), {}, &verification);
    EXPECT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(verification.difference_count(), 0);
    return verification;
  }
  std::vector<std::string> ListFor(const std::string& user) {
    v1::RecommendRequest request;
    request.set_user_id(user);
    v1::RecommendResponse response;
    const grpc::Status status =
        stubs_->recommend->Recommend(NewContext().get(), request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    std::vector<std::string> items;
    for (const auto& item : response.items()) items.push_back(item.item_id());
    return items;
  }
  grpc::Status TryRecord(const std::string& event_id, const std::string& item) {
    v1::RecordInteractionRequest request;
    *request.mutable_interaction() = NewInteraction(event_id, "ann", item);
    v1::RecordInteractionResponse response;
    return stubs_->interaction->RecordInteraction(NewContext().get(), request, &response);
  }
  void AwaitApplied() {
    EXPECT_TRUE(Becomes([&] {
      v1::ServerStatus status;
      return stubs_->admin->GetServerStatus(NewContext().get(), {}, &status).ok() &&
             status.graph().log_end_offset() == status.graph().applied_offset();
    }));
  }

  TemporaryDirectory directory_;
  const std::string data_dir_ = directory_.File("db");
  std::optional<ServerProcess> server_;
  std::optional<Stubs> stubs_;
};

TEST_F(EmptyServerProcessTest, ALogGivesListsAndOutlivesRestartAndBackup) {
  Start();
  IngestShop();
  AwaitApplied();
  EXPECT_THAT(ListFor("zoe"), testing::UnorderedElementsAre("bag", "hat"));
  const std::string digest = Verify().digest();
  v1::CreateBackupRequest backup;
  backup.set_directory(directory_.File("backup"));
  v1::Backup made;
  ASSERT_TRUE(stubs_->admin->CreateBackup(NewContext().get(), backup, &made).ok());
  Stop();

  Start();
  EXPECT_EQ(Verify().digest(), digest);
  EXPECT_THAT(ListFor("zoe"), testing::UnorderedElementsAre("bag", "hat"));
  Stop();

  const Finished verified =
      RunProgram({GROUNDSWELL_SERVER_PROGRAM, "verify", "--data-dir", data_dir_});
  EXPECT_EQ(verified.exit_code, 0) << verified.output;
  EXPECT_THAT(verified.output, HasSubstr(digest));
  const Finished restored =
      RunProgram({GROUNDSWELL_SERVER_PROGRAM, "restore", "--backup", directory_.File("backup"),
                  "--data-dir", directory_.File("restored")});
  ASSERT_EQ(restored.exit_code, 0) << restored.output;
  Start({}, directory_.File("restored"));
  EXPECT_EQ(Verify().digest(), digest);
}

TEST_F(EmptyServerProcessTest, WhatWasForgottenAndRemovedStaysOutOfIt) {
  Start();
  IngestShop();
  v1::ForgetUserRequest forget;
  forget.set_request_id("11111111-2222-3333-4444-555555555555");
  forget.set_user_id("ann");  // made mug and bag known
  v1::RemovalReceipt receipt;
  ASSERT_TRUE(stubs_->interaction->ForgetUser(NewContext().get(), forget, &receipt).ok());
  v1::RemoveItemRequest remove;
  remove.set_request_id("11111111-2222-3333-4444-666666666666");
  remove.set_item_id("hat");
  ASSERT_TRUE(stubs_->admin->RemoveItem(NewContext().get(), remove, &receipt).ok());
  EXPECT_THAT(ListFor("zoe"), testing::ElementsAre("bag"));
  const std::string digest = Verify().digest();
  Stop();
  Start();
  EXPECT_EQ(Verify().digest(), digest);
  EXPECT_THAT(ListFor("zoe"), testing::ElementsAre("bag"));
}

// The log that the sample was trained on, and then the sample: nothing counts twice, and the graph
// is that of an import.
TEST_F(EmptyServerProcessTest, TheSampleOverItsOwnLogIsTheSampleImported) {
  Start({"--blend.learning=false"});
  const Finished ingest =
      Cli({"ingest", GROUNDSWELL_SAMPLE_LOG, "--limit", std::to_string(kSampleGraphOffset)});
  ASSERT_EQ(ingest.exit_code, 0) << ingest.output;
  EXPECT_THAT(ingest.output, HasSubstr("338290 accepted, 0 duplicates, 0 refused"));
  AwaitApplied();
  v1::ActivateSnapshotRequest activate;
  activate.set_directory(GROUNDSWELL_SAMPLE_SNAPSHOT);
  v1::SnapshotInfo info;
  const grpc::Status activated =
      stubs_->admin->ActivateSnapshot(NewContext().get(), activate, &info);
  ASSERT_TRUE(activated.ok()) << activated.error_message();
  const std::string digest = Verify().digest();
  EXPECT_EQ(TryRecord("e1", "no-such-item").error_code(), grpc::StatusCode::NOT_FOUND);
  Stop();

  ImportSample(directory_.File("imported"));
  Start({}, directory_.File("imported"));
  EXPECT_EQ(Verify().digest(), digest);
}

TEST_F(EmptyServerProcessTest, TheCatalogueHasRoomForAsManyAsItIsTold) {
  Start({"--graph.new_items_max=2"});
  EXPECT_TRUE(TryRecord("e1", "mug").ok());
  EXPECT_TRUE(TryRecord("e2", "bag").ok());
  EXPECT_TRUE(TryRecord("e3", "mug").ok());
  const grpc::Status full = TryRecord("e4", "hat");
  EXPECT_EQ(full.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(ReasonOf(RichStatus(full)), "CATALOGUE_FULL");
  EXPECT_THAT(full.error_message(), HasSubstr("graph.new_items_max"));
  Stop();
  Start({"--graph.new_items_max=2"});
  EXPECT_TRUE(TryRecord("e5", "hat").ok()) << "a restart makes room again";
}

TEST_F(EmptyServerProcessTest, NeverCreatesNothingAndATrainedSnapshotsCatalogueIsStrict) {
  Start({"--ingest.create_items=never"});
  const grpc::Status refused = TryRecord("e1", "mug");
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_THAT(refused.error_message(), HasSubstr("ingest.create_items"));
  Stop();

  ImportSample(directory_.File("sample"));
  Start({}, directory_.File("sample"));
  EXPECT_EQ(TryRecord("e1", "mug").error_code(), grpc::StatusCode::NOT_FOUND);
  Stop();
  Start({"--ingest.create_items=always"}, directory_.File("sample"));
  EXPECT_TRUE(TryRecord("e1", "mug").ok());
  Verify();
}

// What a resume file tells of was sent to a server that held it.
TEST_F(EmptyServerProcessTest, AResumeFileIsNotBelievedOnAServerWhoseLogEndsBefore) {
  std::ofstream(directory_.File("shop.csv")) << kShop;
  const std::vector<std::string> ingest = {"ingest", directory_.File("shop.csv"), "--resume-file",
                                           directory_.File("at")};
  Start();
  EXPECT_THAT(Cli(ingest).output, HasSubstr("7 accepted"));
  const Finished same = Cli(ingest);
  EXPECT_EQ(same.exit_code, 0);
  EXPECT_THAT(same.output, HasSubstr("0 accepted, 0 duplicates"));
  EXPECT_THAT(same.output, HasSubstr("7 records passed over: --resume-file tells of them"));
  Stop();

  fs::create_directory(directory_.File("another"));
  Start({}, directory_.File("another"));
  const Finished another = Cli(ingest);
  EXPECT_EQ(another.exit_code, 0) << another.output;
  EXPECT_THAT(another.output, HasSubstr("the server's log ends at 0, before "));
  EXPECT_THAT(another.output, HasSubstr("7 accepted, 0 duplicates"));
  EXPECT_THAT(Cli(ingest).output, HasSubstr("7 records passed over")) << "of this one from now on";
}

TEST_F(EmptyServerProcessTest, WhatFromLeftOutIsSentWithoutIt) {
  std::ofstream(directory_.File("shop.csv")) << kShop;
  const std::vector<std::string> ingest = {"ingest", directory_.File("shop.csv"), "--resume-file",
                                           directory_.File("at")};
  std::vector<std::string> newer = ingest;
  newer.insert(newer.end(), {"--from", "1322000240"});
  Start();
  EXPECT_THAT(Cli(newer).output, HasSubstr("3 accepted"));
  EXPECT_THAT(Cli(newer).output, HasSubstr("7 records passed over: --resume-file"));
  const Finished all = Cli(ingest);
  EXPECT_EQ(all.exit_code, 0) << all.output;
  EXPECT_THAT(all.output, HasSubstr("is of another file: beginning at the first record"));
  EXPECT_THAT(all.output, HasSubstr("4 accepted, 3 duplicates"));
}

// Nothing of a file whose numbers were used up by others is passed over, and none of it is sent.
TEST_F(EmptyServerProcessTest, AProducersNumbersArePassedOverOnlyWhereTheyWereTheSame) {
  const std::string header = "timestamp,user,item\n";
  const std::string a = "1322000000,ann,mug\n";
  const std::string b = "1322000060,ann,bag\n";
  const std::string late = "1322000030,ann,hat\n";
  const std::string file = directory_.File("orders.csv");
  const auto run = [&](const std::string& rows, const std::string& batch_size) {
    std::ofstream(file) << header << rows;
    return Cli({"ingest", file, "--producer-id", "shop", "--skip-bad-records", "--batch-size",
                batch_size});
  };
  Start();
  EXPECT_THAT(run(a + "soon,ann,cap\n" + b, "1").output, HasSubstr("2 accepted"));
  const Finished same = run(a + b, "200");
  EXPECT_EQ(same.exit_code, 0) << same.output;
  EXPECT_THAT(same.output, HasSubstr("2 records passed over: the server knows their numbers"));
  const std::string others[] = {a + "1322000060,eve,bag\n",          // the next day's
                                a + late + b,                        // sorted in
                                a + "1322000040,ann,cap\n" + b,      // mended
                                a + "1322000060,ann,hat\n" + late};  // corrected
  for (const std::string& rows : others) {
    const Finished refused = run(rows, "3");
    EXPECT_EQ(refused.exit_code, 1) << rows << refused.output;
    EXPECT_THAT(refused.output, HasSubstr("the first 2 interactions are others than those that "
                                          "--producer-id \"shop\" sent; give this source another"));
    EXPECT_THAT(refused.output, HasSubstr("0 accepted, 0 duplicates, 0 refused"));
  }
  Stop();
  Start();
  EXPECT_EQ(run(others[0], "3").exit_code, 1) << "it is kept";
  EXPECT_THAT(run(a + b + "1322000090,bob,mug\n", "1").output, HasSubstr("1 accepted"));
}

// The server knows that it refused one, whoever asks, and when; its numbers are used up.
TEST_F(EmptyServerProcessTest, ARunOfAProducerThatPassesOverWhatWasRefusedEndsWithAnError) {
  Start();
  IngestShop();
  Stop();
  Start({"--ingest.create_items=never"});
  std::ofstream(directory_.File("more.csv"))
      << "timestamp,user,item\n1322001000,ann,mug\n1322001060,ann,vase\n1322001120,ann,bag\n";
  const std::vector<std::string> ingest = {"--json", "ingest", directory_.File("more.csv"),
                                           "--producer-id", "shop"};
  std::vector<std::string> skipping = ingest;
  skipping.emplace_back("--skip-refused");
  const auto run = [&](const std::vector<std::string>& arguments, int exit_code) {
    const Finished finished = Cli(arguments);
    EXPECT_EQ(finished.exit_code, exit_code) << finished.output;
    return json::parse(finished.output.substr(finished.output.find('{')), nullptr, false);
  };
  EXPECT_EQ(run(ingest, 1)["refused"], 1);
  EXPECT_EQ(server_->Stop(SIGKILL), -1);
  Start({"--ingest.create_items=never"});
  const json again = run(ingest, 1);
  EXPECT_EQ(again["refused"], 0);
  EXPECT_EQ(again["known_records"], 3);
  EXPECT_EQ(again["refused_before_records"], 1);
  EXPECT_EQ(run(skipping, 0)["refused_before_records"], 1) << "counted all the same";
  std::ofstream(directory_.File("more.csv"), std::ios::app) << "1322001180,ann,jug\n";
  EXPECT_EQ(run(skipping, 0)["refused"], 1) << "in this run";
  EXPECT_EQ(run(ingest, 1)["refused_before_records"], 2);
}

}  // namespace
}  // namespace groundswell
