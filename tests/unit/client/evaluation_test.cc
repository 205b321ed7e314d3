// The protocol of an evaluation against a server in this process whose right answers are known.
#include "client/evaluate/evaluation.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <google/protobuf/util/time_util.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <mutex>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <sstream>

#include "client/evaluate/evaluation_report.h"
#include "groundswell/v1/admin.grpc.pb.h"
#include "groundswell/v1/interaction.grpc.pb.h"
#include "groundswell/v1/recommend.grpc.pb.h"
#include "tests/unit/client/loopback_server.h"

namespace groundswell {
namespace {

using google::protobuf::util::TimeUtil;
using testing::ElementsAre;
using testing::HasSubstr;

// Lists the items of the log, the newest first, each once; with a source asked for, the oldest
// first. An acknowledged event is visible to a list that brings its token, and to no other.
class NewestFirstServer final : public v1::RecommendationService::Service,
                                public v1::InteractionService::Service,
                                public v1::AdminService::Service {
 public:
  grpc::Status BatchRecommend(grpc::ServerContext*, const v1::BatchRecommendRequest* request,
                              v1::BatchRecommendResponse* response) override {
    const std::lock_guard<std::mutex> lock(mutex);
    ++calls;
    if (--calls_before_outage == 0) return {grpc::StatusCode::UNAVAILABLE, "away"};
    for (const v1::RecommendRequest& one : request->requests()) {
      auto& entry = *response->add_entries();
      if (one.ranker() == "no-such") {
        entry.mutable_status()->set_code(5);
        entry.mutable_status()->set_message("no model \"no-such\"");
      } else {
        List(one, *entry.mutable_response());
      }
    }
    return grpc::Status::OK;
  }

  grpc::Status SimilarItems(grpc::ServerContext*, const v1::SimilarItemsRequest* request,
                            v1::SimilarItemsResponse*) override {
    const std::lock_guard<std::mutex> lock(mutex);
    ++probes;
    if (catalogue.contains(request->item_id())) return grpc::Status::OK;
    return {grpc::StatusCode::NOT_FOUND, "no item"};
  }

  grpc::Status Ingest(
      grpc::ServerContext*,
      grpc::ServerReaderWriter<v1::IngestResponse, v1::IngestRequest>* stream) override {
    v1::IngestRequest request;
    while (stream->Read(&request)) {
      v1::IngestResponse response;
      {
        const std::lock_guard<std::mutex> lock(mutex);
        for (int i = 0; i < request.interactions_size(); ++i)
          Take(request.interactions(i), i, response);
        response.set_last_offset(static_cast<int64_t>(log.size()));
        response.set_consistency_token(std::to_string(log.size()));
      }
      stream->Write(response);
    }
    return grpc::Status::OK;
  }

  grpc::Status GetServerStatus(grpc::ServerContext*, const v1::GetServerStatusRequest*,
                               v1::ServerStatus* response) override {
    const std::lock_guard<std::mutex> lock(mutex);
    response->mutable_snapshot()->set_version("s@1");
    response->mutable_graph()->set_applied_offset(1'000'000);
    *response->mutable_graph()->mutable_newest_event_time() =
        TimeUtil::SecondsToTimestamp(newest_s);
    return grpc::Status::OK;
  }

  grpc::Status UpsertItem(grpc::ServerContext*, const v1::UpsertItemRequest* request,
                          v1::UpsertItemResponse*) override {
    const std::lock_guard<std::mutex> lock(mutex);
    catalogue.insert(request->item_id());
    return grpc::Status::OK;
  }

  std::mutex mutex;
  std::set<std::string> catalogue = {"a", "b", "c", "d"};
  std::vector<std::string> log;  // items, in the order of arrival
  std::set<std::string> event_ids;
  int64_t newest_s = 0;
  int calls = 0;
  int probes = 0;
  int calls_before_outage = 0;
  int stale_answers = 0;  // so many lists more say that they are stale
  bool include_seen = false;

 private:
  void List(const v1::RecommendRequest& request, v1::RecommendResponse& response) {
    const size_t visible =
        request.consistency_token().empty() ? 0 : std::stoul(request.consistency_token());
    std::vector<std::string> items(log.begin(), log.begin() + static_cast<ptrdiff_t>(visible));
    if (request.only_sources().empty()) std::ranges::reverse(items);
    std::set<std::string> listed;
    for (const std::string& item : items) {
      if (listed.insert(item).second) response.add_items()->set_item_id(item);
    }
    if (!request.skip_ranking()) response.set_ranker("model");
    if (stale_answers > 0) {
      --stale_answers;
      response.add_degradations(v1::DEGRADATION_STALE_STATE);
    }
    response.set_snapshot_version("s@1");
    include_seen = request.filter().include_seen();
  }

  void Take(const v1::Interaction& interaction, int index, v1::IngestResponse& response) {
    if (!catalogue.contains(interaction.item_id())) {
      auto& refusal = *response.add_refusals();
      refusal.set_index(index);
      refusal.mutable_status()->set_code(3);
      refusal.mutable_status()->set_message("item not known");
    } else if (!event_ids.insert(interaction.event_id()).second) {
      response.set_duplicate_count(response.duplicate_count() + 1);
    } else {
      log.push_back(interaction.item_id());
      response.set_accepted_count(response.accepted_count() + 1);
    }
  }
};

class EvaluationTest : public testing::Test {
 protected:
  EvaluationTest() {
    client_ = std::make_unique<Client>(Client::Options{.address = server_.address()});
    options_.retry_for = std::chrono::seconds(20);
  }

  // One event a second from second 100 on, by the users u0, u1, u2, u0, ..., on these items.
  absl::Status Run(const std::vector<std::string>& items,
                   const std::vector<std::string>& lists = {"blend"}) {
    std::string csv = "timestamp,user,item\n";
    for (size_t at = 0; at < items.size(); ++at) {
      csv += fmt::format("{},u{},{}\n", 100 + at, at % 3, items[at]);
    }
    return RunCsv(csv, lists);
  }

  absl::Status RunCsv(const std::string& csv, const std::vector<std::string>& names) {
    std::istringstream input(csv);
    EventReader reader(input, {.id_prefix = "test"});
    std::vector<EvaluatedList> parsed;
    for (const std::string& name : names) parsed.push_back(*ParseEvaluatedList(name));
    lists_ =
        std::make_unique<EvaluatedLists>(*client_, parsed,
                                         EvaluatedLists::Options{.include_seen = include_seen_,
                                                                 .retry_for = options_.retry_for,
                                                                 .stopped = options_.stopped});
    report_ = EvaluationReport();
    return Evaluate(
        *client_, reader, options_, [](const EvaluationReport&, uint64_t) {}, *lists_, report_);
  }

  const EvaluatedListReport& List(size_t at = 0) const { return lists_->reports()[at]; }
  double Mrr(size_t at = 0) const { return List(at).metrics.Summarise().mrr.mean; }

  NewestFirstServer service_;
  LoopbackServer server_{{static_cast<v1::RecommendationService::Service*>(&service_),
                          static_cast<v1::InteractionService::Service*>(&service_),
                          static_cast<v1::AdminService::Service*>(&service_)}};
  std::unique_ptr<Client> client_;
  EvaluationOptions options_;
  bool include_seen_ = false;
  std::unique_ptr<EvaluatedLists> lists_;
  EvaluationReport report_;
};

// Before the third event the list is b, a: b stands first. Before the fourth it is b, a again.
TEST_F(EvaluationTest, EveryListKnowsAllEventsBeforeItsOwnAndNoneBehind) {
  ASSERT_TRUE(Run({"a", "b", "b", "a", "c"}).ok());
  EXPECT_EQ(report_.test_events, 5u);
  EXPECT_EQ(report_.asked_events, 5u);
  EXPECT_EQ(report_.accepted, 5u);
  EXPECT_EQ(List().empty, 1u);
  EXPECT_DOUBLE_EQ(Mrr(), (0 + 0 + 1 + 0.5 + 0) / 5);
  EXPECT_THAT(service_.log, ElementsAre("a", "b", "b", "a", "c"));
  EXPECT_EQ(service_.calls, 5);
}

TEST_F(EvaluationTest, TheListsOfAnEventShareCalls) {
  ASSERT_TRUE(Run({"a", "b", "b", "a"}, {"blend", "popular", "blend-ranked"}).ok());
  EXPECT_EQ(service_.calls, 4 * 2) << "two at once";
  EXPECT_DOUBLE_EQ(Mrr(0), (1 + 0.5) / 4);
  EXPECT_DOUBLE_EQ(Mrr(1), (0.5 + 1) / 4);
  EXPECT_EQ(List(1).not_ranked, 0u) << "no ranker was asked for";
  EXPECT_EQ(List(2).not_ranked, 0u);
  EXPECT_EQ(List(2).name, "blend-ranked");
}

TEST_F(EvaluationTest, FrozenAsksTheSameAndIngestsNothing) {
  options_.frozen = true;
  options_.ingest_first = true;
  options_.test_from_us = 102'000'000;
  ASSERT_TRUE(Run({"a", "b", "b", "a", "b", "c"}).ok());
  EXPECT_EQ(report_.records_before, 2u);
  EXPECT_EQ(report_.asked_events, 4u);
  EXPECT_THAT(service_.log, ElementsAre("a", "b"));
  EXPECT_DOUBLE_EQ(Mrr(), (1 + 0.5 + 1 + 0) / 4);
  EXPECT_EQ(service_.calls, 2) << "lists that cannot change each other share a call";
}

TEST_F(EvaluationTest, TheTestBeginsAtItsTimeAndRecordAndEndsAfterItsEvents) {
  options_.test_from_us = 101'500'000;
  options_.test_events = 2;
  ASSERT_TRUE(Run({"a", "b", "b", "a", "c"}).ok());
  EXPECT_EQ(report_.records_before, 2u);
  EXPECT_EQ(report_.test_events, 2u);
  EXPECT_THAT(service_.log, ElementsAre("b", "a")) << "what precedes the test was there already";
  options_.test_from_us.reset();
  options_.test_from_record = 5;
  ASSERT_TRUE(Run({"a", "b", "b", "a", "c"}).ok());
  EXPECT_EQ(report_.records_before, 4u);
  EXPECT_EQ(report_.test_events, 1u);
}

TEST_F(EvaluationTest, ALateEventOfTheTestStaysInIt) {
  options_.test_from_us = 200'000'000;
  ASSERT_TRUE(RunCsv("timestamp,user,item\n100,u,a\n200,u,a\n150,u,b\n201,u,b\n", {"blend"}).ok());
  EXPECT_EQ(report_.records_before, 1u);
  EXPECT_EQ(report_.test_events, 3u);
  EXPECT_EQ(report_.out_of_order, 1u);
}

TEST_F(EvaluationTest, ASampleIsAskedForAndAllIsIngested) {
  options_.every = 3;
  std::vector<std::string> items(300, "a");
  ASSERT_TRUE(Run(items).ok());
  EXPECT_EQ(report_.test_events, 300u);
  EXPECT_EQ(report_.accepted, 300u);
  uint64_t drawn = 0;
  for (uint64_t record = 1; record <= 300; ++record) drawn += IsAsked(record, 3, 1) ? 1 : 0;
  EXPECT_EQ(report_.asked_events, drawn);
  EXPECT_GT(drawn, 70u);
  EXPECT_LT(drawn, 130u);
  uint64_t same = 0;
  for (uint64_t record = 1; record <= 300; ++record) {
    same += IsAsked(record, 3, 1) && IsAsked(record, 3, 2) ? 1 : 0;
  }
  EXPECT_LT(same, drawn) << "another seed draws others";
}

// Of two users, one of whom takes an item again, before the test and in it.
TEST_F(EvaluationTest, WhatIsTakenAgainIsNotAskedForWhereOnlyFirstOnesAre) {
  const std::string csv =
      "timestamp,user,item\n100,u,a\n200,u,a\n201,v,a\n202,u,b\n203,u,b\n204,v,b\n";
  options_.test_from_us = 200'000'000;
  ASSERT_TRUE(RunCsv(csv, {"blend"}).ok());
  EXPECT_EQ(report_.asked_events, 5u);
  options_.first_only = true;
  ASSERT_TRUE(RunCsv(csv, {"blend"}).ok());
  EXPECT_EQ(report_.asked_events, 3u);
  EXPECT_EQ(report_.test_events, 5u);
}

TEST_F(EvaluationTest, ItemsTheServerLacksAreMissedAndRefused) {
  ASSERT_TRUE(Run({"new", "new", "a"}).ok());
  EXPECT_EQ(report_.unknown_items, 2u);
  EXPECT_EQ(report_.refused, 2u);
  EXPECT_EQ(report_.accepted, 1u);
  EXPECT_THAT(report_.reasons, ElementsAre("item not known (2 times)"));
  EXPECT_EQ(service_.probes, 2) << "an item is asked about once";
}

TEST_F(EvaluationTest, ItemsTheServerLacksAreCreatedBehindTheFirstQuestion) {
  options_.create_items = true;
  ASSERT_TRUE(Run({"new", "new", "a", "new"}).ok());
  EXPECT_EQ(report_.unknown_items, 1u);
  EXPECT_EQ(report_.created_items, 1u);
  EXPECT_EQ(report_.refused, 0u);
  EXPECT_DOUBLE_EQ(Mrr(), (0 + 1 + 0 + 0.5) / 4);
  EXPECT_EQ(List().new_items, 3u);
  EXPECT_THAT(List().new_item_hits, ElementsAre(2, 2, 2));
}

TEST_F(EvaluationTest, ItemsCreatedBeforeTheTestAreNotNewInIt) {
  options_.create_items = true;
  options_.ingest_first = true;
  options_.test_from_record = 2;
  ASSERT_TRUE(Run({"new", "new", "newer", "newer"}).ok());
  EXPECT_EQ(report_.created_items, 2u);
  EXPECT_EQ(List().new_items, 2u);
  EXPECT_THAT(List().new_item_hits, ElementsAre(1, 1, 1));
}

TEST_F(EvaluationTest, StaleAnswersAreAskedForAgain) {
  service_.stale_answers = 2;
  ASSERT_TRUE(Run({"a", "a"}).ok());
  EXPECT_EQ(lists_->asked_again(), 2u);
  EXPECT_EQ(List().stale, 0u);
}

TEST_F(EvaluationTest, AnswersThatStayStaleAreCountedAsTheyAre) {
  service_.stale_answers = 1'000;
  ASSERT_TRUE(Run({"a", "a"}).ok());
  EXPECT_EQ(List().stale, 2u);
  EXPECT_EQ(List().degraded, 0u);
  EXPECT_DOUBLE_EQ(Mrr(), 0.5);
}

TEST_F(EvaluationTest, AnOutageIsWaitedFor) {
  service_.calls_before_outage = 2;
  ASSERT_TRUE(Run({"a", "a", "a"}).ok());
  EXPECT_EQ(report_.asked_events, 3u);
  EXPECT_DOUBLE_EQ(Mrr(), 2.0 / 3);
}

TEST_F(EvaluationTest, ARequestThatIsWrongEndsItAndNamesTheList) {
  const absl::Status status = Run({"a", "a"}, {"blend", "blend-ranked:no-such"});
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("list \"blend-ranked:no-such\": no model"));
}

TEST_F(EvaluationTest, StoppedItKeepsWhatWasMeasured) {
  options_.stopped = [this] {
    const std::lock_guard<std::mutex> lock(service_.mutex);
    return service_.log.size() >= 3;
  };
  EXPECT_TRUE(absl::IsCancelled(Run({"a", "a", "a", "a", "a", "a"})));
  EXPECT_GE(report_.asked_events, 2u);
  EXPECT_LT(report_.asked_events, 6u);
  EXPECT_EQ(List().metrics.events(), report_.asked_events);
}

TEST_F(EvaluationTest, WhatTheServerKnowsTooEarlyIsAWarning) {
  service_.newest_s = 1'000;
  ASSERT_TRUE(Run({"a", "b"}).ok());
  ASSERT_EQ(report_.warnings.size(), 1u);
  EXPECT_THAT(report_.warnings[0], HasSubstr("may know the events of the test"));
  service_.newest_s = 100;
  ASSERT_TRUE(Run({"a", "b"}).ok());
  EXPECT_TRUE(report_.warnings.empty());
  EXPECT_EQ(report_.duplicates, 2u) << "they were ingested by the first run";
}

TEST_F(EvaluationTest, BadRecordsEndItOrAreCounted) {
  const std::string csv = "timestamp,user,item\n100,u,a\nnever,u,a\n102,u,a\n";
  EXPECT_TRUE(absl::IsInvalidArgument(RunCsv(csv, {"blend"})));
  EXPECT_EQ(report_.asked_events, 1u);
  options_.skip_bad_records = true;
  ASSERT_TRUE(RunCsv(csv, {"blend"}).ok());
  EXPECT_EQ(report_.bad_records, 1u);
  EXPECT_EQ(report_.asked_events, 2u);
}

TEST_F(EvaluationTest, ALogWithoutATestIsAnError) {
  options_.test_from_us = 500'000'000;
  const absl::Status status = Run({"a", "b"});
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("2 events"));
}

TEST_F(EvaluationTest, SeenItemsAreAskedForOnlyWhenWanted) {
  ASSERT_TRUE(Run({"a"}).ok());
  EXPECT_FALSE(service_.include_seen);
  include_seen_ = true;
  ASSERT_TRUE(Run({"a"}).ok());
  EXPECT_TRUE(service_.include_seen);
}

TEST_F(EvaluationTest, TheReportsSayTheSameForPeopleAndPrograms) {
  ASSERT_TRUE(Run({"a", "b", "b", "a"}, {"blend", "popular"}).ok());
  const EvaluationResult result{
      .log = "events.csv", .options = options_, .lists = *lists_, .report = report_};
  const nlohmann::json json = nlohmann::json::parse(EvaluationJson(result));
  EXPECT_EQ(json["settings"]["mode"], "live");
  EXPECT_EQ(json["settings"]["test_from"], nullptr);
  EXPECT_EQ(json["server"]["snapshot"], "s@1");
  EXPECT_EQ(json["lists"][0]["hit_rate"]["20"]["mean"], 0.5);
  EXPECT_LT(json["lists"][0]["hit_rate"]["20"]["low"], 0.5);
  EXPECT_EQ(json["lists"][1]["name"], "popular");
  EXPECT_EQ(json["lists"][1]["empty"], 1);
  EXPECT_EQ(json["interrupted"], false);
  const std::string table = EvaluationTable(result);
  EXPECT_THAT(table, HasSubstr(".5000"));
  // Two blanks and more lie between columns.
  const std::regex cell("\\S+( \\S+)*");
  std::istringstream lines(table);
  std::vector<ptrdiff_t> counts;
  for (std::string line; counts.size() < 3 && std::getline(lines, line);) {
    counts.push_back(std::distance(std::sregex_iterator(line.begin(), line.end(), cell), {}));
  }
  EXPECT_THAT(counts, testing::Each(counts[0])) << "a title for every column\n" << table;
  EXPECT_THAT(table, HasSubstr("live: 4 of 4 test events asked for behind 0 events"));
}

TEST(ParseEvaluatedListTest, NamesSaySourcesAndRanking) {
  const auto blend = ParseEvaluatedList("blend");
  ASSERT_TRUE(blend.ok());
  EXPECT_TRUE(blend->request.skip_ranking());
  EXPECT_TRUE(blend->request.only_sources().empty());
  const auto two = ParseEvaluatedList("random-walk+next-items-ranked:dot");
  ASSERT_TRUE(two.ok()) << two.status();
  EXPECT_FALSE(two->request.skip_ranking());
  EXPECT_EQ(two->request.ranker(), "dot");
  EXPECT_THAT(two->request.only_sources(),
              ElementsAre(v1::CANDIDATE_SOURCE_RANDOM_WALK, v1::CANDIDATE_SOURCE_NEXT_ITEMS));
  EXPECT_EQ(ParseEvaluatedList("macro-node-ranked")->request.only_sources(0),
            v1::CANDIDATE_SOURCE_MACRO_NODE);
}

TEST(ParseEvaluatedListTest, WhatIsNoListIsNamed) {
  for (const char* name : {"", "popularity", "popular+", "+popular", "blend+popular", "unspecified",
                           "popular-ranked:", "popular-rankedly", "Popular", "source 1"}) {
    const auto list = ParseEvaluatedList(name);
    EXPECT_TRUE(absl::IsInvalidArgument(list.status())) << name;
    EXPECT_THAT(std::string(list.status().message()), HasSubstr(fmt::format("list \"{}\"", name)));
  }
  EXPECT_THAT(std::string(ParseEvaluatedList("x").status().message()),
              HasSubstr("embedding, popular, request, random-walk"));
}

}  // namespace
}  // namespace groundswell
