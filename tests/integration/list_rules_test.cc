// Rules, diversity and limits per category on a real server: what a client sees of them.
#include <gmock/gmock.h>

#include <csignal>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "tests/integration/sample_server.h"
#include "tests/support/other_snapshot.h"

namespace groundswell {
namespace {

using ::testing::HasSubstr;

v1::ListRules ThreeRules(const std::string& item = kItem) {
  v1::ListRules rules;
  v1::ListRule& pin = *rules.add_rules();
  pin.set_name("item of the week");
  pin.mutable_pin()->set_item_id(item);
  pin.mutable_pin()->set_position(2);
  v1::ListRule& unknown = *rules.add_rules();
  unknown.set_name("not there yet");
  unknown.mutable_pin()->set_item_id("no-such-item");
  unknown.mutable_pin()->set_position(1);
  v1::ListRule& over = *rules.add_rules();
  over.set_name("over");
  over.mutable_end_time()->set_seconds(1'000'000'000);
  over.mutable_pin()->set_item_id(item);
  over.mutable_pin()->set_position(1);
  return rules;
}

// Each test has a server of its own: what one sets would be the others'.
class ListRulesTest : public testing::Test {
 protected:
  ListRulesTest() {
    ImportSample(directory_.File("db"));
    Start();
  }

  void Start() {
    server_.emplace(directory_.File("db"));
    stubs_.emplace(server_->grpc_address());
  }

  v1::ListRules Get() {
    v1::ListRules rules;
    EXPECT_TRUE(stubs_->admin->GetListRules(NewContext().get(), {}, &rules).ok());
    return rules;
  }

  grpc::Status Set(const v1::ListRules& rules, v1::ListRules* set) {
    v1::SetListRulesRequest request;
    *request.mutable_rules() = rules;
    return stubs_->admin->SetListRules(NewContext().get(), request, set);
  }

  v1::RecommendResponse Recommend(const v1::RecommendRequest& request) {
    v1::RecommendResponse response;
    const grpc::Status status =
        stubs_->recommend->Recommend(NewContext().get(), request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }

  Finished Cli(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(),
                     {GROUNDSWELL_CLI_PROGRAM, "--server", server_->grpc_address()});
    return RunProgram(arguments);
  }

  TemporaryDirectory directory_;
  std::optional<ServerProcess> server_;
  std::optional<Stubs> stubs_;
};

TEST_F(ListRulesTest, RulesHoldAtOnceAndSurviveAKill) {
  v1::RecommendRequest request;
  request.set_user_id("nobody-ever-saw-me");
  const v1::RecommendResponse before = Recommend(request);
  const std::string first = before.items(0).item_id();
  v1::ListRules set;
  ASSERT_TRUE(Set(ThreeRules(first), &set).ok());
  const auto expect_pinned = [&] {
    const v1::RecommendResponse after = Recommend(request);
    ASSERT_EQ(after.items_size(), 20);
    EXPECT_EQ(after.items(0).item_id(), before.items(1).item_id());
    EXPECT_EQ(after.items(1).item_id(), first);
    EXPECT_EQ(*after.items(1).sources().rbegin(), v1::CANDIDATE_SOURCE_PINNED);
    std::set<std::string> items;
    for (const v1::RecommendedItem& item : after.items()) items.insert(item.item_id());
    EXPECT_EQ(items.size(), 20u);
  };
  expect_pinned();
  server_->Stop(SIGKILL);
  Start();
  EXPECT_EQ(Get().etag(), set.etag());
  EXPECT_EQ(Get().rules_size(), 3);
  expect_pinned();
}

TEST_F(ListRulesTest, ALateWriterIsToldAndAMistakeChangesNothing) {
  v1::ListRules first = ThreeRules();
  first.set_etag(Get().etag());
  v1::ListRules second = first;
  v1::ListRules set;
  ASSERT_TRUE(Set(first, &set).ok());
  second.mutable_rules()->RemoveLast();
  const grpc::Status late = Set(second, &set);
  EXPECT_EQ(late.error_code(), grpc::StatusCode::ABORTED);
  EXPECT_EQ(ReasonOf(RichStatus(late)), "ETAG_MISMATCH");
  second.clear_etag();
  second.mutable_rules(0)->mutable_pin()->set_position(0);
  const grpc::Status wrong = Set(second, &set);
  EXPECT_EQ(wrong.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(FieldOf(RichStatus(wrong)), "rules.rules[0].pin.position");
  EXPECT_EQ(Get().rules_size(), 3);
}

TEST_F(ListRulesTest, PagesOfLimitedCategoriesNeitherRepeatNorSkipNorRunShort) {
  v1::ListRules set;
  ASSERT_TRUE(Set(ThreeRules(), &set).ok());
  v1::RecommendRequest request;
  request.set_user_id(kCustomer);
  request.set_page_size(10);
  request.mutable_diversity()->set_category_max(2);
  request.mutable_diversity()->set_strength(0.3);
  std::set<std::string> items;
  int pages = 0;
  for (bool more = true; more; ++pages) {
    // A page may be asked for in two parts; together they are the page.
    std::map<std::string, int> on_page;
    int size = 0;
    for (const int page_size : pages % 2 == 0 ? std::vector{10} : std::vector{4, 100}) {
      request.set_page_size(page_size);
      const v1::RecommendResponse response = Recommend(request);
      size += response.items_size();
      for (const v1::RecommendedItem& item : response.items()) {
        EXPECT_TRUE(items.insert(item.item_id()).second) << item.item_id();
        EXPECT_LE(++on_page[item.category()], 2) << item.category();
      }
      request.set_page_token(response.next_page_token());
      more = !response.next_page_token().empty();
    }
    EXPECT_EQ(size, 10) << "page " << pages;
  }
  EXPECT_GE(pages, 40) << "as many as all sources together fill";
}

TEST_F(ListRulesTest, RulesStayWhenAnotherSnapshotIsActivated) {
  v1::ListRules set;
  ASSERT_TRUE(Set(ThreeRules(), &set).ok());
  WriteOtherSnapshot(GROUNDSWELL_SAMPLE_SNAPSHOT, directory_.File("other"));
  v1::ActivateSnapshotRequest activate;
  activate.set_directory(directory_.File("other"));
  v1::SnapshotInfo info;
  grpc::ClientContext context;
  ASSERT_TRUE(stubs_->admin->ActivateSnapshot(&context, activate, &info).ok());
  v1::RecommendRequest request;
  request.set_user_id(kCustomer);
  request.mutable_filter()->set_include_seen(true);
  EXPECT_EQ(Recommend(request).items(1).item_id(), kItem);
  EXPECT_EQ(Get().etag(), set.etag());
}

// All seen but three, and one more that has no vector: nobody but popularity knows of that one.
TEST_F(ListRulesTest, ANarrowCategoryThatIsNearlySeenStillGivesAllThatIsLeft) {
  v1::RecommendRequest request;
  request.set_user_id("nobody-ever-saw-me");
  request.mutable_filter()->add_categories("purses");
  request.set_page_size(100);
  const v1::RecommendResponse all = Recommend(request);
  ASSERT_TRUE(all.next_page_token().empty());
  ASSERT_GT(all.items_size(), 10);
  request.set_user_id("saw-nearly-all");
  std::set<std::string> left = {"new-purse"};
  for (int i = 0; i < all.items_size(); ++i) {
    const std::string& item = all.items(i).item_id();
    if (i < 3) {
      left.insert(item);
      continue;
    }
    v1::RecordInteractionRequest record;
    *record.mutable_interaction() =
        NewInteraction("seen-" + std::to_string(i), request.user_id(), item);
    v1::RecordInteractionResponse recorded;
    ASSERT_TRUE(stubs_->interaction->RecordInteraction(NewContext().get(), record, &recorded).ok());
    request.set_consistency_token(recorded.consistency_token());
  }
  v1::UpsertItemRequest create;
  create.set_item_id("new-purse");
  create.set_category("purses");
  v1::UpsertItemResponse created;
  ASSERT_TRUE(stubs_->admin->UpsertItem(NewContext().get(), create, &created).ok());
  std::set<std::string> found;
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (found != left && std::chrono::steady_clock::now() < until) {
    found.clear();
    const v1::RecommendResponse response = Recommend(request);
    for (const v1::RecommendedItem& item : response.items()) found.insert(item.item_id());
  }  // the order of popularity follows within retrieval.popularity_refresh_ms
  EXPECT_EQ(found, left);
}

TEST_F(ListRulesTest, TheCommandLineGetsAndSetsThemAsAFile) {
  const std::string path = directory_.File("rules.json");
  std::ofstream(path) << R"({"rules": [{"name": "more", "end_time": "2040-01-31T00:00:00Z",
      "boost": {"category": "Bag", "factor": 1.5}}]})";
  EXPECT_THAT(Cli({"rules", "set", path}).output, HasSubstr("boosts category Bag by 1.5"));
  EXPECT_THAT(Cli({"rules", "get"}).output, HasSubstr("2040-01-31T00:00:00Z"));
  const Finished got = Cli({"--json", "rules", "get"});
  std::ofstream(path) << got.output.substr(got.output.find('{'));
  EXPECT_EQ(Cli({"rules", "set", path}).exit_code, 0) << "what get prints, with its etag";
  EXPECT_EQ(Get().rules_size(), 1);
  std::ofstream(path) << R"({"rules": [], "etag": "old"})";
  EXPECT_THAT(Cli({"rules", "set", path}).output, HasSubstr("ETAG_MISMATCH"));
  std::ofstream(path) << R"({"rulez": []})";
  const Finished refused = Cli({"rules", "set", path});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.output, HasSubstr("rulez"));
  EXPECT_EQ(Cli({"rules", "set", directory_.File("no-such-file")}).exit_code, 1);
  EXPECT_EQ(Cli({"rules"}).exit_code, 2);
}

}  // namespace
}  // namespace groundswell
