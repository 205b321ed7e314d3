// A snapshot with SURGE beside MacGNN and the dot product, served by a real server: what it answers
// is compared with the same models in this process.
#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "models/files/manifest.h"
#include "models/snapshot/snapshot.h"
#include "tests/integration/sample_server.h"
#include "tests/support/surge_snapshot.h"

namespace groundswell {
namespace {

constexpr double kTolerance = 1e-6;  // of a probability

// Imports the sample with both variants of SURGE, of which it leaves the snapshot beside the
// database.
void ImportWithSurge(const TemporaryDirectory& directory) {
  WriteSurgeSnapshot(GROUNDSWELL_SAMPLE_SNAPSHOT, directory.File("snapshot"));
  const Finished import =
      RunProgram({GROUNDSWELL_SERVER_PROGRAM, "import", "--snapshot", directory.File("snapshot"),
                  "--data-dir", directory.File("db")});
  ASSERT_EQ(import.exit_code, 0) << import.output;
}

class SurgeServerTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    directory_ = new TemporaryDirectory;
    ImportWithSurge(*directory_);
    server_ = new ServerProcess(directory_->File("db"));
    stubs_ = new Stubs(server_->grpc_address());
    const auto files = ReadSnapshotDirectory(directory_->File("snapshot"));
    ASSERT_TRUE(files.ok()) << files.status();
    const auto loaded = Snapshot::Create(*files);
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    snapshot_ = *loaded;
    std::ifstream items(directory_->File("snapshot") + "/items.jsonl");
    rows_ = new std::map<std::string, uint32_t>;
    for (std::string line; std::getline(items, line);) {
      const auto row = static_cast<uint32_t>(rows_->size() + 1);
      rows_->emplace(nlohmann::json::parse(line)["id"], row);
    }
  }
  static void TearDownTestSuite() {
    delete rows_;
    snapshot_.reset();
    delete stubs_;
    delete server_;
    delete directory_;
  }

  static v1::RecommendResponse Recommend(const std::string& user, const std::string& ranker,
                                         const std::string& consistency_token = "") {
    v1::RecommendRequest request;
    request.set_user_id(user);
    request.set_ranker(ranker);
    request.set_consistency_token(consistency_token);
    v1::RecommendResponse response;
    const grpc::Status status =
        stubs_->recommend->Recommend(NewContext().get(), request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }

  // The token of the interaction.
  static std::string Record(const std::string& event_id, const std::string& user,
                            const std::string& item, int64_t time_s) {
    return RecordAt(*stubs_, event_id, user, item, time_s);
  }

  // The probability of each item by the model in this process, from the history that the server
  // tells of the user.
  static std::map<std::string, double> Expected(const std::string& user, const std::string& name,
                                                const v1::RecommendResponse& response) {
    v1::GetUserStateRequest request;
    request.set_user_id(user);
    request.set_recent_limit(kSurgeSnapshotHistory);
    v1::GetUserStateResponse state;
    EXPECT_TRUE(stubs_->recommend->GetUserState(NewContext().get(), request, &state).ok());
    std::vector<uint32_t> history, items;
    for (const auto& item : state.recent_items()) history.push_back(rows_->at(item.item_id()));
    for (const auto& item : response.items()) items.push_back(rows_->at(item.item_id()));
    const Ranker* ranker = snapshot_->FindRanker(name);
    const auto scratch = ranker->NewScratch(items.size());
    EXPECT_TRUE(ranker->PrepareUser({.recent_items = history}, *scratch).ok());
    std::vector<float> logits(items.size());
    ranker->ScoreItems({.rows = items}, *scratch, logits);
    std::map<std::string, double> expected;
    for (size_t i = 0; i < items.size(); ++i) {
      expected[response.items(static_cast<int>(i)).item_id()] =
          1 / (1 + std::exp(-double{logits[i]}));
    }
    return expected;
  }

  static void ExpectRankedBy(const std::string& user, const std::string& ranker,
                             const v1::RecommendResponse& response) {
    EXPECT_EQ(response.ranker(), ranker);
    EXPECT_EQ(response.fallback_reason(), v1::FALLBACK_REASON_UNSPECIFIED);
    EXPECT_EQ(response.degradations_size(), 0);
    ASSERT_EQ(response.items_size(), 20);
    const auto expected = Expected(user, ranker, response);
    double previous = 1.0;
    for (const v1::RecommendedItem& item : response.items()) {
      EXPECT_NEAR(item.score(), expected.at(item.item_id()), kTolerance) << item.item_id();
      EXPECT_LE(item.score(), previous);
      previous = item.score();
    }
  }

  static inline TemporaryDirectory* directory_ = nullptr;
  static inline ServerProcess* server_ = nullptr;
  static inline Stubs* stubs_ = nullptr;
  static inline std::shared_ptr<const Snapshot> snapshot_;
  static inline std::map<std::string, uint32_t>* rows_ = nullptr;  // by item id
};

TEST_F(SurgeServerTest, EveryVariantIsServedByName) {
  for (const std::string ranker : {"surge", "surge-paper"}) {
    ExpectRankedBy(kCustomer, ranker, Recommend(kCustomer, ranker));
  }
  EXPECT_EQ(Recommend(kCustomer, "").ranker(), "macgnn") << "the first of the manifest";
  EXPECT_EQ(Recommend(kCustomer, "macgnn").ranker(), "macgnn");
  EXPECT_EQ(Recommend(kCustomer, "dot").ranker(), "dot");
}

TEST_F(SurgeServerTest, ANewInteractionIsInTheHistoryAtOnce) {
  constexpr int64_t kLater = 1'323'000'000;
  for (const std::string ranker : {"surge", "surge-paper"}) {
    const v1::RecommendResponse before = Recommend("12347", ranker);
    const std::string item = before.items(0).item_id();
    const std::string token = Record(ranker + "-new", "12347", item, kLater);
    const v1::RecommendResponse after = Recommend("12347", ranker, token);
    ExpectRankedBy("12347", ranker, after);
    double largest = 0;
    for (const auto& old : before.items()) {
      for (const auto& now : after.items()) {
        if (old.item_id() != now.item_id()) continue;
        largest = std::max(largest, std::abs(double{old.score()} - double{now.score()}));
      }
    }
    EXPECT_GT(largest, kTolerance) << "nothing moved";
  }
}

TEST_F(SurgeServerTest, AUserWhoCameAfterTheSnapshotIsRankedByOneItem) {
  for (const std::string ranker : {"surge", "surge-paper"}) {
    const std::string user = "first-seen-by-" + ranker;
    const std::string token = Record(user, user, kItem, 1'322'000'000);
    ExpectRankedBy(user, ranker, Recommend(user, ranker, token));
  }
}

TEST_F(SurgeServerTest, AUserWithoutAHistoryFallsBackAndIsNeverGivenAScore) {
  v1::RecordInteractionRequest record;
  *record.mutable_interaction() = NewInteraction("gone", "took-it-back", kItem);
  v1::RecordInteractionResponse recorded;
  ASSERT_TRUE(stubs_->interaction->RecordInteraction(NewContext().get(), record, &recorded).ok());
  record.mutable_interaction()->set_event_id("back");
  record.mutable_interaction()->set_weight(-1);
  ASSERT_TRUE(stubs_->interaction->RecordInteraction(NewContext().get(), record, &recorded).ok());
  for (const std::string ranker : {"surge", "surge-paper"}) {
    for (const std::string user : {"took-it-back", "nobody-ever-saw-me"}) {
      const v1::RecommendResponse response = Recommend(user, ranker, recorded.consistency_token());
      EXPECT_NE(response.fallback_reason(), v1::FALLBACK_REASON_UNSPECIFIED) << user;
      EXPECT_TRUE(response.ranker().empty());
      EXPECT_EQ(response.items_size(), 20);

      v1::RankRequest rank;
      rank.set_user_id(user);
      rank.set_ranker(ranker);
      rank.add_item_ids(kItem);
      v1::RankResponse ranked;
      const grpc::Status status = stubs_->recommend->Rank(NewContext().get(), rank, &ranked);
      EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
      EXPECT_EQ(ReasonOf(RichStatus(status)), "USER_NOT_SCORED");
      EXPECT_NE(status.error_message().find("history"), std::string::npos)
          << status.error_message();
    }
  }
}

class SurgeNewItemTest : public testing::TestWithParam<std::string> {};

// SURGE has never seen it; its vote alone does not keep it from whom it concerns.
TEST_P(SurgeNewItemTest, AnItemThatManyJustTookReachesTheTopBesideItsVote) {
  const TemporaryDirectory directory;
  ImportWithSurge(directory);
  const ServerProcess server(directory.File("db"), {"--ranking.shares=" + GetParam() + "=100"});
  const Stubs stubs(server.grpc_address());
  v1::UpsertItemRequest create;
  create.set_item_id("new");
  v1::UpsertItemResponse created;
  ASSERT_TRUE(stubs.admin->UpsertItem(NewContext().get(), create, &created).ok());
  v1::RecommendRequest request;
  request.set_user_id(kCustomer);
  request.set_page_size(10);
  for (int at = 0; at < 200; ++at) {
    const std::string number = std::to_string(at);
    request.set_consistency_token(
        RecordAt(stubs, "n" + number, "newcomer-" + number, "new", 1'322'000'000 + at));
  }
  v1::RecommendResponse list;
  ASSERT_TRUE(Becomes([&] {
    return stubs.recommend->Recommend(NewContext().get(), request, &list).ok() &&
           list.degradations_size() == 0;
  }));
  EXPECT_EQ(list.ranker(), GetParam());
  std::vector<std::string> items;
  for (const auto& item : list.items()) items.push_back(item.item_id());
  EXPECT_NE(std::ranges::find(items, "new"), items.end())
      << "not among " << testing::PrintToString(items);
  // And is scored beside items that the model knows.
  v1::RankRequest rank;
  rank.set_user_id(kCustomer);
  rank.set_ranker(GetParam());
  rank.add_item_ids("new");
  rank.add_item_ids(kItem);
  v1::RankResponse ranked;
  const grpc::Status status = stubs.recommend->Rank(NewContext().get(), rank, &ranked);
  ASSERT_TRUE(status.ok()) << status.error_message();
  ASSERT_EQ(ranked.items_size(), 2);
  for (const auto& item : ranked.items()) EXPECT_GT(item.score(), 0) << item.item_id();
}

INSTANTIATE_TEST_SUITE_P(Variants, SurgeNewItemTest, testing::Values("surge", "surge-paper"),
                         [](const auto& param) {
                           return param.param == "surge" ? std::string("Authors")
                                                         : std::string("Paper");
                         });

}  // namespace
}  // namespace groundswell
