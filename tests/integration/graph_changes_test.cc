// Forgetting, removing, creating, activating, checkpoints, backups and the log, over real sockets.
#include <gmock/gmock.h>
#include <signal.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include "tests/integration/sample_server.h"
#include "tests/support/other_snapshot.h"

namespace groundswell {
namespace {

using testing::HasSubstr;

constexpr uint32_t kSampleEmbeddingDim = 64;
constexpr char kRequestId[] = "123e4567-e89b-42d3-a456-426614174000";
constexpr char kOtherRequestId[] = "123e4567-e89b-42d3-a456-426614174001";

class GraphChangesTest : public testing::Test {
 protected:
  GraphChangesTest() { ImportSample(directory_.File("db")); }

  void Start(std::vector<std::string> flags = {}) {
    server_.emplace(directory_.File("db"), std::move(flags));
    stubs_.emplace(server_->grpc_address());
  }
  void Stop() {
    stubs_.reset();
    EXPECT_EQ(server_->Stop(SIGTERM), 0);
    server_.reset();
  }

  // Records and waits until it is applied.
  void Record(const std::string& event_id, const std::string& user, const std::string& item,
              int64_t time_s = 1'322'000'000) {
    token_ = RecordAt(*stubs_, event_id, user, item, time_s);
    ASSERT_GE(Total(user), 0);
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

  v1::ServerStatus Status() {
    v1::ServerStatus status;
    EXPECT_TRUE(stubs_->admin->GetServerStatus(NewContext().get(), {}, &status).ok());
    return status;
  }
  std::string Digest() { return Status().graph().digest(); }
  // Of the weights that the blend has learned.
  std::string BlendDigest() { return Status().graph().blend_digest(); }

  void ExpectVerified() {
    v1::GraphVerification verified;
    const grpc::Status status = stubs_->admin->VerifyGraph(NewContext().get(), {}, &verified);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(verified.difference_count(), 0)
        << (verified.differences_size() > 0 ? verified.differences(0) : "");
    EXPECT_GT(verified.counter_count(), 0);
    EXPECT_EQ(verified.digest(), Digest());
  }

  v1::RemovalReceipt Forget(const std::string& user, const std::string& request_id) {
    v1::ForgetUserRequest request;
    request.set_user_id(user);
    request.set_request_id(request_id);
    v1::RemovalReceipt receipt;
    const grpc::Status status =
        stubs_->interaction->ForgetUser(NewContext().get(), request, &receipt);
    EXPECT_TRUE(status.ok()) << status.error_message();
    token_ = receipt.consistency_token();
    return receipt;
  }

  std::vector<v1::LogEntry> ReadLog(int64_t from = 0) {
    v1::ReadLogRequest request;
    request.set_from_offset(from);
    const auto context = NewContext();
    const auto stream = stubs_->admin->ReadLog(context.get(), request);
    std::vector<v1::LogEntry> entries;
    v1::ReadLogResponse response;
    while (stream->Read(&response)) {
      entries.insert(entries.end(), response.entries().begin(), response.entries().end());
    }
    EXPECT_TRUE(stream->Finish().ok());
    return entries;
  }

  TemporaryDirectory directory_;
  std::optional<ServerProcess> server_;
  std::optional<Stubs> stubs_;
  std::string token_;
};

TEST_F(GraphChangesTest, AForgottenUserLeavesTheGraphAndTheLogAndTheReceiptCanBeHadAgain) {
  Start();
  Record("a1", "ann", kItem);
  const std::string before = Digest();
  Record("b1", "bob", kItem);
  Record("b2", "bob", "22423");
  const v1::RemovalReceipt receipt = Forget("bob", kRequestId);
  EXPECT_EQ(receipt.user_count(), 1);
  EXPECT_EQ(receipt.edge_count(), 2);
  EXPECT_EQ(receipt.total_count(), 2);
  EXPECT_EQ(receipt.digest(), before);
  EXPECT_EQ(receipt.redacted_record_count(), 3) << "both events, and the request's own id";
  EXPECT_EQ(Digest(), before);
  EXPECT_EQ(Total("bob"), 0);
  Record("b3", "bob", kItem);
  EXPECT_EQ(Total("bob"), 0) << "happened before: late";
  EXPECT_EQ(Forget("bob", kRequestId).offset(), receipt.offset());
  for (const v1::LogEntry& entry : ReadLog()) EXPECT_NE(entry.interaction().user_id(), "bob");
  ExpectVerified();
  Stop();
  // The id is in no file of the database any more, but for the write-ahead log of the last event.
  Start();
  EXPECT_EQ(Digest(), before);
  ExpectVerified();
}

TEST_F(GraphChangesTest, ACustomerOfTheSnapshotCanBeForgotten) {
  Start();
  const int64_t total = Total(kCustomer);
  ASSERT_GT(total, 0);
  EXPECT_EQ(Forget(kCustomer, kRequestId).total_count(), total);
  v1::RecommendRequest request;
  request.set_user_id(kCustomer);
  v1::RecommendResponse response;
  ASSERT_TRUE(stubs_->recommend->Recommend(NewContext().get(), request, &response).ok());
  EXPECT_EQ(response.fallback_reason(), v1::FALLBACK_REASON_UNKNOWN_USER);
  ExpectVerified();
}

TEST_F(GraphChangesTest, ARemovedItemIsGoneEverywhereAndACreatedOneCounts) {
  Start();
  v1::UpsertItemRequest create;
  create.set_item_id("lamp");
  create.set_title("Blue lamp");
  create.set_category("Lamp");
  v1::UpsertItemResponse created;
  ASSERT_TRUE(stubs_->admin->UpsertItem(NewContext().get(), create, &created).ok());
  token_ = created.consistency_token();
  EXPECT_EQ(Total("nobody"), 0);  // waits
  Record("a1", "ann", "lamp");
  EXPECT_EQ(Total("ann"), 1);
  EXPECT_TRUE(created.created());

  for (const char* item : {kItem, "lamp"}) {
    v1::RemoveItemRequest remove;
    remove.set_item_id(item);
    remove.set_request_id(item == std::string("lamp") ? kRequestId : kOtherRequestId);
    v1::RemovalReceipt receipt;
    const grpc::Status status = stubs_->admin->RemoveItem(NewContext().get(), remove, &receipt);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_GT(receipt.total_count(), 0);
  }
  EXPECT_EQ(Total("ann"), 0);
  ExpectVerified();
  v1::RankRequest rank;
  rank.set_user_id(kCustomer);
  rank.add_item_ids(kItem);
  rank.add_item_ids("22423");
  v1::RankResponse ranked;
  ASSERT_TRUE(stubs_->recommend->Rank(NewContext().get(), rank, &ranked).ok());
  ASSERT_EQ(ranked.unknown_item_ids_size(), 1);
  EXPECT_EQ(ranked.unknown_item_ids(0), kItem);
  v1::RecommendRequest request;
  request.set_user_id(kCustomer);
  request.set_page_size(100);
  request.mutable_filter()->set_include_seen(true);
  v1::RecommendResponse response;
  ASSERT_TRUE(stubs_->recommend->Recommend(NewContext().get(), request, &response).ok());
  for (const auto& item : response.items()) EXPECT_NE(item.item_id(), kItem);
}

TEST_F(GraphChangesTest, APageOfAnEarlierListDoesNotShowWhatWasRemovedSince) {
  Start();
  v1::RecommendRequest request;
  request.set_user_id(kCustomer);
  request.set_page_size(10);
  v1::RecommendResponse whole;
  ASSERT_TRUE(stubs_->recommend->Recommend(NewContext().get(), request, &whole).ok());
  request.set_page_size(5);
  v1::RecommendResponse first;
  ASSERT_TRUE(stubs_->recommend->Recommend(NewContext().get(), request, &first).ok());

  v1::RemoveItemRequest remove;
  remove.set_item_id(whole.items(7).item_id());
  remove.set_request_id(kRequestId);
  v1::RemovalReceipt receipt;
  ASSERT_TRUE(stubs_->admin->RemoveItem(NewContext().get(), remove, &receipt).ok());
  request.set_page_token(first.next_page_token());
  v1::RecommendResponse second;
  ASSERT_TRUE(stubs_->recommend->Recommend(NewContext().get(), request, &second).ok());
  ASSERT_EQ(second.items_size(), 4);
  for (const v1::RecommendedItem& item : second.items()) {
    EXPECT_NE(item.item_id(), remove.item_id());
  }
}

TEST_F(GraphChangesTest, TheListOfAForgottenUserHasNoFurtherPages) {
  Start();
  v1::RecommendRequest request;
  request.set_user_id(kCustomer);
  v1::RecommendResponse first;
  ASSERT_TRUE(stubs_->recommend->Recommend(NewContext().get(), request, &first).ok());
  Forget(kCustomer, kRequestId);
  request.set_page_token(first.next_page_token());
  v1::RecommendResponse second;
  const grpc::Status status = stubs_->recommend->Recommend(NewContext().get(), request, &second);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(ReasonOf(RichStatus(status)), "PAGE_TOKEN_EXPIRED");
  EXPECT_EQ(second.items_size(), 0);
}

TEST_F(GraphChangesTest, AProducerGoesOnWhereTheServerWas) {
  Start();
  const auto send = [&](int64_t first, int count) {
    const auto context = NewContext();
    const auto stream = stubs_->interaction->Ingest(context.get());
    v1::IngestRequest request;
    request.set_producer_id("p");
    request.set_first_sequence(first);
    for (int i = 0; i < count; ++i) {
      *request.add_interactions() = NewInteraction("p-" + std::to_string(first + i), "ann", kItem);
    }
    v1::IngestResponse response;
    stream->Write(request);
    const bool answered = stream->Read(&response);
    stream->WritesDone();
    const grpc::Status status = stream->Finish();
    EXPECT_EQ(answered, status.ok()) << status.error_message();
    if (status.error_code() == grpc::StatusCode::FAILED_PRECONDITION) {
      EXPECT_EQ(DetailOf<google::rpc::ErrorInfo>(RichStatus(status))->reason(), "SEQUENCE_GAP");
      return int64_t{-1};
    }
    token_ = response.consistency_token();
    return response.last_sequence();
  };
  EXPECT_EQ(send(1, 0), 0);
  EXPECT_EQ(send(1, 3), 3);
  EXPECT_EQ(send(2, 3), 4) << "two of them again";
  EXPECT_EQ(send(6, 1), -1) << "5 is missing";
  server_->Stop(SIGKILL);
  server_.reset();
  Start();
  EXPECT_EQ(send(1, 0), 4);
  EXPECT_EQ(send(5, 1), 5);
  EXPECT_EQ(Total("ann"), 5);
}

TEST_F(GraphChangesTest, ARestartTakesTheCheckpointAndTheGraphIsTheSame) {
  Start();
  Record("a1", "ann", kItem);
  v1::Checkpoint checkpoint;
  ASSERT_TRUE(stubs_->admin->CreateCheckpoint(NewContext().get(), {}, &checkpoint).ok());
  EXPECT_EQ(checkpoint.offset(), Status().graph().applied_offset());
  Record("b1", "bob", kItem);
  const std::string digest = Digest();
  server_->Stop(SIGKILL);
  server_.reset();
  Start();
  EXPECT_EQ(Status().graph().checkpoint().offset(), checkpoint.offset());
  EXPECT_EQ(Digest(), digest);
  ExpectVerified();
}

TEST_F(GraphChangesTest, ABackupIsRestoredByOneCommand) {
  Start();
  Record("a1", "ann", kItem);
  const auto teach = [&](const std::string& name) {  // what a known user takes, often enough
    for (int i = 0; i < 6; ++i) Record(name + std::to_string(i), kCustomer, "22423");
  };
  teach("first");
  v1::CreateBackupRequest request;
  request.set_directory(directory_.File("backup"));
  v1::Backup backup;
  ASSERT_TRUE(stubs_->admin->CreateBackup(NewContext().get(), request, &backup).ok());
  const std::string digest = Digest();
  const std::string learned = BlendDigest();
  EXPECT_EQ(stubs_->admin->CreateBackup(NewContext().get(), request, &backup).error_code(),
            grpc::StatusCode::ALREADY_EXISTS);
  Record("a2", "ann", kItem);
  teach("second");
  EXPECT_NE(BlendDigest(), learned);
  for (const char* inside : {"db/backup", "db/..backup", "elsewhere/../db/backup/"}) {
    request.set_directory(directory_.File(inside));
    EXPECT_EQ(stubs_->admin->CreateBackup(NewContext().get(), request, &backup).error_code(),
              grpc::StatusCode::INVALID_ARGUMENT)
        << inside;
  }
  request.set_directory(directory_.File("nowhere/backup"));
  const grpc::Status nowhere = stubs_->admin->CreateBackup(NewContext().get(), request, &backup);
  EXPECT_EQ(nowhere.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(nowhere.error_message(), HasSubstr(directory_.File("nowhere") + "\" on the server"));
  // Where RocksDB prepares a backup, it empties what is there.
  std::filesystem::create_directory(directory_.File("next.tmp"));
  std::ofstream(directory_.File("next.tmp/letter")) << "x";
  for (const char* beside : {"next", "next/"}) {
    request.set_directory(directory_.File(beside));
    EXPECT_EQ(stubs_->admin->CreateBackup(NewContext().get(), request, &backup).error_code(),
              grpc::StatusCode::ALREADY_EXISTS);
    EXPECT_TRUE(std::filesystem::exists(directory_.File("next.tmp/letter")));
  }
  std::vector<std::string> restore = {
      GROUNDSWELL_SERVER_PROGRAM, "restore",    "--backup",
      directory_.File("backup"),  "--data-dir", directory_.File("db")};
  Stop();
  const Finished refused = RunProgram(restore);
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.output, HasSubstr("--replace"));
  restore.push_back("--replace");
  Start();
  EXPECT_EQ(RunProgram(restore).exit_code, 1) << "a server holds it";
  Stop();
  const Finished restored = RunProgram(restore);
  EXPECT_EQ(restored.exit_code, 0) << restored.output;
  Start();
  EXPECT_EQ(Digest(), digest);
  EXPECT_EQ(BlendDigest(), learned);
  token_.clear();  // of what the backup does not have
  EXPECT_EQ(Total("ann"), 1);
  ExpectVerified();
}

TEST_F(GraphChangesTest, WhatIsUpsertedCountsAtOnceAndOutlivesARestartAndAnotherSnapshot) {
  WriteOtherSnapshot(GROUNDSWELL_SAMPLE_SNAPSHOT, directory_.File("other"));
  Start();
  const auto upsert = [&](bool available) {
    v1::UpsertItemRequest request;
    request.set_item_id(kItem);
    request.set_title("Blue lamp");
    request.set_category("Lamp");
    if (!available) request.mutable_available_until()->set_seconds(1'000'000'000);
    v1::UpsertItemResponse upserted;
    const grpc::Status status = stubs_->admin->UpsertItem(NewContext().get(), request, &upserted);
    EXPECT_TRUE(status.ok()) << status.error_message();
    EXPECT_FALSE(upserted.created());
    token_ = upserted.consistency_token();
  };
  // Its title, when it is the one item of its new category; empty when it is not answered.
  const auto title = [&] {
    v1::RecommendRequest request;
    request.set_user_id(kCustomer);
    request.set_consistency_token(token_);
    request.mutable_filter()->set_include_seen(true);
    request.mutable_filter()->add_categories("Lamp");
    v1::RecommendResponse response;
    const grpc::Status status =
        stubs_->recommend->Recommend(NewContext().get(), request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.items_size() == 1 ? response.items(0).title() : "";
  };
  upsert(/*available=*/true);
  EXPECT_EQ(title(), "Blue lamp");
  upsert(/*available=*/false);
  EXPECT_EQ(title(), "");
  server_->Stop(SIGKILL);
  server_.reset();
  Start();
  EXPECT_EQ(title(), "");
  v1::ActivateSnapshotRequest request;
  request.set_directory(directory_.File("other"));
  v1::SnapshotInfo info;
  ASSERT_TRUE(stubs_->admin->ActivateSnapshot(NewContext().get(), request, &info).ok());
  EXPECT_EQ(title(), "");
  upsert(/*available=*/true);
  EXPECT_EQ(title(), "Blue lamp");

  v1::UpsertItemRequest wrong;
  wrong.set_item_id(kItem);
  wrong.mutable_available_from()->set_seconds(20);
  wrong.mutable_available_until()->set_seconds(20);
  v1::UpsertItemResponse upserted;
  const grpc::Status status = stubs_->admin->UpsertItem(NewContext().get(), wrong, &upserted);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), testing::HasSubstr("available_until"));
}

TEST_F(GraphChangesTest, AVectorThatIsGivenMovesTheItemAndStays) {
  Start();
  const auto similar = [&] {
    v1::SimilarItemsRequest request;
    request.set_item_id(kItem);
    v1::SimilarItemsResponse response;
    const grpc::Status status =
        stubs_->recommend->SimilarItems(NewContext().get(), request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    std::vector<std::string> items;
    for (const auto& item : response.items()) items.push_back(item.item_id());
    return items;
  };
  const std::vector<std::string> trained = similar();
  v1::UpsertItemRequest request;
  request.set_item_id(kItem);
  for (uint32_t i = 0; i < kSampleEmbeddingDim; ++i) request.add_embedding(i == 7 ? 1.0f : 0.0f);
  v1::UpsertItemResponse upserted;
  ASSERT_TRUE(stubs_->admin->UpsertItem(NewContext().get(), request, &upserted).ok());
  token_ = upserted.consistency_token();
  EXPECT_EQ(Total("nobody"), 0);  // waits
  const std::vector<std::string> given = similar();
  EXPECT_NE(given, trained);
  server_->Stop(SIGKILL);
  server_.reset();
  Start();
  EXPECT_EQ(similar(), given);
}

// Requests go on while the snapshot changes beneath them, and each sees one.
TEST_F(GraphChangesTest, AnotherSnapshotIsActivatedUnderLoad) {
  WriteOtherSnapshot(GROUNDSWELL_SAMPLE_SNAPSHOT, directory_.File("other"));
  Start();
  Record("a1", "ann", kItem);
  v1::RecommendRequest first;
  first.set_user_id(kCustomer);
  first.set_page_size(10);
  v1::RecommendResponse page;
  ASSERT_TRUE(stubs_->recommend->Recommend(NewContext().get(), first, &page).ok());

  std::atomic<bool> done{false};
  std::atomic<int> answered{0};
  std::thread load([&] {
    const Stubs own(server_->grpc_address());
    for (int i = 0; !done; ++i) {
      v1::RecommendRequest request;
      request.set_user_id(kCustomer);
      v1::RecommendResponse response;
      const grpc::Status status = own.recommend->Recommend(NewContext().get(), request, &response);
      EXPECT_TRUE(status.ok()) << status.error_message();
      EXPECT_GT(response.items_size(), 0);
      v1::RecordInteractionRequest record;
      *record.mutable_interaction() =
          NewInteraction("load-" + std::to_string(i), "ann", i % 2 == 0 ? kItem : "22423");
      v1::RecordInteractionResponse recorded;
      EXPECT_TRUE(own.interaction->RecordInteraction(NewContext().get(), record, &recorded).ok());
      token_ = recorded.consistency_token();
      ++answered;
    }
  });
  v1::ActivateSnapshotRequest request;
  request.set_directory(directory_.File("other"));
  v1::SnapshotInfo info;
  const grpc::Status status = stubs_->admin->ActivateSnapshot(NewContext().get(), request, &info);
  done = true;
  load.join();
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(info.version(), "online-retail@other");
  EXPECT_GT(answered, 0);
  EXPECT_EQ(Status().snapshot().version(), "online-retail@other");
  EXPECT_EQ(Total("ann"), 1 + answered);  // waits until all of it is applied
  ExpectVerified();

  // A list that was begun with the old one goes on with its own items.
  first.set_page_token(page.next_page_token());
  v1::RecommendResponse second;
  ASSERT_TRUE(stubs_->recommend->Recommend(NewContext().get(), first, &second).ok());
  EXPECT_EQ(second.snapshot_version(), page.snapshot_version());
  EXPECT_GT(second.items_size(), 0);

  // Folding the whole log over the new snapshot from the start gives the same graph.
  const std::string digest = Digest();
  const std::string learned = BlendDigest();
  Stop();
  const Finished imported =
      RunProgram({GROUNDSWELL_SERVER_PROGRAM, "import", "--snapshot", directory_.File("other"),
                  "--data-dir", directory_.File("db"), "--window-items", "1000000"});
  ASSERT_EQ(imported.exit_code, 0) << imported.output;
  Start();
  EXPECT_EQ(Digest(), digest);
  EXPECT_EQ(BlendDigest(), learned);
  ExpectVerified();
}

TEST_F(GraphChangesTest, ASnapshotThatIsNotOneChangesNothing) {
  Start();
  v1::ActivateSnapshotRequest request;
  v1::SnapshotInfo info;
  request.set_directory("relative");
  EXPECT_EQ(stubs_->admin->ActivateSnapshot(NewContext().get(), request, &info).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  request.set_directory(directory_.File("nowhere"));
  EXPECT_EQ(stubs_->admin->ActivateSnapshot(NewContext().get(), request, &info).error_code(),
            grpc::StatusCode::NOT_FOUND);
  request.set_directory(GROUNDSWELL_SAMPLE_SNAPSHOT);
  EXPECT_EQ(stubs_->admin->ActivateSnapshot(NewContext().get(), request, &info).error_code(),
            grpc::StatusCode::ALREADY_EXISTS);
  ExpectVerified();
}

TEST_F(GraphChangesTest, TheLogIsExportedAndIngestedByTheCommandLine) {
  Start();
  Record("a1", "ann", kItem);
  Record("b1", "bob", "22423", 1'322'000'005);
  const std::string digest = Digest();
  const auto run = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(),
                     {GROUNDSWELL_CLI_PROGRAM, "--server", server_->grpc_address()});
    return RunProgram(arguments);
  };
  const Finished log = run({"log"});
  ASSERT_EQ(log.exit_code, 0) << log.output;
  std::istringstream lines(log.output);
  std::ofstream events(directory_.File("events.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    if (line.front() == '{') events << line << "\n";
  }
  events.close();
  Stop();
  std::filesystem::remove_all(directory_.File("db"));
  ImportSample(directory_.File("db"));
  Start();
  const Finished ingested = run({"ingest", directory_.File("events.jsonl")});
  EXPECT_EQ(ingested.exit_code, 0) << ingested.output;
  token_ = "";
  EXPECT_TRUE(Becomes([&] { return Digest() == digest; })) << Digest();
}

TEST_F(GraphChangesTest, TheLogIsCutBehindTheCheckpointButNotTheWindow) {
  Start({"--log.retention_mb=1", "--log.event_ids_max=1000", "--log.group_max=1000",
         "--checkpoint.interval_s=0"});
  const auto context = NewContext();
  const auto stream = stubs_->interaction->Ingest(context.get());
  constexpr int kEvents = 30'000;
  int64_t last = 0;
  for (int sent = 0; sent < kEvents;) {
    v1::IngestRequest request;
    for (int i = 0; i < 1'000; ++i, ++sent) {
      *request.add_interactions() =
          NewInteraction("many-" + std::to_string(sent), "u" + std::to_string(sent % 50), kItem);
    }
    v1::IngestResponse response;
    ASSERT_TRUE(stream->Write(request));
    ASSERT_TRUE(stream->Read(&response));
    last = response.last_offset();
  }
  stream->WritesDone();
  ASSERT_TRUE(stream->Finish().ok());
  const int64_t begin = Status().graph().log_begin_offset();
  v1::Checkpoint checkpoint;
  ASSERT_TRUE(stubs_->admin->CreateCheckpoint(NewContext().get(), {}, &checkpoint).ok());
  const int64_t cut = Status().graph().log_begin_offset();
  EXPECT_GT(cut, begin);
  EXPECT_LE(cut, checkpoint.offset() + 1);
  EXPECT_LE(cut, last - 1'000 + 1);
  EXPECT_EQ(ReadLog().front().offset(), cut);
  v1::ReadLogRequest request;
  request.set_from_offset(begin);
  const auto reading = NewContext();
  const auto refused = stubs_->admin->ReadLog(reading.get(), request);
  v1::ReadLogResponse response;
  EXPECT_FALSE(refused->Read(&response));
  EXPECT_EQ(refused->Finish().error_code(), grpc::StatusCode::OUT_OF_RANGE);
  Stop();
  Start();
  EXPECT_EQ(Status().graph().log_begin_offset(), cut);
  ExpectVerified();
}

TEST_F(GraphChangesTest, AWindowIsAPropertyOfTheDatabase) {
  const Finished imported = RunProgram(
      {GROUNDSWELL_SERVER_PROGRAM, "import", "--snapshot", GROUNDSWELL_SAMPLE_SNAPSHOT,
       "--data-dir", directory_.File("db"), "--window-age-s", "2592000", "--window-items", "50"});
  ASSERT_EQ(imported.exit_code, 0) << imported.output;
  Start();
  const v1::ServerStatus status = Status();
  EXPECT_EQ(status.graph().window_age().seconds(), 2'592'000);
  EXPECT_EQ(status.graph().window_items(), 50);
  const int64_t edges = status.graph().edges();
  // The newest event of the sample is of 2011-11-11; a month later nearly all of it has left.
  Record("a1", "ann", kItem, 1'323'600'000);
  EXPECT_TRUE(Becomes([&] { return Status().graph().edges() < edges / 10; }));
  ExpectVerified();
  Stop();
  Start();
  ExpectVerified();
}

}  // namespace
}  // namespace groundswell
