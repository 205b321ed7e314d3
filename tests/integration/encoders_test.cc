// A snapshot's encoder makes users' vectors from its activation on, over real sockets.
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/integration/sample_server.h"

namespace groundswell {
namespace {

using ::testing::HasSubstr;

constexpr char kOtherItem[] = "22423";
constexpr int64_t kTimeS = 1'322'000'000;

// The sample with an encoder of users whose vector is that of the newest item alone.
void WriteSnapshotWithEncoder(const std::string& directory) {
  std::filesystem::copy(GROUNDSWELL_SAMPLE_SNAPSHOT, directory);
  std::ifstream in(directory + "/manifest.json");
  nlohmann::ordered_json manifest = nlohmann::ordered_json::parse(in);
  manifest["version"] = "with-encoder";
  manifest["encoders"] = {{{"name", "newest-alone"},
                           {"side", "user"},
                           {"kind", "newest"},
                           {"file", "embeddings.safetensors"},
                           {"options", {{"neighbors", "1"}}}}};
  std::ofstream(directory + "/manifest.json") << manifest.dump(2);
}

class EncodersTest : public testing::Test {
 protected:
  EncodersTest() {
    ImportSample(directory_.File("db"));
    WriteSnapshotWithEncoder(snapshot_);
    Start({});
  }

  void Start(const std::vector<std::string>& flags) {
    server_.reset();
    server_.emplace(directory_.File("db"), flags);
    stubs_.emplace(server_->grpc_address());
  }
  void ActivateSnapshot() {
    v1::ActivateSnapshotRequest request;
    request.set_directory(snapshot_);
    v1::SnapshotInfo info;
    const grpc::Status status = stubs_->admin->ActivateSnapshot(NewContext().get(), request, &info);
    ASSERT_TRUE(status.ok()) << status.error_message();
  }

  // The embedding's first ten for whoever took the other item, and then this one.
  std::vector<std::string> ListByEmbedding() {
    v1::RecommendRequest request;
    for (const char* item : {kOtherItem, kItem}) {
      v1::HypotheticalEvent& event = *request.add_hypothetical_events();
      event.set_item_id(item);
      event.set_event_type("purchase");
      event.mutable_event_time()->set_seconds(kTimeS + request.hypothetical_events_size());
    }
    request.set_page_size(10);
    request.add_only_sources(v1::CANDIDATE_SOURCE_EMBEDDING);
    request.set_skip_ranking(true);
    v1::RecommendResponse response;
    const grpc::Status status =
        stubs_->recommend->Recommend(NewContext().get(), request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    std::vector<std::string> items;
    for (const v1::RecommendedItem& item : response.items()) items.push_back(item.item_id());
    return items;
  }
  // The ten items nearest to the newer item alone, without the other one.
  std::vector<std::string> NearestToNewest() {
    v1::SimilarItemsRequest request;
    request.set_item_id(kItem);
    request.set_page_size(11);
    v1::SimilarItemsResponse response;
    EXPECT_TRUE(stubs_->recommend->SimilarItems(NewContext().get(), request, &response).ok());
    std::vector<std::string> items;
    for (const auto& item : response.items()) {
      if (item.item_id() != kOtherItem && items.size() < 10) items.push_back(item.item_id());
    }
    return items;
  }
  bool Counts(const std::string& rung) {
    const std::string metrics = HttpGet(server_->http_port(), "/metrics");
    const std::string name = "groundswell_encoded_total{rung=\"" + rung + "\",side=\"user\"} ";
    const size_t at = metrics.find(name);
    EXPECT_NE(at, std::string::npos) << name;
    return at != std::string::npos && metrics[at + name.size()] != '0';
  }

  TemporaryDirectory directory_;
  const std::string snapshot_ = directory_.File("snapshot");
  std::optional<ServerProcess> server_;
  std::optional<Stubs> stubs_;
};

TEST_F(EncodersTest, TheEncoderMakesUsersVectorsFromItsActivationOnUnlessASettingSaysOtherwise) {
  const std::vector<std::string> by_rule = ListByEmbedding();
  ASSERT_EQ(by_rule.size(), 10u);
  const std::vector<std::string> nearest = NearestToNewest();
  ASSERT_NE(by_rule, nearest);
  EXPECT_TRUE(Counts("rule"));
  EXPECT_FALSE(Counts("encoder"));

  ActivateSnapshot();
  EXPECT_EQ(ListByEmbedding(), nearest);
  EXPECT_TRUE(Counts("encoder"));
  Start({"--encoder.user=newest-alone"});
  EXPECT_EQ(ListByEmbedding(), nearest);
  Start({"--encoder.user=none"});
  EXPECT_EQ(ListByEmbedding(), by_rule);
}

TEST_F(EncodersTest, AnEncoderThatTheSnapshotDoesNotHaveIsRefusedAtTheStart) {
  server_.reset();
  const Finished refused =
      RunProgram({GROUNDSWELL_SERVER_PROGRAM, "serve", "--server.data_dir=" + directory_.File("db"),
                  "--server.grpc_address=127.0.0.1:0", "--server.http_address=127.0.0.1:0",
                  "--encoder.user=newest-alone"});
  EXPECT_NE(refused.exit_code, 0);
  EXPECT_THAT(refused.output, HasSubstr("encoder.user names \"newest-alone\", which the snapshot "
                                        "does not have"));
}

}  // namespace
}  // namespace groundswell
