// What those get of whom little is known, and where items show up that nobody took: the table in
// docs/retrieval.md, row by row, on the sample snapshot. And hypothetical events, which are how an
// anonymous session says what it did.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <sstream>
#include <thread>

#include "server/pipeline/pipeline.h"
#include "tests/unit/server/live_sample.h"

namespace groundswell {
namespace {

using std::chrono::hours;
using std::chrono::steady_clock;

constexpr char kItem[] = "85123A";
constexpr uint32_t kOfAnyone = kFromTrending | kFromPopular;
constexpr uint32_t kOfAUser =
    kOfAnyone | kFromEmbedding | kFromWalk | kFromNextItems | kFromCluster;

class ColdStartTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { sample_ = new LiveSample; }
  static void TearDownTestSuite() { delete sample_; }

  // A moment after everything in the sample: days later nothing would trend.
  static Interaction Event(const std::string& user, const std::string& item, Count weight = 1) {
    static std::atomic<int> last{0};
    const int number = ++last;
    return {.event_id = "event-" + std::to_string(number),
            .user_id = user,
            .item_id = item,
            .event_type = "purchase",
            .weight = weight,
            .event_time_us = sample_->state->graph_state.newest_event_time_us + number};
  }

  RecommendQuery Query(const std::string& user, std::vector<Interaction> events = {}) {
    return {.user_id = user,
            .hypothetical_events = std::move(events),
            .ranker = sample_->state->snapshot->FindRanker("macgnn"),
            .deadline = steady_clock::now() + hours(1)};
  }
  RankedList Recommend(const RecommendQuery& query) {
    StageDurations durations;
    const auto list = pipeline_.Recommend(query, ComputeThread{.number = 0}, durations);
    EXPECT_TRUE(list.ok()) << list.status();
    return *list;
  }
  absl::StatusOr<RankedList> Rank(const RecommendQuery& query, std::vector<ItemIndex> items) {
    StageDurations durations;
    return pipeline_.Rank(query, items, ComputeThread{.number = 0}, durations);
  }
  static ItemIndex Find(const std::string& item) { return *sample_->state->catalogue->Find(item); }
  static uint32_t SourcesOf(const RankedList& list) {
    uint32_t sources = 0;
    for (const Candidate& candidate : list.items) sources |= candidate.sources;
    return sources;
  }
  // Of one item in the list; 0 when it is not there.
  static uint32_t SourcesOf(const RankedList& list, ItemIndex item) {
    for (const Candidate& candidate : list.items) {
      if (candidate.item == item) return candidate.sources;
    }
    return 0;
  }

  std::string EventMetrics() {
    std::istringstream lines(metrics_.Render());
    std::string of_events;
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with("groundswell_event")) of_events += line + '\n';
    }
    EXPECT_FALSE(of_events.empty());
    return of_events;
  }

  // Of the snapshot, taken by one user.
  static std::string ItemOfFew() {
    uint32_t item = 0;
    while (sample_->state->adjacency->users_of_items().Degree(item) != 1) ++item;
    return std::string(sample_->state->catalogue->Id(ItemIndex{item}));
  }
  static bool HasPastItem(const std::vector<Explanation>& explanations, ItemIndex item) {
    return std::any_of(explanations.begin(), explanations.end(), [&](const Explanation& one) {
      return one.cause.kind == Cause::Kind::kPastItem && one.cause.number == ToInt(item);
    });
  }
  static void ExpectSameItems(const RankedList& list, const RankedList& expected) {
    ASSERT_EQ(list.items.size(), expected.items.size());
    for (size_t at = 0; at < list.items.size(); ++at) {
      EXPECT_EQ(list.items[at].item, expected.items[at].item) << "at " << at;
      EXPECT_EQ(list.items[at].score, expected.items[at].score) << "at " << at;
    }
  }

  // Somebody of whom at least one interaction counts.
  void ExpectPersonal(const RecommendQuery& query, ItemIndex seen) {
    const RankedList list = Recommend(query);
    EXPECT_EQ(list.fallback, std::nullopt);
    EXPECT_TRUE(list.degradations.empty());
    EXPECT_EQ(list.ranker, "macgnn");
    EXPECT_EQ(SourcesOf(list), kOfAUser);
    EXPECT_EQ(SourcesOf(list, seen), 0u);

    RecommendQuery with_dot = query;
    with_dot.ranker = sample_->state->snapshot->FindRanker("dot");
    const RankedList by_vector = Recommend(with_dot);
    EXPECT_EQ(by_vector.fallback, std::nullopt) << "by the vector that the live graph has";
    EXPECT_EQ(by_vector.ranker, "dot");
    EXPECT_EQ(SourcesOf(by_vector), kOfAUser);
    EXPECT_TRUE(Rank(with_dot, {seen}).ok());
    EXPECT_TRUE(Rank(query, {seen}).ok());
  }
  void ExpectOfAnyone(const RecommendQuery& query) {
    const RankedList list = Recommend(query);
    EXPECT_EQ(list.fallback, Fallback::kUnknownUser);
    EXPECT_TRUE(list.degradations.empty());
    EXPECT_TRUE(list.ranker.empty());
    EXPECT_EQ(SourcesOf(list), kOfAnyone);
    EXPECT_EQ(list.items.size(), Retrieval::Options{}.candidates);
    EXPECT_TRUE(Rank(query, {Find(kItem)}).ok()) << "with an empty history";
  }

  static inline LiveSample* sample_ = nullptr;
  Metrics metrics_{std::vector<std::string>{"purchase"}};
  Pipeline pipeline_{*sample_->state, metrics_.pipeline(), Pipeline::Options{},
                     /*compute_threads=*/1};
};

TEST_F(ColdStartTest, AnUnknownUserGetsWhatAnyoneTakes) { ExpectOfAnyone(Query("nobody")); }

TEST_F(ColdStartTest, AnAnonymousSessionIsItsHistory) {
  ExpectPersonal(Query("", {Event("", kItem)}), Find(kItem));
}

TEST_F(ColdStartTest, OneEventMakesAUser) {
  sample_->Apply(Event("one-event", kItem));
  ExpectPersonal(Query("one-event"), Find(kItem));
}

TEST_F(ColdStartTest, AUserWhoTookEverythingBackIsUnknownAgain) {
  sample_->Apply(Event("took-back", kItem));
  sample_->Apply(Event("took-back", kItem, -1));
  ExpectOfAnyone(Query("took-back"));
  ExpectPersonal(Query("took-back", {Event("took-back", kItem)}), Find(kItem));
  sample_->Apply(Event("might-take-back", kItem));
  ExpectOfAnyone(Query("might-take-back", {Event("might-take-back", kItem, -1)}));
}

TEST_F(ColdStartTest, ATrainedUserWithoutEventsHasTheTrainedVector) {
  const std::string user = "17548";
  const UserState before = **sample_->state->generation.ReadUser(user);
  ASSERT_LT(ToInt(before.index), sample_->state->snapshot->user_clusters().size());
  std::vector<Interaction> all_back;
  for (const Edge& edge : before.edges) {
    all_back.push_back(
        Event(user, std::string(sample_->state->catalogue->Id(edge.item)), -Count{edge.count}));
  }
  const RankedList list = Recommend(Query(user, all_back));
  EXPECT_EQ(list.fallback, std::nullopt);
  EXPECT_EQ(list.ranker, "macgnn");
  EXPECT_EQ(SourcesOf(list), kOfAnyone | kFromEmbedding | kFromCluster);
}

TEST_F(ColdStartTest, AnItemThatNobodyTookIsFoundByItsVectorAtOnce) {
  const auto vector = sample_->state->snapshot->ItemEmbedding(ToInt(Find(kItem)));
  sample_->Apply(UpsertItem{.event_id = "create-1",
                            .item_id = "with-vector",
                            .embedding = {vector.begin(), vector.end()},
                            .clusters_of = sample_->state->snapshot->digest()});
  const ItemIndex item = Find("with-vector");
  const RankedList list = Recommend(Query("", {Event("", kItem)}));
  EXPECT_EQ(SourcesOf(list, item), uint32_t{kFromEmbedding});
  EXPECT_EQ(list.ranker, "macgnn");
  StageDurations durations;
  EXPECT_EQ(
      SourcesOf(*pipeline_.Similar(Find(kItem), Similarity::kInnerProduct, {}, durations), item),
      kFromEmbedding);
  EXPECT_TRUE(pipeline_.Similar(item, Similarity::kInnerProduct, {}, durations).ok());
}

TEST_F(ColdStartTest, AnItemWithoutAVectorWaitsForItsFirstUser) {
  sample_->Apply(
      UpsertItem{.event_id = "create-2", .item_id = "without-vector", .category = "novelties"});
  const ItemIndex item = Find("without-vector");
  RecommendQuery of_category = Query(kCustomer);
  of_category.rules.categories = {*sample_->state->catalogue->FindCategory("novelties")};
  EXPECT_EQ(Recommend(of_category).items.size(), 0u);
  StageDurations durations;
  EXPECT_EQ(pipeline_.Similar(item, Similarity::kInnerProduct, {}, durations).status().code(),
            absl::StatusCode::kFailedPrecondition);
  sample_->Refresh();
  EXPECT_EQ(SourcesOf(Recommend(of_category), item), uint32_t{kFromPopular})
      << "last of all, where the list is not full";

  const Interaction first = Event("first-user", "without-vector");
  const RankedList without_vector = Recommend(Query("", {first}));
  EXPECT_EQ(SourcesOf(without_vector), kOfAnyone | kFromCluster);
  EXPECT_EQ(without_vector.items.size(), Retrieval::Options{}.candidates);
  EXPECT_EQ(without_vector.ranker, "macgnn");
  sample_->Apply(Event("first-user", kItem));
  sample_->Apply(first);
  EXPECT_EQ(SourcesOf(Recommend(of_category), item) & (kFromTrending | kFromEmbedding),
            uint32_t{kFromTrending});
  sample_->Refresh();
  EXPECT_EQ(SourcesOf(Recommend(of_category), item) & (kFromTrending | kFromEmbedding),
            uint32_t{kFromTrending | kFromEmbedding});
}

TEST_F(ColdStartTest, ANewItemWithTheBestVectorOfAllIsFirstByTheDotProductAndNearTheTopByDefault) {
  const ServingState& state = *sample_->state;
  const UserState user = **state.generation.ReadUser(kCustomer);
  const size_t dim = state.live_vectors->dim();
  const auto trained = state.snapshot->user_embeddings().subspan(ToInt(user.index) * dim, dim);
  std::vector<float> like_the_user(trained.begin(), trained.end());
  for (float& value : like_the_user) value *= 100;
  sample_->Apply(UpsertItem{.event_id = "create-best",
                            .item_id = "best-of-all",
                            .category = "novelties",
                            .embedding = like_the_user,
                            .clusters_of = state.snapshot->digest()});
  RecommendQuery query = Query(kCustomer);
  query.ranker = state.snapshot->FindRanker("dot");
  query.ranker_alone = true;
  const RankedList list = Recommend(query);
  EXPECT_EQ(list.ranker, "dot");
  EXPECT_EQ(state.catalogue->Id(list.items.front().item), "best-of-all");
  // In the order of the blend, beside the vote of a ranker that does not know it, it is near the
  // top.
  const RankedList served = Recommend(Query(kCustomer));
  const auto at = std::ranges::find_if(served.items, [&](const auto& listed) {
    return state.catalogue->Id(listed.item) == "best-of-all";
  });
  EXPECT_LT(at - served.items.begin(), 10);
}

TEST_F(ColdStartTest, WhereNoItemHasAVectorPopularItemsFillTheList) {
  for (int i = 0; i < 9; ++i) {
    sample_->Apply(UpsertItem{.event_id = "create-rare-" + std::to_string(i),
                              .item_id = "rare-" + std::to_string(i),
                              .category = "rarities"});
  }
  sample_->Refresh();
  Pipeline::Options options;
  options.retrieval.quotas[kFromPopular] = 2;
  Pipeline few_popular{*sample_->state, metrics_.pipeline(), options, 1};
  RecommendQuery query = Query(kCustomer);
  query.rules.categories = {*sample_->state->catalogue->FindCategory("rarities")};
  StageDurations durations;
  const auto list = few_popular.Recommend(query, ComputeThread{.number = 0}, durations);
  ASSERT_TRUE(list.ok()) << list.status();
  EXPECT_EQ(list->items.size(), 9u);
}

TEST_F(ColdStartTest, ATrainedItemWithoutInteractionsHasItsTrainedVector) {
  const ServingState& state = *sample_->state;
  ItemIndex rarest{0};
  for (uint32_t item = 1; item < state.snapshot->item_clusters().size(); ++item) {
    if (state.graph->items().Total(ItemIndex{item}) < state.graph->items().Total(rarest)) {
      rarest = ItemIndex{item};
    }
  }
  const std::string item_id(state.catalogue->Id(rarest));
  std::vector<Interaction> all_back;
  ASSERT_TRUE(state.generation
                  .ForEachUser([&](std::string_view user_id, const UserState& user) {
                    for (const Edge& edge : user.EdgesTo(rarest)) {
                      all_back.push_back(Event(std::string(user_id), item_id, -Count{edge.count}));
                    }
                    return absl::OkStatus();
                  })
                  .ok());
  for (const Interaction& event : all_back) sample_->Apply(event);
  sample_->Refresh();
  ASSERT_EQ(state.graph->items().Total(rarest), 0);

  RecommendQuery query = Query(kCustomer);
  query.rules.categories = {state.catalogue->category_of_item()[ToInt(rarest)]};
  const RankedList list = Recommend(query);
  EXPECT_EQ(SourcesOf(list, rarest), uint32_t{kFromEmbedding});
  EXPECT_EQ(list.ranker, "macgnn");
}

TEST_F(ColdStartTest, TheAnswerIsTheOneThatTheEventsWouldHaveBrought) {
  const std::vector<ItemIndex> listed{Find("22423"), Find("47566"), Find("84879")};
  for (const std::string user : {"supposed-new", kCustomer}) {
    // Of an item with few users one more changes what it does to the user's vector.
    const std::vector<Interaction> events{Event(user, "22114", 2), Event(user, ItemOfFew()),
                                          Event(user, "22114", -1)};
    RecommendQuery supposed = Query(user, events);
    supposed.only_sources = kFromEmbedding;
    supposed.explain_items = 3;
    RecommendQuery supposed_unranked = supposed;
    supposed_unranked.skip_ranking = true;
    const RankedList expected = Recommend(supposed);
    const RankedList expected_unranked = Recommend(supposed_unranked);
    const RankedList expected_scores = *Rank(supposed, listed);
    ASSERT_TRUE(expected.explanations.has_value());
    EXPECT_TRUE(HasPastItem(expected.explanations->of_item[0], Find(events[1].item_id)))
        << "though it never was";

    for (const Interaction& event : events) sample_->Apply(event);
    RecommendQuery real = supposed;
    real.hypothetical_events.clear();
    RecommendQuery real_unranked = real;
    real_unranked.skip_ranking = true;
    ExpectSameItems(Recommend(real), expected);
    ExpectSameItems(Recommend(real_unranked), expected_unranked);
    ExpectSameItems(*Rank(real, listed), expected_scores);
    EXPECT_EQ(SourcesOf(expected, Find("22114")), 0u) << "seen";
  }
}

TEST_F(ColdStartTest, EverySourceReadsTheSupposedEvents) {
  const std::string user = "12583";
  const Interaction event = Event(user, "22114");
  ASSERT_FALSE((*sample_->state->generation.ReadUser(user))->Has(Find("22114")));
  for (const uint32_t source : {kFromEmbedding, kFromWalk, kFromNextItems, kFromSimilarItems}) {
    RecommendQuery query = Query(user);
    query.only_sources = source;
    query.skip_ranking = true;
    const RankedList without = Recommend(query);
    query.hypothetical_events = {event};
    const RankedList with = Recommend(query);
    EXPECT_FALSE(
        std::equal(without.items.begin(), without.items.end(), with.items.begin(), with.items.end(),
                   [](const Candidate& a, const Candidate& b) { return a.item == b.item; }))
        << source;
    EXPECT_EQ(SourcesOf(with, Find("22114")), 0u) << source;
  }
}

TEST_F(ColdStartTest, NoTraceIsLeft) {
  const ServingState& state = *sample_->state;
  const auto remembered = [&] {
    std::string record;
    EncodeUserState(**state.generation.ReadUser(kCustomer), record);
    return std::pair(record, state.applier->progress().digest.ToString());
  };
  const auto answer = [&] {
    std::vector<std::pair<ItemIndex, float>> items;
    for (const Candidate& candidate : Recommend(Query(kCustomer)).items) {
      items.emplace_back(candidate.item, candidate.score);
    }
    return items;
  };
  const std::string metrics = EventMetrics();
  const auto before = remembered();
  const auto answer_before = answer();
  const Offset end = sample_->log->end();
  for (const std::string user : {kCustomer, "supposed-only", ""}) {
    Recommend(Query(user, {Event(user, "22114", 5), Event(user, "22112")}));
    EXPECT_TRUE(Rank(Query(user, {Event(user, "22114", 5)}), {Find("22114")}).ok());
  }
  EXPECT_EQ(remembered(), before);
  EXPECT_EQ(answer(), answer_before);
  EXPECT_EQ(sample_->log->end(), end);
  EXPECT_FALSE(state.generation.ReadUser("supposed-only")->has_value());
  EXPECT_EQ(EventMetrics(), metrics);
  ExpectOfAnyone(Query("supposed-only"));
}

// For the thread sanitizer: supposing reads what the applier is writing.
TEST_F(ColdStartTest, SupposingRunsBesideTheFold) {
  std::atomic<bool> done{false};
  std::thread supposes([&] {
    while (!done) {
      std::optional<Applier::Refusal> refusal;
      const std::vector<Interaction> events{Event("beside", kItem), Event("beside", "22114", -1)};
      const auto user = sample_->state->applier->Overlay(std::nullopt, events, refusal);
      EXPECT_TRUE(user.ok()) << user.status();
      ASSERT_TRUE(refusal.has_value());
      EXPECT_EQ(refusal->position, 1u);
      EXPECT_EQ(refusal->outcome, FoldOutcome::kBelowZero);
    }
  });
  for (int i = 0; i < 50; ++i) {
    sample_->Apply(UpsertItem{.event_id = "beside-create-" + std::to_string(i),
                              .item_id = "beside-" + std::to_string(i)});
    sample_->Apply(Event("writer", "beside-" + std::to_string(i)));
  }
  done = true;
  supposes.join();
}

TEST_F(ColdStartTest, WhatWouldNotBeAppliedIsRefusedByName) {
  StageDurations durations;
  for (const char* user : {kCustomer, "nobody", ""}) {
    RecommendQuery query = Query(user, {Event(user, "22114"), Event(user, "21703", -1'000'000)});
    const auto list = pipeline_.Recommend(query, ComputeThread{.number = 0}, durations);
    EXPECT_EQ(list.status().code(), absl::StatusCode::kInvalidArgument);
    for (const char* part :
         {"hypothetical_events[1].weight is \"-1000000\"", "negative count", "item 21703"}) {
      EXPECT_NE(std::string(list.status().message()).find(part), std::string::npos)
          << list.status();
    }
    EXPECT_EQ(Rank(query, {Find(kItem)}).status(), list.status());
  }
}

}  // namespace
}  // namespace groundswell
