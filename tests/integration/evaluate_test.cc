// `groundswell evaluate` against a real server, on logs whose right result is known.
#include <gmock/gmock.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/integration/sample_server.h"

namespace groundswell {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class EvaluateTest : public SampleServerTest {
 protected:
  static Finished Evaluate(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {GROUNDSWELL_CLI_PROGRAM, "--server",
                                         server_->grpc_address(), "--json", "evaluate"});
    return RunProgram(arguments);
  }

  static json JsonOf(const Finished& finished) {
    // Beside what goes to standard error, which has no braces.
    const size_t begin = finished.output.find('{');
    if (begin == std::string::npos) return {};
    const size_t end = finished.output.rfind('}') + 1;
    return json::parse(finished.output.substr(begin, end - begin), nullptr, false);
  }

  static json EvaluateJson(std::vector<std::string> arguments) {
    const Finished finished = Evaluate(std::move(arguments));
    EXPECT_EQ(finished.exit_code, 0) << finished.output;
    return JsonOf(finished);
  }

  // One event a second, behind everything that the snapshot knows.
  std::string WriteLog(const std::string& name,
                       const std::vector<std::pair<std::string, std::string>>& user_and_item) {
    const std::string path = files_.File(name);
    std::ofstream csv(path);
    csv << "timestamp,user,item\n";
    int64_t time_s = 1'322'000'000;
    for (const auto& [user, item] : user_and_item)
      csv << time_s++ << "," << user << "," << item << "\n";
    return path;
  }

  // The list of someone whom nobody knows: the most popular items, in their order.
  static std::vector<std::string> PopularItems() {
    v1::RecommendRequest request;
    request.set_user_id("nobody-ever-saw-me");
    request.set_page_size(100);
    std::vector<std::string> items;
    const v1::RecommendResponse response = Recommend(request);
    for (const auto& item : response.items()) items.push_back(item.item_id());
    return items;
  }

  TemporaryDirectory files_;
};

// Two people who take turns, one event a second: with a gap of a second each of them is in one
// visit to the end, with none but what is asked for every event there are as many as events.
TEST_F(EvaluateTest, AsksForTheFirstEventOfVisitsAlone) {
  std::vector<std::pair<std::string, std::string>> events;
  for (const char* user : {"ann", "bea", "ann", "ann", "bea", "bea", "bea", "ann"}) {
    events.push_back({user, "22423"});
  }
  const std::string log = WriteLog("visits.csv", events);
  const auto asked = [&](const std::string& gap_s) {
    return EvaluateJson(
        {log, "--test-events", "8", "--mode", "frozen", "--visit-gap-s", gap_s})["asked_events"];
  };
  EXPECT_EQ(asked("0"), 8);
  EXPECT_EQ(asked("1"), 5);  // both first ones, and those after 2, 3 and 4 seconds
  EXPECT_EQ(asked("3"), 3);
  EXPECT_EQ(asked("4"), 2);
}

TEST_F(EvaluateTest, FrozenListsHitAtThePlacesThatTheServerGivesThem) {
  const std::vector<std::string> popular = PopularItems();
  ASSERT_EQ(popular.size(), 100u);
  std::vector<std::pair<std::string, std::string>> events;
  for (const size_t rank : {1, 2, 10, 11, 20, 21, 100}) {
    events.push_back({"frozen-" + std::to_string(rank), popular[rank - 1]});
  }
  events.push_back({"frozen-unknown", "no-such-item"});
  const std::string log = WriteLog("frozen.csv", events);
  const json result = EvaluateJson({log, "--test-events", "8", "--mode", "frozen"});
  EXPECT_EQ(result["asked_events"], 8);
  EXPECT_EQ(result["unknown_items"], 1);
  EXPECT_EQ(result["accepted"], 0);
  ASSERT_EQ(result["lists"].size(), 2u);
  const json& list = result["lists"][0];
  EXPECT_EQ(list["name"], "blend-ranked");
  EXPECT_EQ(list["unknown_user"], 8);
  EXPECT_EQ(list["degraded"], 0);
  EXPECT_DOUBLE_EQ(list["hit_rate"]["10"]["mean"], 3.0 / 8);
  EXPECT_DOUBLE_EQ(list["hit_rate"]["20"]["mean"], 5.0 / 8);
  EXPECT_DOUBLE_EQ(list["hit_rate"]["100"]["mean"], 7.0 / 8);
  EXPECT_DOUBLE_EQ(list["ndcg"]["10"]["mean"], (1 + 1 / std::log2(3) + 1 / std::log2(11)) / 8);
  EXPECT_NEAR(list["mrr"]["mean"].get<double>(),
              (1 + 1.0 / 2 + 1.0 / 10 + 1.0 / 11 + 1.0 / 20 + 1.0 / 21 + 1.0 / 100) / 8, 1e-12);
  const json again = EvaluateJson({log, "--test-events", "8", "--mode", "frozen"});
  EXPECT_EQ(again["lists"][0]["mrr"], list["mrr"]) << "frozen left no trace";
}

// Live, the server knows at the second event what the first was: the item is had, and not listed.
TEST_F(EvaluateTest, LiveListsKnowTheEventBefore) {
  const std::string item = PopularItems().front();
  const std::string log = WriteLog(
      "live.csv", {{"live-a", item}, {"live-a", item}, {"live-b", item}, {"live-b", item}});
  const json frozen = EvaluateJson({log, "--test-events", "4", "--mode", "frozen"});
  EXPECT_EQ(frozen["lists"][0]["hit_rate"]["10"]["mean"], 1.0);
  const json live = EvaluateJson({log, "--test-events", "4"});
  EXPECT_EQ(live["lists"][0]["hit_rate"]["100"]["mean"], 0.5);
  EXPECT_EQ(live["lists"][0]["unknown_user"], 2);
  EXPECT_EQ(live["lists"][0]["stale"], 0);
  EXPECT_EQ(live["accepted"], 4);
  EXPECT_TRUE(live["warnings"].empty());
  const json again = EvaluateJson({log, "--test-events", "4"});
  EXPECT_EQ(again["duplicates"], 4) << "the server has them since the run before";
  EXPECT_FALSE(again["warnings"].empty());
}

TEST_F(EvaluateTest, WhatPrecedesTheTestIsIngestedFirstIfWanted) {
  const std::string log = WriteLog(
      "first.csv", {{"first", kItem}, {"first", "22423"}, {"first", "47566"}, {"other", kItem}});
  const json result = EvaluateJson(
      {log, "--test-from", "2011-11-22T22:13:23Z", "--ingest-first", "--lists", "blend"});
  EXPECT_EQ(result["records_before"], 3);
  EXPECT_EQ(result["test_events"], 1);
  EXPECT_EQ(result["accepted"], 4);
  v1::GetUserStateRequest request;
  request.set_user_id("first");
  v1::GetUserStateResponse user;
  ASSERT_TRUE(stubs_->recommend->GetUserState(NewContext().get(), request, &user).ok());
  EXPECT_EQ(user.distinct_items(), 3);
}

TEST_F(EvaluateTest, ItemsOfTheLogAreRefusedOrCreated) {
  const std::string log = WriteLog("new.csv", {{"new-a", "evaluate-new-item"},
                                               {"new-b", "evaluate-new-item"},
                                               {"new-c", "evaluate-new-item"}});
  const std::vector<std::string> without = {"--lists", "blend", "--test-events", "3", log};
  const Finished lacking = Evaluate(without);
  EXPECT_EQ(lacking.exit_code, 1);
  EXPECT_THAT(lacking.output, HasSubstr("3 events were refused"));
  EXPECT_EQ(JsonOf(lacking)["refused"], 3) << "the figures are there";
  const json refused =
      EvaluateJson({"--lists", "blend", "--test-events", "3", log, "--skip-refused"});
  EXPECT_EQ(refused["unknown_items"], 3);
  EXPECT_EQ(refused["refused"], 3);
  EXPECT_THAT(refused["reasons"][0].get<std::string>(), HasSubstr("evaluate-new-item"));
  const json created =
      EvaluateJson({log, "--test-events", "3", "--lists", "blend", "--create-items"});
  EXPECT_EQ(created["unknown_items"], 1);
  EXPECT_EQ(created["created_items"], 1);
  EXPECT_EQ(created["accepted"], 3);
}

// Ended by SIGINT at a moment when some events are asked for and others are not.
TEST_F(EvaluateTest, AnInterruptionLeavesTheTableOfWhatWasMeasured) {
  std::vector<std::pair<std::string, std::string>> events;
  for (int i = 0; i < 100'000; ++i)
    events.push_back({"interrupted-" + std::to_string(i % 50), kItem});
  const std::string log = WriteLog("interrupted.csv", events);
  Finished finished;
  json result;
  for (const char* seconds : {"1", "2", "4", "8", "16"}) {
    finished = RunProgram({"/usr/bin/timeout", "--preserve-status", "-s", "INT", seconds,
                           GROUNDSWELL_CLI_PROGRAM, "--server", server_->grpc_address(), "--json",
                           "evaluate", log, "--test-from", "0"});
    result = JsonOf(finished);
    if (result.is_object() && result["asked_events"] > 0) break;
  }
  ASSERT_TRUE(result.is_object()) << finished.output;
  EXPECT_EQ(finished.exit_code, 1) << finished.output;
  EXPECT_EQ(result["interrupted"], true);
  EXPECT_GT(result["asked_events"], 0);
  EXPECT_LT(result["asked_events"], 100'000);
  EXPECT_EQ(result["lists"][0]["events"], result["asked_events"]);
}

// As a part of a string there.
std::string InJson(const std::string& text) {
  const std::string quoted = json(text).dump();
  return quoted.substr(1, quoted.size() - 2);
}

TEST_F(EvaluateTest, MistakesAreNamedWithWhatWouldBeRight) {
  const std::string log = WriteLog("small.csv", {{"mistake", kItem}});
  const struct {
    std::vector<std::string> arguments;
    std::string message;
  } mistakes[] = {
      {{log}, "neither --test-from nor --test-events"},
      {{log, "--test-from", "yesterday"}, "--test-from is \"yesterday\""},
      {{log, "--test-from", "2030-01-01T00:00:00Z"}, "none in the test period"},
      {{log, "--test-events", "1", "--lists", "best"}, "\"best\" is no source"},
      {{log, "--test-events", "1", "--lists", "blend-ranked:no-such"},
       "list \"blend-ranked:no-such\""},
      {{files_.File("nowhere.csv"), "--test-events", "1"}, "cannot open"},
      {{"-", "--test-events", "1"}, "standard input"},
  };
  for (const auto& [arguments, message] : mistakes) {
    const Finished finished = Evaluate(arguments);
    EXPECT_EQ(finished.exit_code, 1) << message;
    EXPECT_THAT(finished.output, HasSubstr(InJson(message)));
  }
  EXPECT_EQ(Evaluate({log, "--test-events", "1", "--mode", "melted"}).exit_code, 2);
}

}  // namespace
}  // namespace groundswell
