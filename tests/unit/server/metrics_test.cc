#include "server/process/metrics.h"

#include <gmock/gmock.h>

#include <array>
#include <regex>
#include <set>
#include <sstream>
#include <thread>

#include "graph/fold/interaction_adjacency.h"
#include "index/candidate_source.h"
#include "index/walks/page_rank.h"
#include "index/walks/random_walk.h"

namespace groundswell {
namespace {

using std::chrono::microseconds;
using ::testing::HasSubstr;
using ::testing::Not;

class MetricsTest : public ::testing::Test {
 protected:
  const std::vector<std::string> types_ = {"purchase", "view"};
  Metrics metrics_{types_};
};

TEST_F(MetricsTest, ACallThatNeverSetACodeCountsAsUnknownAndIsTimed) {
  { const RpcScope scope(metrics_.requests(), Method::kRank); }
  const std::string text = metrics_.Render();
  EXPECT_THAT(text, HasSubstr("groundswell_requests_total{code=\"UNKNOWN\",method=\"Rank\"} 1"));
  EXPECT_THAT(text, HasSubstr("groundswell_request_duration_seconds_count{method=\"Rank\"} 1"));
}

TEST_F(MetricsTest, CodesOutsideGrpcsCountAsUnknown) {
  metrics_.requests().CountRequest(Method::kRank, 17, microseconds(1));
  metrics_.requests().CountRequest(Method::kRank, -1, microseconds(1));
  EXPECT_THAT(metrics_.Render(),
              HasSubstr("groundswell_requests_total{code=\"UNKNOWN\",method=\"Rank\"} 2"));
}

TEST_F(MetricsTest, EventTypesThatAreNotConfiguredShareOneLabel) {
  metrics_.events().CountEvents("view", EventOutcome::kAccepted, 3);
  metrics_.events().CountEvents("made up by a caller", EventOutcome::kRefused);
  const std::string text = metrics_.Render();
  EXPECT_THAT(text, HasSubstr("groundswell_events_total{outcome=\"accepted\",type=\"view\"} 3"));
  EXPECT_THAT(text, HasSubstr("groundswell_events_total{outcome=\"refused\",type=\"other\"} 1"));
  EXPECT_THAT(text, Not(HasSubstr("made up")));
}

TEST_F(MetricsTest, WriteErrorsAreThereBeforeTheFirstAndCountByKind) {
  EXPECT_THAT(metrics_.Render(), HasSubstr("groundswell_write_errors_total{kind=\"stale\"} 0"));
  metrics_.durability().CountWriteError(WriteErrorKind::kQuota);
  metrics_.durability().CountWriteError(WriteErrorKind::kQuota);
  const std::string text = metrics_.Render();
  EXPECT_THAT(text, HasSubstr("groundswell_write_errors_total{kind=\"quota\"} 2"));
  EXPECT_THAT(text, HasSubstr("groundswell_write_errors_total{kind=\"other\"} 0"));
}

TEST_F(MetricsTest, UnknownSourcesAreNotCounted) {
  metrics_.pipeline().CountCandidates(0, 5);
  metrics_.pipeline().CountCandidates(1u << 31, 5);
  metrics_.pipeline().CountCandidates(kFromPopular, 7);
  EXPECT_THAT(metrics_.Render(), HasSubstr("groundswell_candidates_total{source=\"popular\"} 7"));
}

TEST_F(MetricsTest, PageRanksAreCounted) {
  metrics_.pipeline().CountPageRank({.pushes = 3, .edges = 700});
  metrics_.pipeline().CountPageRank({.edges = 50, .end = PageRankEnd::kEdgesMax});
  metrics_.pipeline().CountPageRank({.edges = 6, .end = PageRankEnd::kDeadline});
  const std::string text = metrics_.Render();
  EXPECT_THAT(text, HasSubstr("groundswell_page_rank_edges_total 756"));
  EXPECT_THAT(text, HasSubstr("groundswell_page_rank_cut_off_total{by=\"edges_max\"} 1"));
  EXPECT_THAT(text, HasSubstr("groundswell_page_rank_cut_off_total{by=\"deadline\"} 1"));
}

TEST_F(MetricsTest, WalksAndTheirGraphAreCounted) {
  metrics_.pipeline().CountWalk({.steps = 700, .ended_early = 3, .cut_off = false});
  metrics_.pipeline().CountWalk({.steps = 50, .ended_early = 0, .cut_off = true});
  InteractionAdjacency adjacency(100);
  const Edge edge{.item = ItemIndex{1}, .count = 1};
  adjacency.Change({.user = UserIndex{2}, .item = edge.item, .before = {}, .after = {&edge, 1}});
  metrics_.levels().SetAdjacency(adjacency);
  const std::string text = metrics_.Render();
  EXPECT_THAT(text, HasSubstr("groundswell_walk_steps_total 750"));
  EXPECT_THAT(text, HasSubstr("groundswell_walks_ended_early_total{by=\"goal\"} 3"));
  EXPECT_THAT(text, HasSubstr("groundswell_walks_ended_early_total{by=\"deadline\"} 1"));
  EXPECT_THAT(text, HasSubstr("groundswell_adjacency_edges{direction=\"users_of_item\"} 1"));
  EXPECT_THAT(text, HasSubstr("groundswell_adjacency_edges{direction=\"items_of_user\"} 1"));
  EXPECT_THAT(text, HasSubstr("groundswell_adjacency_evicted_edges 0"));
}

TEST_F(MetricsTest, OnlyListsThatProposeHaveAQuality) {
  using Quality = ListMetrics::Quality;
  metrics_.lists().SetQuality(
      std::array{Quality{.list = "served", .interactions = 40, .hit_ratio = .5, .ndcg = .25},
                 Quality{.list = "embedding"},
                 Quality{.list = "next_items",
                         .interactions = 30,
                         .hit_ratio = .75,
                         .ndcg = .5,
                         .served_hit_ratio = .625}});
  std::string text = metrics_.Render();
  EXPECT_THAT(text, HasSubstr("groundswell_list_judged_interactions{list=\"served\"} 40\n"));
  EXPECT_THAT(text, HasSubstr("groundswell_list_hit_ratio{list=\"served\"} 0.5\n"));
  EXPECT_THAT(text, HasSubstr("groundswell_list_ndcg{list=\"next_items\"} 0.5\n"));
  EXPECT_THAT(text, HasSubstr("groundswell_list_served_hit_ratio{list=\"next_items\"} 0.625\n"));
  EXPECT_THAT(text, Not(HasSubstr("list=\"embedding\"")));

  metrics_.lists().SetQuality(
      std::array{Quality{.list = "served"}, Quality{.list = "next_items", .interactions = 1}});
  text = metrics_.Render();
  EXPECT_THAT(text, Not(HasSubstr("list=\"served\"")));
  EXPECT_THAT(text, HasSubstr("groundswell_list_judged_interactions{list=\"next_items\"} 1\n"));
}

TEST_F(MetricsTest, StagesAreTimedInSecondsAndToldToTheRequest) {
  std::chrono::nanoseconds elapsed{-1};
  { const StageTimer timer(metrics_.pipeline(), Stage::kRank, &elapsed); }
  EXPECT_GE(elapsed.count(), 0);
  metrics_.pipeline().ObserveStage(Stage::kRetrieval, microseconds(1'500));
  const std::string text = metrics_.Render();
  EXPECT_THAT(text, HasSubstr("groundswell_stage_duration_seconds_count{stage=\"rank\"} 1"));
  EXPECT_THAT(text, HasSubstr("stage_duration_seconds_sum{stage=\"retrieval\"} 0.0015"));
  EXPECT_THAT(text, HasSubstr("seconds_bucket{stage=\"retrieval\",le=\"0.001\"} 0"));
  EXPECT_THAT(text, HasSubstr("seconds_bucket{stage=\"retrieval\",le=\"0.002\"} 1"));
}

TEST_F(MetricsTest, ANewSnapshotReplacesTheOldLabel) {
  metrics_.served().SetSnapshot("retail@1");
  metrics_.served().SetSnapshot("retail@2");
  metrics_.served().SetIndex("Flat", "AVX2");
  const std::string text = metrics_.Render();
  EXPECT_THAT(text, HasSubstr("groundswell_snapshot_info{version=\"retail@2\"} 1"));
  EXPECT_THAT(text, Not(HasSubstr("retail@1")));
  EXPECT_THAT(text, HasSubstr("groundswell_index_info{kind=\"Flat\",simd=\"AVX2\"} 1"));
}

TEST_F(MetricsTest, RankersAreReplacedByThoseOfTheNextSnapshot) {
  const std::vector<std::pair<std::string, std::string>> before{{"macgnn", "f32"}, {"dot", "f32"}};
  metrics_.served().SetRankers(before);
  const std::vector<std::pair<std::string, std::string>> now{{"macgnn", "bf16 (AVX512_BF16)"}};
  metrics_.served().SetRankers(now);
  const std::string text = metrics_.Render();
  EXPECT_THAT(text,
              HasSubstr("ranker_info{arithmetic=\"bf16 (AVX512_BF16)\",ranker=\"macgnn\"} 1"));
  EXPECT_THAT(text, Not(HasSubstr("ranker=\"dot\"")));
}

TEST_F(MetricsTest, ParityIsThatOfTheServedModels) {
  metrics_.served().SetParity({{"macgnn", 2e-6}, {"dot", 0}});
  EXPECT_THAT(metrics_.Render(), HasSubstr("parity_max_abs_error{model=\"dot\"} 0"));
  metrics_.served().SetParity({{"macgnn", 0.5}});
  const std::string text = metrics_.Render();
  EXPECT_THAT(text, HasSubstr("groundswell_parity_max_abs_error{model=\"macgnn\"} 0.5"));
  EXPECT_THAT(text, Not(HasSubstr("model=\"dot\"")));
}

TEST_F(MetricsTest, GaugesAreFreshAtEveryScrape) {
  Offset applied = 5;
  metrics_.OnScrape([&applied](Metrics& metrics) { metrics.levels().SetOffsets(12, applied); });
  metrics_.CollectRocksDb([] { return NamedValues{{"block_cache_usage_bytes", 7}}; });
  EXPECT_THAT(metrics_.Render(), HasSubstr("groundswell_apply_lag_records 7"));
  applied = 12;
  const std::string text = metrics_.Render();
  EXPECT_THAT(text, HasSubstr("groundswell_apply_lag_records 0"));
  EXPECT_THAT(text, HasSubstr("groundswell_log_end_offset 12"));
  EXPECT_THAT(text, HasSubstr("groundswell_rocksdb_block_cache_usage_bytes 7"));
}

TEST_F(MetricsTest, TheProcessTellsItsStandardFigures) {
  const std::string text = metrics_.Render();
  for (const char* name : {"process_resident_memory_bytes", "process_cpu_seconds_total",
                           "process_open_fds", "process_start_time_seconds"}) {
    const std::regex line("\n" + std::string(name) + " ([0-9.e+]+)");
    std::smatch match;
    ASSERT_TRUE(std::regex_search(text, match, line)) << name;
    EXPECT_GE(std::stod(match[1]), 0) << name;
  }
}

TEST_F(MetricsTest, NamesFollowPrometheusRulesAndNothingIsASummary) {
  std::istringstream text(metrics_.Render());
  std::set<std::string> seen;
  for (std::string line; std::getline(text, line);) {
    std::istringstream words(line);
    std::string hash, keyword, name, type;
    words >> hash >> keyword >> name >> type;
    if (keyword != "TYPE") continue;
    EXPECT_TRUE(seen.insert(name).second) << name;
    EXPECT_NE(type, "summary") << name;
    EXPECT_TRUE(name.starts_with("groundswell_") || name.starts_with("process_")) << name;
    EXPECT_EQ(type == "counter", name.ends_with("_total")) << name;
    // Durations in seconds; shares; and what is no quantity with a unit.
    EXPECT_TRUE(type != "histogram" || name.ends_with("_seconds") || name.ends_with("_ratio") ||
                name == "groundswell_list_candidates" || name == "groundswell_list_first_score")
        << name;
  }
  EXPECT_GE(seen.size(), 20u);
}

TEST_F(MetricsTest, ThreadsCountWhileAnotherScrapes) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([this] {
      for (int i = 0; i < 500; ++i) {
        RpcScope scope(metrics_.requests(), Method::kRecommend);
        scope.set_code(0);
        metrics_.events().CountFolded("view", FoldOutcome::kApplied);
      }
    });
  }
  for (int i = 0; i < 20; ++i) {
    metrics_.served().SetSnapshot(std::to_string(i));
    EXPECT_FALSE(metrics_.Render().empty());
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(metrics_.Render(),
              HasSubstr("groundswell_requests_total{code=\"OK\",method=\"Recommend\"} 1500"));
}

}  // namespace
}  // namespace groundswell
