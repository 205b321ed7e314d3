// Lists in the order of the blend, with and without a ranker, and what decides alone when it is
// named; what the blend is fed with, and where its weights come from.
#include "server/pipeline/blend_order.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "blend/weights_file.h"
#include "graph/state/user_edges.h"
#include "server/pipeline/pipeline.h"
#include "server/pipeline/visit.h"
#include "server/serving/snapshot_staging.h"
#include "tests/support/snapshot_fixture.h"
#include "tests/support/temporary_directory.h"
#include "tests/unit/server/live_sample.h"

namespace groundswell {
namespace {

using std::chrono::hours;
using std::chrono::steady_clock;

class BlendOrderTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { loaded_ = new LiveSample; }
  static void TearDownTestSuite() { delete loaded_; }

  RankedList RecommendOf(const RecommendQuery& query) {
    StageDurations durations;
    const auto list = pipeline_.Recommend(query, ComputeThread{.number = 0}, durations);
    EXPECT_TRUE(list.ok()) << list.status();
    return *list;
  }
  static std::vector<std::pair<ItemIndex, float>> ScoresOf(const RankedList& list) {
    std::vector<std::pair<ItemIndex, float>> scores;
    for (const Candidate& candidate : list.items) {
      scores.emplace_back(candidate.item, candidate.score);
    }
    return scores;
  }
  static std::vector<std::pair<ItemIndex, float>> SortedScoresOf(const RankedList& list) {
    auto scores = ScoresOf(list);
    std::ranges::sort(scores);
    return scores;
  }

  static inline LiveSample* loaded_ = nullptr;
  Metrics metrics_{std::vector<std::string>{"purchase"}};
  Pipeline pipeline_{*loaded_->state, metrics_.pipeline(),
                     Pipeline::Options{.retrieval = {.ranked = Retrieval::kAllCandidates}},
                     /*compute_threads=*/1};
};

TEST_F(BlendOrderTest, ARankerThatWasNamedDecidesAloneAmongTheSameItems) {
  RecommendQuery query{.user_id = kCustomer,
                       .ranker = loaded_->state->snapshot->FindRanker("macgnn"),
                       .ranker_alone = true,
                       .deadline = steady_clock::now() + hours(1)};
  const RankedList alone = RecommendOf(query);
  EXPECT_EQ(alone.ranker, "macgnn");
  for (size_t i = 1; i < alone.items.size(); ++i) {
    EXPECT_GE(alone.items[i - 1].score, alone.items[i].score);
  }
  query.ranker_alone = false;
  const RankedList blended = RecommendOf(query);
  EXPECT_NE(ScoresOf(blended), ScoresOf(alone));
  EXPECT_EQ(SortedScoresOf(blended), SortedScoresOf(alone)) << "the probabilities are the same";
}

// Choose and then rank, by the blend's own functions over all features at once.
TEST_F(BlendOrderTest, AListIsWhatTheBlendSaysWithAndWithoutARanker) {
  const ServingState& state = *loaded_->state;
  const OverlaidUser user{.state = **state.generation.ReadUser(kCustomer), .joined = {}};
  for (const bool skip_ranking : {true, false}) {
    const RecommendQuery query{.user_id = kCustomer,
                               .rules = {.include_seen = true},
                               .ranker = state.snapshot->FindRanker(""),
                               .deadline = steady_clock::now() + hours(1),
                               .skip_ranking = skip_ranking};
    const RankedList list = RecommendOf(query);
    Retrieval::Scratch retrieved;
    const Retrieval retrieval(state, metrics_.pipeline(), {});
    const ItemFilter all;
    const auto found = retrieval.Propose({.user = &user,
                                          .filter = all,
                                          .filter_with_seen = all,
                                          .include_seen = true,
                                          .categories = {},
                                          .seed = std::hash<std::string>{}(kCustomer),
                                          .newest_event_us = list.newest_event_time_us,
                                          .items_min = query.page_size,
                                          .deadline = query.deadline},
                                         {.number = 0}, retrieved);
    BlendOrder::Scratch scratch;
    std::vector<Candidate> items;
    BlendOrder(state).Choose(retrieved.table,
                             {.user = &user.state,
                              .vector = retrieved.vector,
                              .newest = retrieved.recent.newest,
                              .after_newest = &retrieved.of_sources.next_items.strengths,
                              .newest_item_us = retrieved.recent.items.front().time_us,
                              .now_us = list.newest_event_time_us,
                              .with_seen = true},
                             found.candidates_max, scratch, items);
    std::vector<float> logits;
    if (!skip_ranking) {
      logits =
          *pipeline_.ScoreAgain(*query.ranker, kCustomer, items, query.rules.now_us, {.number = 0});
      BlendOrder::ChooseRanked(items, scratch.scores, items.size(), scratch);
      BlendOrder(state).AddRanker(items, logits, scratch);
    }
    std::vector<float> scores(items.size());
    ScoreBlend(state.blend_weights.Read(), scratch.features, scratch.context, scores);
    std::vector<uint32_t> order(items.size());
    std::iota(order.begin(), order.end(), 0);
    std::ranges::sort(order, [&](uint32_t a, uint32_t b) {
      return scores[a] != scores[b] ? scores[a] > scores[b] : items[a].item < items[b].item;
    });
    ASSERT_EQ(list.items.size(), items.size());
    for (size_t at = 0; at < order.size(); ++at) {
      EXPECT_EQ(list.items[at].item, items[order[at]].item) << at;
      EXPECT_EQ(list.items[at].sources, items[order[at]].sources);
      const float score = skip_ranking ? scores[order[at]] : 1 / (1 + std::exp(-logits[order[at]]));
      EXPECT_EQ(list.items[at].score, score) << at;
    }
  }
}

// The ranker is asked about the best by the blend alone; what it did not see has no vote of it.
TEST_F(BlendOrderTest, TheRankerSeesTheBestOfTheBlendAndTheOthersAreOrderedWithoutIt) {
  constexpr size_t kRanked = 5;
  Pipeline cascade(*loaded_->state, metrics_.pipeline(), {.retrieval = {.ranked = kRanked}},
                   /*compute_threads=*/1);
  RecommendQuery query{.user_id = kCustomer,
                       .ranker = loaded_->state->snapshot->FindRanker(""),
                       .deadline = steady_clock::now() + hours(1),
                       .skip_ranking = true,
                       .explain_items = 2 * kRanked};
  const RankedList without = RecommendOf(query);
  query.skip_ranking = false;
  const RankedList all = RecommendOf(query);
  StageDurations durations;
  const RankedList list = *cascade.Recommend(query, ComputeThread{.number = 0}, durations);
  ASSERT_EQ(list.items.size(), without.items.size());
  EXPECT_EQ(list.ranker, query.ranker->name());
  ASSERT_EQ(list.blend_terms.size(), 2 * kRanked);
  std::map<ItemIndex, float> probability;
  for (const Candidate& candidate : all.items) probability[candidate.item] = candidate.score;
  std::set<ItemIndex> best;
  for (const Candidate& candidate : std::span(without.items).first(kRanked)) {
    best.insert(candidate.item);
  }
  for (size_t at = 0; at < list.items.size(); ++at) {
    const Candidate& candidate = list.items[at];
    const bool is_ranked = best.contains(candidate.item);
    EXPECT_EQ(candidate.score, is_ranked ? probability[candidate.item] : 0) << at;
    if (at >= list.blend_terms.size()) continue;
    const bool has_vote = std::ranges::any_of(
        list.blend_terms[at],
        [](const BlendTermOfItem& term) { return term.feature >= kBlendRankerBegin; });
    EXPECT_EQ(has_vote, is_ranked) << at;
  }
  // With the weights of the beginning a vote never counts against an item.
  std::vector<ItemIndex> unseen, unseen_without;
  for (const Candidate& one : std::span(list.items).subspan(kRanked)) unseen.push_back(one.item);
  for (const Candidate& one : std::span(without.items).subspan(kRanked)) {
    unseen_without.push_back(one.item);
  }
  EXPECT_EQ(unseen, unseen_without) << "their own order stays";
}

TEST_F(BlendOrderTest, ARankerThatWasNamedAndRankSeeEverything) {
  Pipeline cascade(*loaded_->state, metrics_.pipeline(), {.retrieval = {.ranked = 10}},
                   /*compute_threads=*/1);
  RecommendQuery query{.user_id = kCustomer,
                       .ranker = loaded_->state->snapshot->FindRanker("macgnn"),
                       .ranker_alone = true,
                       .deadline = steady_clock::now() + hours(1)};
  StageDurations durations;
  const RankedList list = *cascade.Recommend(query, ComputeThread{.number = 0}, durations);
  EXPECT_EQ(ScoresOf(list), ScoresOf(RecommendOf(query)));
  query.only_sources = kFromEmbedding;
  query.ranker_alone = false;
  const RankedList of_one = *cascade.Recommend(query, ComputeThread{.number = 0}, durations);
  EXPECT_EQ(ScoresOf(of_one), ScoresOf(RecommendOf(query)));
}

TEST_F(BlendOrderTest, TheBlendIsFedWithWhatTheLiveGraphKnows) {
  const ServingState& state = *loaded_->state;
  const OverlaidUser user{.state = **state.generation.ReadUser(kCustomer), .joined = {}};
  const ItemIndex own = user.state.edges[0].item;
  const std::span<const Edge> edges = user.state.EdgesTo(own);
  const int64_t now_us = edges.back().last.time_us + 3'600'000'000;
  CandidateTable table;
  table.Reset(2);
  const Candidate proposed[] = {{.item = own, .score = 8}, {.item = ItemIndex{1}, .score = 2}};
  table.Add(kFromTrending, proposed);
  BlendOrder::Scratch scratch;
  std::vector<Candidate> items;
  BlendOrder(state).Choose(table, {.user = &user.state, .now_us = now_us}, 10, scratch, items);
  const auto value = [&](std::string_view name, size_t candidate) {
    for (size_t feature = 0; feature < kBlendFeatures; ++feature) {
      if (BlendFeatureName(feature) == name) return scratch.features.Feature(feature)[candidate];
    }
    ADD_FAILURE() << name;
    return 0.0f;
  };
  EXPECT_EQ(value("own.taken", 0), 1);
  EXPECT_EQ(value("own.taken", 1), user.state.Has(ItemIndex{1}) ? 1 : 0);
  EXPECT_NEAR(value("own.often", 0), std::log2(1.0 + static_cast<double>(SumOf(edges))) / 8, 1e-5);
  EXPECT_NEAR(value("own.lately", 0), 1 - std::log2(3601.0) / 25, 1e-5);
  EXPECT_EQ(value("own_category.taken", 0), 1);
  EXPECT_NEAR(value("item.young", 0),
              1 - std::log2(1.0 + state.item_ages->MeanAge(own, now_us)) / 25, 1e-5);
  float share = 0;
  const Candidate of_own{.item = own};
  state.fading_counts->Shares(4, {&of_own, 1}, {&share, 1});
  EXPECT_NEAR(value("popularity.month", 0), 1 + std::log2(share) / 20, 1e-5);
  EXPECT_EQ(value("trending.first", 1), .5f);
  EXPECT_EQ(value("trending.share_of_best", 1), .25f);
  EXPECT_EQ(value("popular.proposed", 0), 0);
  EXPECT_EQ(value("live_vector.product", 0), 0) << "nothing is known of the vector";
}

TEST_F(BlendOrderTest, TheBlendIsToldWhatEachOfTheNewestItemsSaysOfACandidate) {
  const ServingState& state = *loaded_->state;
  const std::vector<ItemIndex> newest = {ItemIndex{5}, ItemIndex{6}};
  ItemTable<NextItems::Strengths> after;
  after.Reset(2);
  after[ItemIndex{5}] = {0, 4, 0};
  after[ItemIndex{1}] = {2, 1, 0};
  CandidateTable table;
  table.Reset(3);
  const Candidate proposed[] = {
      {.item = ItemIndex{5}}, {.item = ItemIndex{1}}, {.item = ItemIndex{2}}};
  table.Add(kFromTrending, proposed);
  BlendOrder::Scratch scratch;
  BlendOrder(state).Extract(table, {.newest = newest, .after_newest = &after}, scratch);
  const auto values = [&](std::string_view name) {
    for (size_t feature = 0; feature < kBlendFeatures; ++feature) {
      if (BlendFeatureName(feature) == name) return scratch.features.Feature(feature);
    }
    ADD_FAILURE() << name;
    return std::span<const float>();
  };
  EXPECT_THAT(values("after_newest.share_of_best"), testing::ElementsAre(0, 1, 0));
  EXPECT_THAT(values("after_second.share_of_best"), testing::ElementsAre(1, .25f, 0));
  EXPECT_THAT(values("after_third.share_of_best"), testing::Each(0.0f));
}

TEST_F(BlendOrderTest, TheTermsOfAnItemAddUpToItsScore) {
  RecommendQuery query{.user_id = kCustomer,
                       .ranker = loaded_->state->snapshot->FindRanker(""),
                       .deadline = steady_clock::now() + hours(1),
                       .skip_ranking = true,
                       .explain_items = 5};
  const RankedList list = RecommendOf(query);
  ASSERT_EQ(list.blend_terms.size(), 5u);
  for (size_t at = 0; at < 5; ++at) {
    double sum = 0;
    for (const BlendTermOfItem& term : list.blend_terms[at]) sum += double{term.contribution};
    EXPECT_NEAR(sum, list.items[at].score, 1e-4);
    EXPECT_TRUE(std::ranges::is_sorted(
        list.blend_terms[at], std::ranges::greater(),
        [](const BlendTermOfItem& term) { return std::abs(term.contribution); }));
  }
  query.skip_ranking = false;
  const RankedList ranked = RecommendOf(query);
  EXPECT_TRUE(std::ranges::any_of(ranked.blend_terms[0], [](const BlendTermOfItem& term) {
    return term.feature >= kBlendRankerBegin;
  }));
  query.ranker_alone = true;
  EXPECT_TRUE(RecommendOf(query).blend_terms.empty());
}

TEST_F(BlendOrderTest, TheContextIsHowMuchIsKnownAndHowLongAgoItWas) {
  const std::vector<ItemIndex> newest(3);
  BlendOrder::Asker asker{.newest = std::span(newest).first(2)};
  EXPECT_EQ(ContextOf(asker), BlendContext::kNewUser);
  asker.newest = newest;
  asker.newest_item_us = 5;
  asker.now_us = 4 + kVisitUs;
  EXPECT_EQ(ContextOf(asker), BlendContext::kInVisit);
  asker.now_us = 5 + kVisitUs;
  EXPECT_EQ(ContextOf(asker), BlendContext::kReturningUnseen);
  asker.with_seen = true;
  EXPECT_EQ(ContextOf(asker), BlendContext::kReturning);
}

TEST_F(BlendOrderTest, WhatIsNamedAloneIsTakenAtItsWord) {
  RecommendQuery query{.user_id = kCustomer,
                       .ranker = loaded_->state->snapshot->FindRanker(""),
                       .deadline = steady_clock::now() + hours(1),
                       .only_sources = kFromEmbedding};
  const RankedList ranked = RecommendOf(query);
  EXPECT_EQ(ranked.ranker, "macgnn");
  for (size_t i = 1; i < ranked.items.size(); ++i) {
    EXPECT_GE(ranked.items[i - 1].score, ranked.items[i].score) << "by the ranker alone";
  }
  query.skip_ranking = true;
  const ServingState& state = *loaded_->state;
  const ItemIndex best = RecommendOf(query).items.front().item;
  const auto vectors = state.embedding_index->Now();
  EXPECT_FALSE(vectors.VectorOf(best).empty());
  query.only_sources = kFromEmbedding | kFromTrending;
  const RankedList two = RecommendOf(query);
  for (size_t i = 1; i < two.items.size(); ++i) {
    EXPECT_GE(two.items[i - 1].score, two.items[i].score) << "by the blend of both";
  }
}

TEST(BlendWeightsTest, AreThoseOfTheSnapshotOrBuiltIn) {
  const TemporaryDirectory directory;
  SnapshotFixture fixture(directory.path());
  fixture.WriteManifest();
  EXPECT_EQ(LiveSample(directory.path()).state->blend_weights.Read(), BuiltInBlendWeights());
  BlendWeights weights;
  weights.rows[0][0] = 2;
  weights.rows[1][kBlendListsBegin] = -.5f;
  fixture.WriteFile(kBlendWeightsFile, PrintBlendWeights(weights));
  fixture.WriteManifest();
  EXPECT_EQ(LiveSample(directory.path()).state->blend_weights.Read(), weights);
}

TEST(BlendWeightsTest, AFileThatNamesNoFeatureIsRefusedWithTheSnapshot) {
  const TemporaryDirectory directory;
  SnapshotFixture fixture(directory.path());
  fixture.WriteFile(kBlendWeightsFile,
                    R"({"format_version": 1, "weights": {"in_visit": {"popularity.year": 1}}})");
  fixture.WriteManifest();
  const absl::Status refused = CheckSnapshot(directory.path()).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
  for (const char* part : {"blend.json", "popularity.year"}) {
    EXPECT_NE(std::string(refused.message()).find(part), std::string::npos) << refused;
  }
}

}  // namespace
}  // namespace groundswell
