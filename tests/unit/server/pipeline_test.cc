// The pipeline on the sample snapshot, without gRPC: what an answer becomes as its time runs short.
#include "server/pipeline/pipeline.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <set>

#include "tests/unit/server/live_sample.h"

namespace groundswell {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

class PipelineTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { loaded_ = new LiveSample; }
  static void TearDownTestSuite() { delete loaded_; }

  RankedList Recommend(const std::string& user, steady_clock::time_point deadline,
                       ItemRules rules = {}, size_t explain_items = 0) {
    StageDurations durations;
    const auto list = pipeline_.Recommend({.user_id = user,
                                           .rules = std::move(rules),
                                           .ranker = loaded_->state->snapshot->FindRanker(""),
                                           .deadline = deadline,
                                           .explain_items = explain_items},
                                          ComputeThread{.number = 0}, durations);
    EXPECT_TRUE(list.ok()) << list.status();
    return *list;
  }

  RankedList RecommendOf(const RecommendQuery& query) {
    StageDurations durations;
    const auto list = pipeline_.Recommend(query, ComputeThread{.number = 0}, durations);
    EXPECT_TRUE(list.ok()) << list.status();
    return *list;
  }
  static inline LiveSample* loaded_ = nullptr;
  Metrics metrics_{std::vector<std::string>{"purchase"}};
  Pipeline pipeline_{*loaded_->state, metrics_.pipeline(), Pipeline::Options{},
                     /*compute_threads=*/1};
};

TEST_F(PipelineTest, AnItemIsAnsweredWithinItsTimeAndRankedAtAny) {
  Catalogue& catalogue = *loaded_->state->catalogue;
  const ItemIndex item = Recommend(kCustomer, steady_clock::now() + hours(1)).items[0].item;
  catalogue.SetAvailability(item, {.from_us = 10, .until_us = 20});
  for (const int64_t now_us : {9, 10, 19, 20}) {
    const RankedList list =
        Recommend(kCustomer, steady_clock::now() + hours(1), {.now_us = now_us});
    EXPECT_EQ(list.items[0].item == item, now_us == 10 || now_us == 19) << now_us;
    const bool has = std::ranges::any_of(list.items, [&](const auto& c) { return c.item == item; });
    EXPECT_EQ(has, now_us == 10 || now_us == 19) << now_us;
    StageDurations durations;
    const auto ranked = pipeline_.Rank({.user_id = kCustomer,
                                        .ranker = loaded_->state->snapshot->FindRanker(""),
                                        .deadline = steady_clock::now() + hours(1)},
                                       {&item, 1}, ComputeThread{.number = 0}, durations);
    ASSERT_TRUE(ranked.ok()) << ranked.status();
    EXPECT_EQ(ranked->items.size(), 1u);
  }
  catalogue.SetAvailability(item, {});
}

TEST_F(PipelineTest, WithoutAnyTimeTheAnswerIsWhatTheLiveGraphHasAndSaysSo) {
  const RankedList list = Recommend(kCustomer, steady_clock::now() - hours(1));
  EXPECT_EQ(list.degradations,
            (Degradations{DegradedStep::kRetrievalSkipped, DegradedStep::kRankingSkipped}));
  EXPECT_TRUE(list.ranker.empty());
  ASSERT_FALSE(list.items.empty());
  for (const Candidate& candidate : list.items) {
    EXPECT_EQ(candidate.sources & (kFromEmbedding | kFromSimilarItems), 0u);
  }
  const UserState user = **loaded_->state->generation.ReadUser(kCustomer);
  for (const Candidate& candidate : list.items) {
    EXPECT_FALSE(user.Has(candidate.item)) << "seen items stay out, however short the time";
  }
}

TEST_F(PipelineTest, SourcesSideBySideProposeWhatTheyDoOneAfterTheOther) {
  constexpr size_t kThreads = 3;
  Pipeline side_by_side(*loaded_->state, metrics_.pipeline(),
                        {.retrieval = {.side_by_side_threads = kThreads}}, kThreads);
  Admission admission({.threads = kThreads, .queue_max = 10});
  std::vector<std::string> users;
  ASSERT_TRUE(loaded_->state->generation
                  .ForEachUser([&](std::string_view id, const UserState&) {
                    users.emplace_back(id);
                    return absl::OkStatus();
                  })
                  .ok());
  for (size_t at = 0; at < users.size(); at += 40) {
    const RecommendQuery query{.user_id = users[at],
                               .ranker = loaded_->state->snapshot->FindRanker(""),
                               .deadline = steady_clock::now() + hours(1)};
    std::promise<RankedList> beside;
    ASSERT_TRUE(admission
                    .Submit([&](ComputeThread thread) {
                      StageDurations durations;
                      beside.set_value(*side_by_side.Recommend(query, thread, durations));
                    })
                    .ok());
    const RankedList expected = Recommend(users[at], query.deadline);
    const RankedList list = beside.get_future().get();
    ASSERT_EQ(list.items.size(), expected.items.size());
    for (size_t i = 0; i < list.items.size(); ++i) {
      EXPECT_EQ(list.items[i].item, expected.items[i].item) << users[at] << ", place " << i;
      EXPECT_EQ(list.items[i].score, expected.items[i].score);
      EXPECT_EQ(list.items[i].sources, expected.items[i].sources);
    }
  }
}

TEST_F(PipelineTest, UnderPressureAnAnswerGetsCheaperAndSaysSo) {
  const auto under = [&](Pressure pressure, uint32_t only_sources = 0) {
    StageDurations durations;
    const auto list =
        pipeline_.Recommend({.user_id = kCustomer,
                             .ranker = loaded_->state->snapshot->FindRanker(""),
                             .deadline = steady_clock::now() + hours(1),
                             .only_sources = only_sources},
                            ComputeThread{.number = 0, .pressure = pressure}, durations);
    EXPECT_TRUE(list.ok()) << list.status();
    return *list;
  };
  const RankedList calm = under(Pressure::kNone);
  EXPECT_TRUE(calm.degradations.empty());
  EXPECT_GT(calm.items.size(), 150u);

  const RankedList fewer = under(Pressure::kFewerCandidates);
  EXPECT_EQ(fewer.degradations, (Degradations{DegradedStep::kFewerCandidates}));
  EXPECT_FALSE(fewer.ranker.empty());
  EXPECT_GE(fewer.items.size(), 60u);
  EXPECT_LE(fewer.items.size(), 150u);
  for (const Candidate& candidate : fewer.items) EXPECT_EQ(candidate.sources & kFromWalk, 0u);

  const RankedList unranked = under(Pressure::kNoRanking);
  EXPECT_EQ(unranked.degradations,
            (Degradations{DegradedStep::kFewerCandidates, DegradedStep::kRankingSkipped}));
  EXPECT_TRUE(unranked.ranker.empty());
  EXPECT_EQ(unranked.items.size(), fewer.items.size());

  // Who asks for a source by name gets what it has.
  const RankedList named = under(Pressure::kFewerCandidates, kFromWalk);
  EXPECT_TRUE(named.degradations.empty());
  EXPECT_FALSE(named.items.empty());
}

TEST_F(PipelineTest, RankWithoutTimeIsAnErrorNotAGuess) {
  StageDurations durations;
  const std::vector<ItemIndex> items{ItemIndex{1}, ItemIndex{2}};
  const auto list = pipeline_.Rank({.user_id = kCustomer,
                                    .ranker = loaded_->state->snapshot->FindRanker(""),
                                    .deadline = steady_clock::now()},
                                   items, ComputeThread{.number = 0}, durations);
  EXPECT_EQ(list.status().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(PipelineTest, AnUnknownUserGetsWhatAnyoneTakesInTheOrderOfTheBlend) {
  const RankedList list = Recommend("nobody-ever-saw-me", steady_clock::now() + hours(1));
  EXPECT_EQ(list.fallback, Fallback::kUnknownUser);
  EXPECT_TRUE(list.degradations.empty());
  for (size_t i = 1; i < list.items.size(); ++i) {
    EXPECT_GE(list.items[i - 1].score, list.items[i].score);
  }
}

TEST_F(PipelineTest, WithTimeTheListIsRankedWithoutRepeats) {
  const RankedList list = Recommend(kCustomer, steady_clock::now() + hours(1));
  EXPECT_EQ(list.ranker, "macgnn");
  EXPECT_TRUE(list.degradations.empty());
  std::set<ItemIndex> items;
  size_t ranked = 0;
  for (size_t i = 0; i < list.items.size(); ++i) {
    EXPECT_TRUE(items.insert(list.items[i].item).second);
    EXPECT_GE(list.items[i].score, 0.0f);
    EXPECT_LT(list.items[i].score, 1.0f);
    ranked += list.items[i].score > 0 ? 1 : 0;
  }
  EXPECT_EQ(ranked, Retrieval::Options().ranked);
}

TEST_F(PipelineTest, ExplanationsNameTheUsersOwnItemsAndNodesWithACount) {
  const RankedList list = Recommend(kCustomer, steady_clock::now() + hours(1), {}, 3);
  EXPECT_TRUE(list.degradations.empty());
  ASSERT_TRUE(list.explanations.has_value());
  EXPECT_EQ(list.explanations->causes_tried, std::min<size_t>(list.explanations->causes, 50));
  ASSERT_EQ(list.explanations->of_item.size(), 3u);
  const UserState user = **loaded_->state->generation.ReadUser(kCustomer);
  std::vector<Count> one_hop(loaded_->state->snapshot->manifest().item_clusters);
  std::vector<Count> two_hop(loaded_->state->snapshot->manifest().user_clusters);
  loaded_->state->graph->GatherUser(user, one_hop, two_hop);
  std::set<Cause::Kind> kinds;
  for (const std::vector<Explanation>& explanations : list.explanations->of_item) {
    EXPECT_FALSE(explanations.empty());
    for (const auto& [cause, contribution] : explanations) {
      kinds.insert(cause.kind);
      const bool is_known =
          cause.kind == Cause::Kind::kPastItem
              ? user.Has(ItemIndex{cause.number})
              : (cause.kind == Cause::Kind::kItemCluster ? one_hop : two_hop).at(cause.number) > 0;
      EXPECT_TRUE(is_known) << cause.number;
      EXPECT_NE(contribution, 0);
    }
  }
  EXPECT_EQ(kinds.size(), 3u);
}

TEST_F(PipelineTest, ExplainingChangesNeitherItemsNorScores) {
  const RankedList plain = Recommend(kCustomer, steady_clock::now() + hours(1));
  const RankedList explained = Recommend(kCustomer, steady_clock::now() + hours(1), {}, 10);
  EXPECT_FALSE(plain.explanations.has_value());
  ASSERT_EQ(plain.items.size(), explained.items.size());
  for (size_t i = 0; i < plain.items.size(); ++i) {
    EXPECT_EQ(plain.items[i].item, explained.items[i].item);
    EXPECT_EQ(plain.items[i].score, explained.items[i].score);
  }
}

TEST_F(PipelineTest, NobodyIsExplainedWithoutARanking) {
  const RankedList list = Recommend("nobody-ever-saw-me", steady_clock::now() + hours(1), {}, 3);
  EXPECT_FALSE(list.explanations.has_value());
  EXPECT_TRUE(list.degradations.empty());
}

// Between too little time to rank and enough to explain lies what ranks and does not explain; how
// much that is depends on the machine, so that it is looked for from below.
TEST_F(PipelineTest, WithTimeToRankButNotToExplainTheListIsRankedAndSaysSo) {
  pipeline_.WarmUp();
  bool seen = false;
  for (int sweep = 0; sweep < 20 && !seen; ++sweep) {
    for (microseconds time{600}; time < seconds(10) && !seen; time += time / 50) {
      const RankedList list = Recommend(kCustomer, steady_clock::now() + time, {}, 10);
      EXPECT_EQ(list.explanations.has_value(), list.degradations.empty());
      if (list.explanations.has_value()) break;
      if (list.ranker.empty()) continue;
      seen = true;
      EXPECT_EQ(list.degradations, Degradations{DegradedStep::kExplanationsSkipped});
      EXPECT_LT(list.items.front().score, 1.0f);
      EXPECT_NE(metrics_.Render().find("groundswell_degraded_total{step=\"explanations_skipped\"}"),
                std::string::npos);
    }
  }
  EXPECT_TRUE(seen);
}

TEST_F(PipelineTest, EverySourceCanBeAskedAlone) {
  for (const uint32_t source : {kFromEmbedding, kFromWalk, kFromNextItems, kFromSimilarItems,
                                kFromTrending, kFromCluster, kFromPopular}) {
    StageDurations durations;
    const auto list = pipeline_.Recommend({.user_id = kCustomer,
                                           .ranker = loaded_->state->snapshot->FindRanker(""),
                                           .deadline = steady_clock::now() + hours(1),
                                           .only_sources = source,
                                           .skip_ranking = true},
                                          ComputeThread{.number = 0}, durations);
    ASSERT_TRUE(list.ok()) << list.status();
    EXPECT_TRUE(list->ranker.empty());
    EXPECT_TRUE(list->degradations.empty());
    EXPECT_EQ(list->fallback, std::nullopt);
    EXPECT_FALSE(list->items.empty()) << source;
    const UserState user = **loaded_->state->generation.ReadUser(kCustomer);
    for (size_t i = 0; i < list->items.size(); ++i) {
      EXPECT_EQ(list->items[i].sources, source);
      EXPECT_FALSE(user.Has(list->items[i].item));
      if (i > 0) {
        EXPECT_GE(list->items[i - 1].score, list->items[i].score);
      }
    }
  }
}

TEST_F(PipelineTest, TheBlendHasItemsOfAllSources) {
  const RankedList list = Recommend(kCustomer, steady_clock::now() + hours(1));
  uint32_t sources = 0;
  for (const Candidate& candidate : list.items) sources |= candidate.sources;
  EXPECT_EQ(sources,
            Retrieval::kSources & ~uint32_t{kFromSimilarItems | kFromPageRank | kFromHistory})
      << "two are off, the third has seen items only";
  EXPECT_LE(list.items.size(), Retrieval::Options{}.candidates);
  EXPECT_GT(list.items.size(), SourceQuotas{}[kFromEmbedding]);
}

TEST_F(PipelineTest, HistoryAloneProposesWhatTheUserTookAndTheRulesAdmit) {
  const UserState user = **loaded_->state->generation.ReadUser(kCustomer);
  RecommendQuery query{.user_id = kCustomer,
                       .rules = {.excluded = {user.edges[0].item}},
                       .deadline = steady_clock::now() + hours(1),
                       .only_sources = kFromHistory};
  StageDurations durations;
  const auto list = pipeline_.Recommend(query, ComputeThread{.number = 0}, durations);
  ASSERT_TRUE(list.ok()) << list.status();
  EXPECT_EQ(list->items.size(), user.item_count() - 1);
  for (const Candidate& candidate : list->items) {
    EXPECT_TRUE(user.Has(candidate.item));
    EXPECT_NE(candidate.item, user.edges[0].item);
    EXPECT_EQ(candidate.sources, uint32_t{kFromHistory});
  }
}

TEST_F(PipelineTest, SeenItemsAreInAListThatLetsThemIn) {
  const UserState user = **loaded_->state->generation.ReadUser(kCustomer);
  for (const bool include_seen : {false, true}) {
    const RankedList list = RecommendOf({.user_id = kCustomer,
                                         .rules = {.include_seen = include_seen},
                                         .deadline = steady_clock::now() + hours(1)});
    size_t seen = 0;
    size_t of_history = 0;
    for (const Candidate& candidate : list.items) {
      seen += user.Has(candidate.item);
      of_history += (candidate.sources & kFromHistory) != 0;
    }
    EXPECT_EQ(seen > 0, include_seen);
    EXPECT_EQ(of_history > 0, include_seen);
  }
}

TEST_F(PipelineTest, DiversityOfStrengthZeroChangesNothingAndMoreOfItTheOrderAlone) {
  RecommendQuery query{.user_id = kCustomer,
                       .ranker = loaded_->state->snapshot->FindRanker(""),
                       .deadline = steady_clock::now() + hours(1),
                       .skip_ranking = false};
  const auto items_of = [&] {
    StageDurations durations;
    const auto list = pipeline_.Recommend(query, ComputeThread{.number = 0}, durations);
    EXPECT_TRUE(list.ok()) << list.status();
    std::vector<std::pair<uint32_t, float>> items;
    for (const Candidate& candidate : list->items) {
      items.emplace_back(ToInt(candidate.item), candidate.score);
    }
    return items;
  };
  auto plain = items_of();
  query.diversity.strength = 0.0f;
  EXPECT_EQ(items_of(), plain);
  query.diversity.strength = 0.5f;
  auto diverse = items_of();
  EXPECT_EQ(diverse[0], plain[0]) << "the best stays";
  EXPECT_NE(diverse, plain);
  EXPECT_TRUE(std::equal(plain.begin() + 200, plain.end(), diverse.begin() + 200, diverse.end()));
  std::ranges::sort(plain);
  std::ranges::sort(diverse);
  EXPECT_EQ(diverse, plain);
}

TEST_F(PipelineTest, BoostsMultiplyTheOddsOfRankedAndUnrankedLists) {
  RecommendQuery query{.user_id = kCustomer,
                       .ranker = loaded_->state->snapshot->FindRanker(""),
                       .deadline = steady_clock::now() + hours(1)};
  const auto place_of = [](const RankedList& list, ItemIndex item) {
    return std::ranges::find(list.items, item, &Candidate::item) - list.items.begin();
  };
  for (const bool skip_ranking : {false, true}) {
    query.skip_ranking = skip_ranking;
    const RankedList plain = RecommendOf(query);
    const ItemIndex raised = plain.items[99].item;
    const ItemIndex lowered = plain.items[0].item;
    query.applied_rules.boosts.of_item = {{raised, 2.0f}, {lowered, 0.01f}};
    const RankedList boosted = RecommendOf(query);
    EXPECT_EQ(boosted.items.size(), plain.items.size());
    EXPECT_LT(place_of(boosted, raised), 98) << "one place alone is for the one who fell";
    EXPECT_GT(place_of(boosted, lowered), 0);
    EXPECT_EQ(boosted.items[static_cast<size_t>(place_of(boosted, raised))].score,
              plain.items[99].score)
        << "the score stays";
    if (skip_ranking) {
      // Without a ranker the scores are those of the blend: where the item stands can be told.
      const float votes = plain.items[99].score + std::log(2.0f);
      const auto higher = std::ranges::count_if(plain.items, [&](const Candidate& candidate) {
        const float factor = candidate.item == lowered ? std::log(0.01f) : 0.0f;
        return candidate.item != raised && candidate.score + factor > votes;
      });
      EXPECT_EQ(place_of(boosted, raised), higher);
    }
    const auto categories = loaded_->state->catalogue->category_of_item();
    query.applied_rules.boosts = {};
    const uint32_t category = categories[ToInt(plain.items[50].item)];
    query.applied_rules.boosts.of_category = {{category, 100.0f}};
    const RankedList of_category = RecommendOf(query);
    const auto of_its_category = [&](const RankedList& list) {
      return std::ranges::count_if(std::span(list.items).first(20), [&](const Candidate& one) {
        return categories[ToInt(one.item)] == category;
      });
    };
    EXPECT_GT(of_its_category(of_category), of_its_category(plain));
    EXPECT_LT(place_of(of_category, plain.items[50].item), 50);
    query.applied_rules.boosts = {};
  }
}

TEST_F(PipelineTest, PinnedItemsStandInTheirPlacesAsFarAsTheRulesAdmitThem) {
  const UserState user = **loaded_->state->generation.ReadUser(kCustomer);
  const RankedList plain = Recommend(kCustomer, steady_clock::now() + hours(1));
  const ItemIndex seen = user.edges[0].item;
  const ItemIndex last = plain.items.back().item;
  RecommendQuery query{.user_id = kCustomer,
                       .applied_rules = {.pins = {{seen, 0}, {last, 1}}},
                       .ranker = loaded_->state->snapshot->FindRanker(""),
                       .deadline = steady_clock::now() + hours(1),
                       .explain_items = 2};
  StageDurations durations;
  auto list = *pipeline_.Recommend(query, ComputeThread{.number = 0}, durations);
  EXPECT_EQ(list.items[0].item, plain.items[0].item) << "seen items stay out";
  EXPECT_EQ(list.items[1].item, last);
  EXPECT_NE(list.items[1].sources & kFromPinned, 0u);
  EXPECT_EQ(list.items[1].score, plain.items.back().score);
  ASSERT_TRUE(list.explanations.has_value());
  EXPECT_EQ(list.explanations->of_item.size(), 2u);
  query.rules.include_seen = true;
  list = *pipeline_.Recommend(query, ComputeThread{.number = 0}, durations);
  EXPECT_EQ(list.items[0].item, seen);
  EXPECT_EQ(list.items[1].item, last);
  query.rules.excluded = {seen};
  list = *pipeline_.Recommend(query, ComputeThread{.number = 0}, durations);
  EXPECT_NE(list.items[0].item, seen);
}

// Whatever is admitted, and whatever the sources find of it: with few items left, in one category,
// with all seen but some, for whom nothing is known; also where the sources are off.
TEST_F(PipelineTest, APageIsFullWheneverEnoughItemsAreAdmitted) {
  const auto categories = loaded_->state->catalogue->category_of_item();
  const auto size = static_cast<uint32_t>(categories.size());
  Pipeline::Options nothing_on;
  for (const CandidateSource& source : kCandidateSources) {
    nothing_on.retrieval.quotas[source.bit] = 0;
  }
  Pipeline bare{*loaded_->state, metrics_.pipeline(), nothing_on, 1};
  std::mt19937 random(3);
  for (int round = 0; round < 60; ++round) {
    RecommendQuery query{.user_id = round % 3 == 0 ? "nobody-ever-saw-me" : kCustomer,
                         .page_size = 1 + random() % 100,
                         .deadline = steady_clock::now() + hours(1)};
    if (round % 2 == 0) query.rules.categories = {categories[random() % size]};
    const uint32_t kept_percent = 1 + random() % 20;
    for (uint32_t item = 0; item < size; ++item) {
      if (random() % 100 >= kept_percent) query.rules.excluded.push_back(ItemIndex{item});
    }
    const UserState user = **loaded_->state->generation.ReadUser(kCustomer);
    size_t admitted = 0;
    for (uint32_t item = 0; item < size; ++item) {
      admitted +=
          !std::ranges::binary_search(query.rules.excluded, ItemIndex{item}) &&
          (query.rules.categories.empty() || categories[item] == query.rules.categories[0]) &&
          (query.user_id != kCustomer || !user.Has(ItemIndex{item}));
    }
    for (Pipeline* pipeline : {&pipeline_, &bare}) {
      StageDurations durations;
      const auto list = pipeline->Recommend(query, ComputeThread{.number = 0}, durations);
      ASSERT_TRUE(list.ok()) << list.status();
      EXPECT_GE(list->items.size(), std::min(query.page_size, admitted)) << round;
      EXPECT_LE(list->items.size(), admitted) << round;
    }
  }
}

TEST_F(PipelineTest, PagesOfLimitedCategoriesAreFull) {
  RecommendQuery query{.user_id = kCustomer,
                       .diversity = {.category_max = 1},
                       .page_size = 10,
                       .deadline = steady_clock::now() + hours(1)};
  StageDurations durations;
  const auto list = pipeline_.Recommend(query, ComputeThread{.number = 0}, durations);
  ASSERT_TRUE(list.ok()) << list.status();
  const Catalogue& catalogue = *loaded_->state->catalogue;
  ASSERT_EQ(list->page_ends.size(), 50u);
  const UserState user = **loaded_->state->generation.ReadUser(kCustomer);
  std::set<ItemIndex> items;
  for (size_t page = 0; page < 50; ++page) {
    EXPECT_EQ(list->page_ends[page], 10 * (page + 1));
    std::set<std::string_view> on_page;
    for (size_t at = 10 * page; at < 10 * (page + 1); ++at) {
      const ItemIndex item = list->items[at].item;
      EXPECT_TRUE(on_page.insert(catalogue.Category(item)).second) << catalogue.Category(item);
      EXPECT_TRUE(items.insert(item).second);
      EXPECT_FALSE(user.Has(item));
    }
  }
  query.only_sources = kFromTrending;
  const auto trending = pipeline_.Recommend(query, ComputeThread{.number = 0}, durations);
  for (const Candidate& candidate : trending->items) {
    EXPECT_EQ(candidate.sources, uint32_t{kFromTrending}) << "nobody else was asked for";
  }
}

TEST_F(PipelineTest, WithoutTimeThereIsNoDiversityAndTheListSaysSo) {
  StageDurations durations;
  const auto list = pipeline_.Recommend({.user_id = kCustomer,
                                         .diversity = {.strength = 0.5f, .category_max = 1},
                                         .deadline = steady_clock::now() - hours(1)},
                                        ComputeThread{.number = 0}, durations);
  ASSERT_TRUE(list.ok()) << list.status();
  EXPECT_EQ(list->degradations,
            (Degradations{DegradedStep::kRetrievalSkipped, DegradedStep::kDiversitySkipped}));
}

TEST_F(PipelineTest, ACategoryWithoutUnseenItemsGivesAnEmptyList) {
  const uint32_t category = loaded_->state->catalogue->category_of_item()[0];
  ItemRules rules{.excluded = {}, .categories = {category}};
  const auto categories = loaded_->state->catalogue->category_of_item();
  for (uint32_t item = 0; item < categories.size(); ++item) {
    if (categories[item] == category) rules.excluded.push_back(ItemIndex{item});
  }
  EXPECT_TRUE(Recommend(kCustomer, steady_clock::now() + hours(1), rules).items.empty());
}

TEST_F(PipelineTest, SimilarItemsHonourTheRules) {
  StageDurations durations;
  ItemRules rules{.excluded = {}, .categories = {loaded_->state->catalogue->category_of_item()[5]}};
  const auto list = pipeline_.Similar(ItemIndex{5}, Similarity::kInnerProduct, rules, durations);
  ASSERT_TRUE(list.ok()) << list.status();
  for (const Candidate& candidate : list->items) {
    EXPECT_NE(candidate.item, ItemIndex{5});
    EXPECT_EQ(loaded_->state->catalogue->category_of_item()[ToInt(candidate.item)],
              rules.categories[0]);
  }
}

}  // namespace
}  // namespace groundswell
