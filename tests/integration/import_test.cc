// Imports by the real command: whole or not at all.
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "graph/log/entry_hash.h"
#include "graph/store/store.h"
#include "tests/integration/sample_server.h"
#include "tests/integration/server_process.h"
#include "tests/support/graph_fixture.h"
#include "tests/support/temporary_directory.h"

namespace groundswell {
namespace {

namespace fs = std::filesystem;

GraphState StateOf(GraphStore& store) { return *Generation::OpenCurrent(store)->ReadState(); }

class ImportTest : public testing::Test {
 protected:
  ImportTest() { fs::copy(GROUNDSWELL_SAMPLE_SNAPSHOT, snapshot_); }

  Finished Import() {
    return RunProgram(
        {GROUNDSWELL_SERVER_PROGRAM, "import", "--snapshot", snapshot_, "--data-dir", data_dir_});
  }

  // The import must fail, say `what`, and leave nothing behind.
  void ExpectRefused(const std::string& what) {
    const Finished import = Import();
    EXPECT_EQ(import.exit_code, 1);
    EXPECT_NE(import.output.find(what), std::string::npos) << import.output;
    EXPECT_FALSE(fs::exists(data_dir_));
    EXPECT_FALSE(fs::exists(data_dir_ + ".importing"));
  }

  // Replaces `from` by `to` in the manifest.
  void EditManifest(const std::string& from, const std::string& to) {
    std::ifstream in(snapshot_ + "/manifest.json");
    std::string text((std::istreambuf_iterator<char>(in)), {});
    const size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    text.replace(at, from.size(), to);
    std::ofstream(snapshot_ + "/manifest.json") << text;
  }

  TemporaryDirectory directory_;
  std::string snapshot_ = directory_.File("snapshot");
  std::string data_dir_ = directory_.File("db");
};

TEST_F(ImportTest, ATruncatedFileIsRefused) {
  const std::string file = snapshot_ + "/macgnn.safetensors";
  fs::resize_file(file, fs::file_size(file) - 1);
  ExpectRefused("macgnn.safetensors");
}

TEST_F(ImportTest, AFlippedByteIsRefused) {
  const std::string file = snapshot_ + "/embeddings.safetensors";
  std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
  stream.seekp(static_cast<std::streamoff>(fs::file_size(file) / 2));
  const int byte = stream.peek();
  stream.put(static_cast<char>(byte ^ 1));
  stream.close();
  ExpectRefused("embeddings.safetensors");
}

TEST_F(ImportTest, AMissingFileIsRefused) {
  fs::remove(snapshot_ + "/clusters.safetensors");
  ExpectRefused("clusters.safetensors");
}

TEST_F(ImportTest, AMissingManifestIsRefused) {
  fs::remove(snapshot_ + "/manifest.json");
  ExpectRefused("manifest.json");
}

TEST_F(ImportTest, AnotherFormatVersionIsRefused) {
  EditManifest("\"format_version\": 1", "\"format_version\": 2");
  ExpectRefused("format_version");
}

TEST_F(ImportTest, AShapeThatDiffersFromTheManifestIsRefused) {
  EditManifest("\"embedding_dim\": 64", "\"embedding_dim\": 32");
  ExpectRefused("embeddings.safetensors");
}

TEST_F(ImportTest, AnUnknownManifestKeyIsRefused) {
  EditManifest("\"format_version\": 1", "\"format_version\": 1, \"formatversion\": 1");
  ExpectRefused("formatversion");
}

TEST_F(ImportTest, ADirectoryOfSomethingElseIsLeftAlone) {
  fs::create_directory(data_dir_);
  std::ofstream(data_dir_ + "/precious.txt") << "keep";
  const Finished import = Import();
  EXPECT_EQ(import.exit_code, 1);
  EXPECT_TRUE(fs::exists(data_dir_ + "/precious.txt"));
}

TEST_F(ImportTest, NothingThatSomebodyPutIntoADatabaseIsDeletedWithIt) {
  ASSERT_EQ(Import().exit_code, 0);
  fs::create_directory(data_dir_ + "/monday");
  EditManifest("\"version\": \"", "\"version\": \"other-");
  const Finished import = Import();
  EXPECT_EQ(import.exit_code, 1);
  EXPECT_NE(import.output.find("monday"), std::string::npos) << import.output;
  EXPECT_TRUE(fs::exists(data_dir_ + "/monday"));
}

TEST_F(ImportTest, ADirectoryOfTheStagingNameThatIsNotOursStays) {
  fs::create_directory(data_dir_ + ".importing");
  std::ofstream(data_dir_ + ".importing/CURRENT") << "somebody's backup";
  const Finished import = Import();
  EXPECT_EQ(import.exit_code, 1);
  EXPECT_NE(import.output.find(".importing"), std::string::npos) << import.output;
  EXPECT_TRUE(fs::exists(data_dir_ + ".importing/CURRENT"));
}

TEST_F(ImportTest, ALinkToTheDatabaseStaysALink) {
  fs::create_directory(directory_.File("disk"));
  fs::create_directory_symlink("disk/db", data_dir_);
  fs::create_directory(directory_.File("disk/db"));
  ASSERT_EQ(Import().exit_code, 0);
  EditManifest("\"version\": \"", "\"version\": \"other-");
  ASSERT_EQ(Import().exit_code, 0);
  EXPECT_TRUE(fs::is_symlink(data_dir_));
  EXPECT_TRUE(fs::exists(directory_.File("disk/db/CURRENT")));
  EXPECT_FALSE(fs::exists(directory_.File("disk/db.importing")));
}

TEST_F(ImportTest, ImportingTwiceChangesNothing) {
  ASSERT_EQ(Import().exit_code, 0);
  const Offset logged = StateOf(*OpenStore(data_dir_)).base_offset + 1;
  {
    const auto store = OpenStore(data_dir_);
    GraphStore::Batch batch(*store);
    batch.PutLogEntry(logged, MakeInteraction("u", "85123A"));
    ASSERT_TRUE(store->Commit(batch, true).ok());
  }
  const Finished again = Import();
  EXPECT_EQ(again.exit_code, 0);
  EXPECT_NE(again.output.find("already"), std::string::npos) << again.output;
  EXPECT_EQ(*OpenStore(data_dir_)->LastLogOffset(), logged);
}

TEST_F(ImportTest, ADatabaseThatAServerHoldsIsNotReplaced) {
  ASSERT_EQ(Import().exit_code, 0);
  const ServerProcess server(data_dir_);
  EditManifest("\"version\": \"", "\"version\": \"other-");
  const Finished import = Import();
  EXPECT_EQ(import.exit_code, 1);
  EXPECT_NE(import.output.find("is in use by another process"), std::string::npos) << import.output;
}

// Whether the server that began meanwhile is still there, or has ended.
TEST_F(ImportTest, ADatabaseThatBeganMeanwhileStays) {
  ASSERT_EQ(Import().exit_code, 0);
  const std::string backup = directory_.File("backup");
  fs::rename(data_dir_, backup);
  const std::string log = directory_.File("log.csv");
  std::ofstream(log) << "timestamp,user,item\n1322000000,u,i\n";
  for (const auto& [suffix, arguments] : {std::pair<std::string, std::vector<std::string>>{
                                              ".restoring", {"restore", "--backup", backup}},
                                          {".importing", {"import", "--snapshot", snapshot_}}}) {
    for (const bool runs : {true, false}) {
      SCOPED_TRACE(arguments[0] + (runs ? ", it runs" : ", it has ended"));
      fs::create_directory(data_dir_);
      const std::string staged = data_dir_ + suffix;
      std::vector<std::string> command = {GROUNDSWELL_SERVER_PROGRAM};
      command.insert(command.end(), arguments.begin(), arguments.end());
      command.insert(command.end(), {"--data-dir", data_dir_});
      ProgramThatWaits program(command);
      ASSERT_TRUE(Becomes([&] { return fs::exists(staged); }));
      ServerProcess server(data_dir_);
      const Finished ingest = RunProgram({GROUNDSWELL_CLI_PROGRAM, "--server",
                                          server.grpc_address(), "ingest", log, "--create-items"});
      ASSERT_EQ(ingest.exit_code, 0) << ingest.output;
      if (!runs) {
        EXPECT_EQ(server.Stop(SIGTERM), 0);
      }
      const Finished finished = program.Finish();
      EXPECT_EQ(finished.exit_code, 1);
      EXPECT_NE(finished.output.find("was empty at first"), std::string::npos) << finished.output;
      EXPECT_FALSE(fs::exists(staged));
      if (runs) {
        EXPECT_EQ(server.Stop(SIGTERM), 0);
      }
      EXPECT_GT(*OpenStore(data_dir_)->LastLogOffset(), 0);
      fs::remove_all(data_dir_);
    }
  }
}

// A server could acknowledge what is deleted with the old database.
TEST_F(ImportTest, ADatabaseThatIsBeingReplacedCannotBeServed) {
  ASSERT_EQ(Import().exit_code, 0);
  const std::string backup = directory_.File("backup");
  fs::copy(data_dir_, backup, fs::copy_options::recursive);
  ProgramThatWaits restore({GROUNDSWELL_SERVER_PROGRAM, "restore", "--backup", backup, "--data-dir",
                            data_dir_, "--replace"});
  ASSERT_TRUE(Becomes([&] { return fs::exists(data_dir_ + ".restoring"); }));
  EXPECT_THROW(ServerProcess{data_dir_}, std::runtime_error);
  const Finished finished = restore.Finish();
  EXPECT_EQ(finished.exit_code, 0) << finished.output;
  EXPECT_FALSE(fs::exists(data_dir_ + ".restoring"));
  EXPECT_EQ(ServerProcess(data_dir_).Stop(SIGTERM), 0);
}

TEST_F(ImportTest, ADatabaseIsNotRestoredFromItself) {
  ASSERT_EQ(Import().exit_code, 0);
  const Finished restore = RunProgram({GROUNDSWELL_SERVER_PROGRAM, "restore", "--backup",
                                       data_dir_ + "/", "--data-dir", data_dir_, "--replace"});
  EXPECT_EQ(restore.exit_code, 1);
  EXPECT_NE(restore.output.find("is the backup itself"), std::string::npos) << restore.output;
}

// Files that change while they are copied make no database that could be relied on.
TEST_F(ImportTest, ADatabaseThatAServerHoldsIsNotCopied) {
  ASSERT_EQ(Import().exit_code, 0);
  const ServerProcess server(data_dir_);
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{"restore", "--backup", data_dir_, "--data-dir",
                                 directory_.File("restored")},
        {"repair", "--data-dir", data_dir_}}) {
    std::vector<std::string> arguments = {GROUNDSWELL_SERVER_PROGRAM};
    arguments.insert(arguments.end(), command.begin(), command.end());
    const Finished copied = RunProgram(arguments);
    EXPECT_EQ(copied.exit_code, 1) << command[0];
    EXPECT_NE(copied.output.find("groundswell backup"), std::string::npos) << copied.output;
  }
  EXPECT_FALSE(fs::exists(directory_.File("restored")));
  EXPECT_FALSE(fs::exists(directory_.File("restored.restoring")));
}

// As `cp -al` copies a database: the lock of one is then the other's.
TEST_F(ImportTest, ALockThatIsAnotherDirectorysTooIsToldAsWhatItIs) {
  ASSERT_EQ(Import().exit_code, 0);
  const std::string backup = directory_.File("backup");
  fs::copy(data_dir_, backup, fs::copy_options::recursive);
  const std::vector<std::string> restore = {GROUNDSWELL_SERVER_PROGRAM,
                                            "restore",
                                            "--backup",
                                            backup,
                                            "--data-dir",
                                            data_dir_,
                                            "--replace"};
  for (const bool by_link : {false, true}) {
    fs::remove(backup + "/LOCK");
    if (by_link) {
      fs::create_symlink(data_dir_ + "/LOCK", backup + "/LOCK");
    } else {
      fs::create_hard_link(data_dir_ + "/LOCK", backup + "/LOCK");
    }
    const Finished refused = RunProgram(restore);
    EXPECT_EQ(refused.exit_code, 1);
    EXPECT_NE(refused.output.find(by_link ? "a symbolic link to" : "2 names (hard links)"),
              std::string::npos)
        << refused.output;
    EXPECT_EQ(refused.output.find("in use by another process"), std::string::npos)
        << refused.output;
    EXPECT_FALSE(fs::exists(data_dir_ + ".restoring"));
  }
  fs::remove(backup + "/LOCK");
  const Finished restored = RunProgram(restore);
  EXPECT_EQ(restored.exit_code, 0) << "as it says: " << restored.output;
}

TEST_F(ImportTest, ADirectoryThatCannotBecomeTheDatabaseIsRefusedAtOnce) {
  data_dir_ = "";
  EXPECT_NE(Import().output.find("--data-dir: it is empty"), std::string::npos);
  data_dir_ = "/proc";
  EXPECT_NE(Import().output.find("\"/proc/db\""), std::string::npos);
  const Finished named = RunProgram({GROUNDSWELL_SERVER_PROGRAM, "import", "--snapshot", snapshot_,
                                     "--data-dir", directory_.File("db"), "--namespace", "A b"});
  EXPECT_EQ(named.exit_code, 1);
  EXPECT_NE(named.output.find("\"A b\""), std::string::npos) << named.output;
  EXPECT_FALSE(fs::exists(directory_.File("db")));
}

TEST_F(ImportTest, ALinkToWhatIsNotThereYetIsFollowed) {
  fs::create_directory_symlink("disk/db", data_dir_);
  ASSERT_EQ(Import().exit_code, 0);
  EXPECT_TRUE(fs::is_symlink(data_dir_));
  EXPECT_TRUE(fs::exists(directory_.File("disk/db/CURRENT")));
}

TEST_F(ImportTest, ANewSnapshotKeepsTheInteractionsThatWereLogged) {
  ASSERT_EQ(Import().exit_code, 0);
  Offset logged = 0;
  {
    const auto store = OpenStore(data_dir_);
    logged = StateOf(*store).base_offset + 1;
    GraphStore::Batch batch(*store);
    const auto carried = MakeInteraction("carried-user", "85123A", 2, 1'000'000, "carried");
    batch.PutLogEntry(logged, carried);
    batch.PutEventId(HashEventId("carried"),
                     {.offset = logged, .content_hash = ContentHashOf(carried)});
    ASSERT_TRUE(store->Commit(batch, true).ok());
  }
  EditManifest("\"version\": \"", "\"version\": \"other-");
  const Finished import = Import();
  ASSERT_EQ(import.exit_code, 0) << import.output;
  EXPECT_NE(import.output.find("1 interactions"), std::string::npos) << import.output;
  const auto store = OpenStore(data_dir_);
  EXPECT_EQ(*store->LastLogOffset(), logged);
  EXPECT_EQ(StateOf(*store).applied_offset, logged - 1);
  EXPECT_EQ((*store->FindEventId(HashEventId("carried")))->offset, logged);
}

TEST_F(ImportTest, ANewSnapshotKeepsWhatAnOperatorSet) {
  ASSERT_EQ(Import().exit_code, 0);
  {
    const auto store = OpenStore(data_dir_);
    GraphStore::Batch batch(*store);
    batch.PutSetting("list_rules", "as they were");
    ASSERT_TRUE(store->Commit(batch, true).ok());
  }
  EditManifest("\"version\": \"", "\"version\": \"other-");
  ASSERT_EQ(Import().exit_code, 0);
  EXPECT_EQ(*OpenStore(data_dir_)->ReadSetting("list_rules"), "as they were");
}

}  // namespace
}  // namespace groundswell
