// What a real server has learned and how well its lists find, as its operator sees both; and the
// reset.
#include <gmock/gmock.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/integration/sample_server.h"
#include "tests/support/sha256.h"

namespace groundswell {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

constexpr char kResetId[] = "9b2d9f0e-6a34-4f0c-8f43-3a5f8f1f4a01";

// Each test has a server of its own: what one teaches would be the others'.
class BlendTest : public testing::Test {
 protected:
  BlendTest() {
    ImportSample(directory_.File("db"));
    Start();
  }

  void Start(const std::vector<std::string>& flags = {}) {
    server_.emplace(directory_.File("db"), flags);
    stubs_.emplace(server_->grpc_address());
  }
  void Restart(const std::vector<std::string>& flags = {}) {
    server_->Stop(SIGKILL);
    Start(flags);
  }

  // Somebody takes the customer's own items and others in turn.
  void Teach(int begin, int end) {
    v1::RecommendRequest request;
    request.set_user_id(kCustomer);
    request.set_page_size(40);
    v1::RecommendResponse list;
    ASSERT_TRUE(stubs_->recommend->Recommend(NewContext().get(), request, &list).ok());
    for (int at = begin; at < end; ++at) {
      const std::string& item = list.items(at % list.items_size()).item_id();
      token_ =
          RecordAt(*stubs_, "t" + std::to_string(at), kCustomer, item, 1'322'000'000 + at * 60);
    }
    request.set_consistency_token(token_);  // waits for the last one
    ASSERT_TRUE(Becomes([&] {
      return stubs_->recommend->Recommend(NewContext().get(), request, &list).ok() &&
             Status().graph().applied_offset() == Status().graph().log_end_offset();
    }));
  }

  v1::Blend Get() {
    v1::Blend blend;
    const grpc::Status status = stubs_->admin->GetBlend(NewContext().get(), {}, &blend);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return blend;
  }
  v1::ServerStatus Status() {
    v1::ServerStatus status;
    EXPECT_TRUE(stubs_->admin->GetServerStatus(NewContext().get(), {}, &status).ok());
    return status;
  }
  Finished Cli(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(),
                     {GROUNDSWELL_CLI_PROGRAM, "--server", server_->grpc_address()});
    return RunProgram(arguments);
  }
  json CliJson(const std::vector<std::string>& arguments) {
    const Finished finished = Cli(arguments);
    EXPECT_EQ(finished.exit_code, 0) << finished.output;
    return json::parse(finished.output, nullptr, false);
  }

  TemporaryDirectory directory_;
  std::optional<ServerProcess> server_;
  std::optional<Stubs> stubs_;
  std::string token_;
};

std::string Weights(const v1::Blend& blend) { return blend.weights().DebugString(); }

TEST_F(BlendTest, WhatIsLearnedIsShownAndHowWellTheListsFind) {
  const v1::Blend start = Get();
  EXPECT_EQ(start.step_count(), 0);
  EXPECT_TRUE(start.learning());
  EXPECT_EQ(start.lists_size(), 0);
  Teach(0, 60);
  const v1::Blend learned = Get();
  EXPECT_GT(learned.step_count(), 10);
  EXPECT_NE(learned.digest(), start.digest());
  EXPECT_EQ(learned.digest(), Status().graph().blend_digest());
  ASSERT_GT(learned.lists_size(), 2);
  EXPECT_EQ(learned.lists(0).list(), "served");
  const int64_t judged = learned.lists(0).interaction_count();
  EXPECT_EQ(judged, learned.step_count() + learned.missed_count());
  EXPECT_GT(learned.lists(0).hit_rate(), 0);
  EXPECT_EQ(learned.lists(0).served_hit_share(), 1);
  const auto interactions = [&](std::string_view list) {
    const auto at = std::ranges::find(learned.lists(), list, &v1::JudgedList::list);
    return at == learned.lists().end() ? 0 : at->interaction_count();
  };
  EXPECT_GT(interactions("ranker"), 0);
  EXPECT_EQ(interactions("ranker:dot"), interactions("ranker")) << "asked about the same, judged";
  int64_t of_contexts = 0;
  for (const v1::JudgedContext& context : learned.contexts()) {
    if (context.lists_size() > 0) of_contexts += context.lists(0).interaction_count();
  }
  EXPECT_EQ(of_contexts, judged);

  const std::string metrics = HttpGet(server_->http_port(), "/metrics");
  for (const v1::JudgedList& list : learned.lists()) {
    EXPECT_LE(list.ndcg(), list.hit_rate());
    EXPECT_LE(list.interaction_count(), judged);
    EXPECT_THAT(metrics, HasSubstr("groundswell_list_hit_ratio{list=\"" + list.list() + "\"} "));
    EXPECT_THAT(metrics, HasSubstr("groundswell_list_ndcg{list=\"" + list.list() + "\"} "));
  }
  EXPECT_THAT(metrics, HasSubstr("groundswell_list_judged_interactions{list=\"served\"} " +
                                 std::to_string(judged) + "\n"));
  EXPECT_THAT(metrics, HasSubstr("groundswell_blend_learning 1\n"));
  const double weight = learned.weights()
                            .fields()
                            .at("in_visit")
                            .struct_value()
                            .fields()
                            .at("next_items.first")
                            .number_value();
  const std::string series =
      "groundswell_blend_weight{context=\"in_visit\",feature=\"next_items.first\"} ";
  const size_t at = metrics.find(series);
  ASSERT_NE(at, std::string::npos);
  EXPECT_NEAR(std::stod(metrics.substr(at + series.size())), weight, 1e-5);

  Restart({"--blend.learning=false"});
  EXPECT_EQ(Get().digest(), learned.digest());
  EXPECT_EQ(Weights(Get()), Weights(learned));
  EXPECT_FALSE(Get().learning());
}

TEST_F(BlendTest, TheCommandPrintsTablesForPeopleAndTheFormatOfASnapshotsFile) {
  Teach(0, 30);
  const Finished tables = Cli({"blend", "--top", "3"});
  EXPECT_EQ(tables.exit_code, 0);
  for (const char* text : {"learned from ", "new_user  ", "in_visit  ", "returning ",
                           "the 3 largest of ", "hit rate at 20", "served  ", "100%"}) {
    EXPECT_THAT(tables.output, HasSubstr(text));
  }
  EXPECT_THAT(Cli({"status"}).output, HasSubstr(Get().digest()));
  EXPECT_EQ(Cli({"blend", "--weights", "--reset"}).exit_code, 2);

  const json file = CliJson({"blend", "--weights"});
  EXPECT_EQ(file["format_version"], 1);
  EXPECT_EQ(file, CliJson({"--json", "blend", "--weights"}));
  EXPECT_EQ(file["weights"], CliJson({"--json", "blend"})["weights"]);
  const std::string snapshot = directory_.File("snapshot");
  std::filesystem::copy(GROUNDSWELL_SAMPLE_SNAPSHOT, snapshot);
  std::ofstream(snapshot + "/blend.json") << file.dump();
  std::ifstream in(snapshot + "/manifest.json");
  auto manifest = nlohmann::ordered_json::parse(in);
  manifest["version"] = "with weights";
  manifest["files"]["blend.json"]["sha256"] = Sha256(file.dump());
  manifest["files"]["blend.json"]["bytes"] = file.dump().size();
  std::ofstream(snapshot + "/manifest.json") << manifest.dump(2);
  const std::string weights = Weights(Get());
  const Finished activated = Cli({"activate", snapshot});
  ASSERT_EQ(activated.exit_code, 0) << activated.output;
  EXPECT_EQ(Get().step_count(), 0);
  EXPECT_EQ(Weights(Get()), weights);
}

TEST_F(BlendTest, AResetForgetsWhatWasLearnedAndStaysSoAfterARestart) {
  const v1::Blend start = Get();
  Teach(0, 30);
  EXPECT_NE(Weights(Get()), Weights(start));
  const std::string graph = Status().graph().digest();
  const Finished reset = Cli({"blend", "--reset", "--request-id", kResetId});
  ASSERT_EQ(reset.exit_code, 0) << reset.output;
  EXPECT_THAT(reset.output, HasSubstr("reset at offset "));
  for (const char* when : {"at once", "after a restart"}) {
    SCOPED_TRACE(when);
    EXPECT_EQ(Get().digest(), start.digest());
    EXPECT_EQ(Weights(Get()), Weights(start));
    EXPECT_EQ(Get().step_count(), 0);
    EXPECT_EQ(Get().lists_size(), 0);
    EXPECT_EQ(Status().graph().digest(), graph);
    if (std::string(when) == "at once") Restart();
  }

  Teach(30, 60);
  const v1::Blend learned = Get();
  EXPECT_GT(learned.step_count(), 0);
  ASSERT_EQ(Cli({"blend", "--reset", "--request-id", kResetId}).exit_code, 0);
  EXPECT_EQ(Get().digest(), learned.digest()) << "the same request is done once";
  v1::ResetBlendRequest request;
  v1::ResetBlendResponse response;
  ASSERT_TRUE(stubs_->admin->ResetBlend(NewContext().get(), request, &response).ok());
  EXPECT_EQ(Get().digest(), start.digest());
  EXPECT_EQ(response.offset(), Status().graph().log_end_offset());

  request.set_request_id("no uuid");
  EXPECT_EQ(stubs_->admin->ResetBlend(NewContext().get(), request, &response).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  v1::GetBlendRequest elsewhere;
  elsewhere.set_namespace_("elsewhere");
  v1::Blend blend;
  EXPECT_FALSE(stubs_->admin->GetBlend(NewContext().get(), elsewhere, &blend).ok());
}

// No trained ranker has seen it; its vote alone does not keep it from whom it concerns.
TEST_F(BlendTest, AnItemThatManyJustTookReachesTheTopBesideARankersVote) {
  v1::UpsertItemRequest create;
  create.set_item_id("new");
  v1::UpsertItemResponse created;
  ASSERT_TRUE(stubs_->admin->UpsertItem(NewContext().get(), create, &created).ok());
  v1::RecommendRequest request;
  for (int at = 0; at < 200; ++at) {
    const std::string number = std::to_string(at);
    request.set_consistency_token(
        RecordAt(*stubs_, "n" + number, "newcomer-" + number, "new", 1'322'000'000 + at));
  }
  request.set_user_id(kCustomer);
  request.set_page_size(10);
  v1::RecommendResponse list;
  ASSERT_TRUE(Becomes([&] {
    return stubs_->recommend->Recommend(NewContext().get(), request, &list).ok() &&
           Status().graph().applied_offset() == Status().graph().log_end_offset();
  }));
  EXPECT_EQ(list.ranker(), "macgnn");
  std::vector<std::string> items;
  for (const auto& item : list.items()) items.push_back(item.item_id());
  EXPECT_THAT(items, testing::Contains("new"));
}

}  // namespace
}  // namespace groundswell
