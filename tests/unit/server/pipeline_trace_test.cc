// What Pipeline::Trace says of items, against the lists that Pipeline::Recommend makes.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "server/pipeline/pipeline.h"
#include "tests/support/sanitized.h"
#include "tests/unit/server/live_sample.h"

namespace groundswell {
namespace {

class PipelineTraceTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    traced_ = new LiveSample;
    users_ = {"nobody-ever-saw-me", kCustomer};
    ASSERT_TRUE(traced_->state->generation
                    .ForEachUser([](std::string_view id, const UserState&) {
                      users_.emplace_back(id);
                      return absl::OkStatus();
                    })
                    .ok());
  }
  static void TearDownTestSuite() { delete traced_; }

  static RecommendQuery QueryOf(const std::string& user) {
    return {.user_id = user,
            .ranker = traced_->state->snapshot->FindRanker(""),
            .deadline = std::chrono::steady_clock::now() + std::chrono::hours(1)};
  }
  RankedList ListOf(Pipeline& pipeline, const RecommendQuery& query) {
    StageDurations durations;
    const auto list = pipeline.Recommend(query, ComputeThread{.number = 0}, durations);
    EXPECT_TRUE(list.ok()) << list.status();
    return *list;
  }
  ListTrace TraceOf(Pipeline& pipeline, const RecommendQuery& query,
                    const std::vector<ItemIndex>& items) {
    StageDurations durations;
    const auto trace = pipeline.Trace(query, items, ComputeThread{.number = 0}, durations);
    EXPECT_TRUE(trace.ok()) << trace.status();
    EXPECT_EQ(trace->items.size(), items.size());
    return *trace;
  }
  TracedItem TraceOne(const RecommendQuery& query, ItemIndex item) {
    return TraceOf(pipeline_, query, {item}).items[0];
  }
  static std::vector<ItemIndex> AllItems() {
    std::vector<ItemIndex> items;
    for (uint32_t item = 0; item < traced_->state->catalogue->size(); ++item) {
      items.push_back(ItemIndex{item});
    }
    return items;
  }
  static RecommendQuery RandomQuery(std::mt19937& random);
  void ExpectTraced(const RecommendQuery& query, const RankedList& list, const TracedItem& traced,
                    size_t place);

  static inline LiveSample* traced_ = nullptr;
  static inline std::vector<std::string> users_;
  Metrics metrics_{std::vector<std::string>{"purchase"}};
  Pipeline pipeline_{*traced_->state, metrics_.pipeline(), Pipeline::Options{},
                     /*compute_threads=*/1};
};

RecommendQuery PipelineTraceTest::RandomQuery(std::mt19937& random) {
  const auto one_in = [&](uint32_t n) { return random() % n == 0; };
  const auto categories = traced_->state->catalogue->category_of_item();
  const auto any_item = [&] {
    return ItemIndex{static_cast<uint32_t>(random() % categories.size())};
  };
  RecommendQuery query = QueryOf(users_[one_in(4) ? 0 : random() % users_.size()]);
  query.rules.include_seen = one_in(3);
  query.page_size = 1 + random() % 40;
  for (uint32_t i = one_in(2) ? 300 : 0; i > 0; --i) query.rules.excluded.push_back(any_item());
  std::ranges::sort(query.rules.excluded);
  if (one_in(4)) query.rules.categories = {categories[random() % categories.size()]};
  if (one_in(3)) query.diversity.strength = 0.3f;
  if (one_in(3)) query.diversity.category_max = 1 + random() % 3;
  for (uint32_t i = one_in(2) ? 3 : 0; i > 0; --i) {
    query.applied_rules.pins.push_back({.item = any_item(), .place = random() % 60});
  }
  for (uint32_t i = one_in(2) ? 200 : 0; i > 0; --i) {
    query.applied_rules.boosts.of_item[any_item()] = one_in(2) ? 5.0f : 0.2f;
  }
  if (one_in(4)) query.only_sources = kFromTrending | kFromNextItems;
  if (one_in(4)) query.only_sources = one_in(2) ? kFromHistory : kFromPopular;
  query.ranker_alone = one_in(4);
  query.skip_ranking = !query.ranker_alone && one_in(4);
  return query;
}

// `place`: in `list`, from 1; 0: it is not in it.
void PipelineTraceTest::ExpectTraced(const RecommendQuery& query, const RankedList& list,
                                     const TracedItem& traced, size_t place) {
  ASSERT_EQ(traced.place, place);
  EXPECT_EQ(traced.outcome == ListOutcome::kListed, place > 0);
  EXPECT_EQ(traced.outcome == ListOutcome::kFiltered, !traced.filtered_by.empty());
  uint32_t sources = 0;
  for (const SourcePlace& source : traced.sources) {
    EXPECT_GT(source.place, 0u);
    sources |= source.source;
  }
  if (place > 0) {
    const Candidate& listed = list.items[place - 1];
    if (traced.order.has_value()) {  // else a pin, or there to fill a page
      EXPECT_EQ(sources, listed.sources & ~kFromPinned);
    }
    if (traced.ranker.has_value()) {
      EXPECT_EQ(traced.ranker->score, listed.score);
    }
    EXPECT_EQ(traced.ranker.has_value(), !list.ranker.empty() && listed.score > 0);
  }
  // From step to step, and from the order of the list to its end, nothing is left out.
  size_t at = traced.order.has_value() ? traced.order->place : 0;
  for (const ListMove& move : traced.moves) {
    EXPECT_EQ(move.from, at);
    EXPECT_NE(move.to, at);
    if (move.step == ListStep::kPin) {
      EXPECT_FALSE(query.applied_rules.pins.empty());
    }
    if (move.step == ListStep::kBoost) {
      EXPECT_FALSE(query.applied_rules.boosts.empty());
    }
    if (move.step == ListStep::kDiversity) {
      EXPECT_GT(query.diversity.strength, 0);
    }
    if (move.step == ListStep::kCategoryLimit) {
      EXPECT_GT(query.diversity.category_max, 0u);
    }
    if (move.step == ListStep::kLength) {
      EXPECT_EQ(place, 0u) << "it is behind the last page";
    }
    at = move.to;
  }
  EXPECT_EQ(at, place);
}

// Whatever is asked: every item's final place is that which it has in the list, and those that are
// not in the list have none, by one reason.
TEST_F(PipelineTraceTest, TheFinalPlaceOfEveryItemIsThatOfTheList) {
  Pipeline::Options tight;
  tight.retrieval.candidates = 60;
  tight.retrieval.ranked = 20;
  tight.items_max = 50;
  Pipeline short_of_room{*traced_->state, metrics_.pipeline(), tight, 1};
  const std::vector<ItemIndex> items = AllItems();
  std::mt19937 random(7);
  std::set<ListOutcome> outcomes;
  std::set<ListStep> steps;
  for (int round = 0; round < Rounds(60); ++round) {
    SCOPED_TRACE(round);
    const RecommendQuery query = RandomQuery(random);
    Pipeline& pipeline = round % 2 == 0 ? pipeline_ : short_of_room;
    const size_t items_max = round % 2 == 0 ? Pipeline::Options().items_max : tight.items_max;
    RankedList list = ListOf(pipeline, query);
    list.items.resize(std::min(list.items.size(), items_max));
    const ListTrace trace = TraceOf(pipeline, query, items);
    EXPECT_EQ(trace.list.ranker, list.ranker);
    EXPECT_EQ(trace.list.fallback, list.fallback);
    EXPECT_EQ(trace.list.page_ends, list.page_ends);
    ASSERT_EQ(trace.list.items.size(), list.items.size());
    std::vector<size_t> places(items.size());
    for (size_t at = 0; at < list.items.size(); ++at) places[ToInt(list.items[at].item)] = at + 1;
    for (const TracedItem& traced : trace.items) {
      ExpectTraced(query, list, traced, places[ToInt(traced.item)]);
      if (HasFatalFailure()) return;
      outcomes.insert(traced.outcome);
      for (const ListMove& move : traced.moves) steps.insert(move.step);
    }
  }
  EXPECT_EQ(outcomes.size(), 5u) << "all of them happened";
  EXPECT_EQ(steps.size(), 5u);
}

TEST_F(PipelineTraceTest, TheFiltersThatKeepAnItemOutAreNamed) {
  const UserState user = **traced_->state->generation.ReadUser(kCustomer);
  RecommendQuery query = QueryOf(kCustomer);
  const ItemIndex seen = user.edges[0].item;
  TracedItem traced = TraceOne(query, seen);
  EXPECT_EQ(traced.outcome, ListOutcome::kFiltered);
  EXPECT_EQ(traced.filtered_by, std::vector{ListFilter::kSeen});

  const auto categories = traced_->state->catalogue->category_of_item();
  const auto other = std::ranges::find_if(
      categories, [&](uint32_t category) { return category != categories[ToInt(seen)]; });
  query.rules.excluded = {seen};
  query.rules.categories = {*other};
  traced = TraceOne(query, seen);
  EXPECT_EQ(traced.filtered_by,
            (std::vector{ListFilter::kCategory, ListFilter::kExcluded, ListFilter::kSeen}));

  query = QueryOf(kCustomer);
  query.rules.include_seen = true;
  query.rules.now_us = 20;
  Catalogue& catalogue = *traced_->state->catalogue;
  catalogue.SetAvailability(seen, {.from_us = 10, .until_us = 20});
  EXPECT_EQ(TraceOne(query, seen).filtered_by, std::vector{ListFilter::kNotAvailable});
  catalogue.SetAvailability(seen, {});
  EXPECT_NE(TraceOne(query, seen).outcome, ListOutcome::kFiltered);
}

// The places and scores of one stage are those that the list of that stage alone has.
TEST_F(PipelineTraceTest, PlacesInSourcesBlendAndRankerAreThoseOfTheirOwnLists) {
  const std::vector<ItemIndex> items = AllItems();
  RecommendQuery query = QueryOf(kCustomer);
  const ListTrace trace = TraceOf(pipeline_, query, items);
  query.skip_ranking = true;
  const RankedList by_blend = ListOf(pipeline_, query);
  EXPECT_EQ(trace.chosen, by_blend.items.size());
  for (size_t at = 0; at < by_blend.items.size(); ++at) {
    const TracedItem& traced = trace.items[ToInt(by_blend.items[at].item)];
    ASSERT_TRUE(traced.blend.has_value());
    EXPECT_EQ(traced.blend->place, at + 1);
    EXPECT_EQ(traced.blend->score, by_blend.items[at].score);
    EXPECT_FALSE(traced.blend_terms.empty());
  }
  for (const SourceBit source : {kFromTrending, kFromNextItems}) {
    query.only_sources = source;
    const RankedList of_source = ListOf(pipeline_, query);
    const auto counted = std::ranges::find(trace.sources, source, &TracedSource::source);
    EXPECT_EQ(counted->state, SourceState::kAsked);
    EXPECT_EQ(counted->proposed, of_source.items.size());
    for (size_t at = 0; at < of_source.items.size(); ++at) {
      const auto& proposed = trace.items[ToInt(of_source.items[at].item)].sources;
      const auto found = std::ranges::find(proposed, source, &SourcePlace::source);
      ASSERT_NE(found, proposed.end());
      EXPECT_EQ(found->place, at + 1);
      EXPECT_EQ(found->score, of_source.items[at].score);
    }
  }
  std::vector<ScoredPlace> ranked;
  for (const TracedItem& traced : trace.items) {
    if (traced.ranker.has_value()) ranked.push_back(*traced.ranker);
  }
  EXPECT_EQ(ranked.size(), Retrieval::Options().ranked);
  std::ranges::sort(ranked, {}, &ScoredPlace::place);
  for (size_t at = 0; at < ranked.size(); ++at) {
    EXPECT_EQ(ranked[at].place, at + 1);
    if (at > 0) {
      EXPECT_LE(ranked[at].score, ranked[at - 1].score);
    }
  }
}

TEST_F(PipelineTraceTest, ASourceThatWasNotAskedSaysWhy) {
  const auto states_of = [&](const RecommendQuery& query) {
    std::map<SourceBit, SourceState> states;
    for (const TracedSource& source : TraceOf(pipeline_, query, {ItemIndex{0}}).sources) {
      states[source.source] = source.state;
      EXPECT_TRUE(source.state == SourceState::kAsked || source.quota + source.proposed == 0);
    }
    EXPECT_EQ(states.size(), std::size(kCandidateSources));
    return states;
  };
  RecommendQuery query = QueryOf(kCustomer);
  auto states = states_of(query);
  EXPECT_EQ(states[kFromEmbedding], SourceState::kAsked);
  EXPECT_EQ(states[kFromSimilarItems], SourceState::kOff);
  EXPECT_EQ(states[kFromHistory], SourceState::kSeenLeftOut);
  query.user_id = users_[0];
  states = states_of(query);
  EXPECT_EQ(states[kFromEmbedding], SourceState::kUserUnknown);
  EXPECT_EQ(states[kFromPopular], SourceState::kAsked);
  query = QueryOf(kCustomer);
  query.only_sources = kFromPopular;
  states = states_of(query);
  EXPECT_EQ(states[kFromEmbedding], SourceState::kNotNamed);
  EXPECT_EQ(states[kFromPopular], SourceState::kAsked);
}

TEST_F(PipelineTraceTest, BoostsAndPinsAreToldWithWhatTheyMoved) {
  RecommendQuery query = QueryOf(kCustomer);
  const RankedList plain = ListOf(pipeline_, query);
  const ItemIndex boosted = plain.items[50].item;
  const ItemIndex pinned = plain.items[80].item;
  query.applied_rules.boosts.of_item[boosted] = 10;
  query.applied_rules.pins = {{.item = pinned, .place = 0}};
  const TracedItem of_boost = TraceOne(query, boosted);
  EXPECT_EQ(of_boost.boost, 10);
  EXPECT_EQ(of_boost.order->place, 51u);
  ASSERT_EQ(of_boost.moves.size(), 2u);
  EXPECT_EQ(of_boost.moves[0].step, ListStep::kBoost);
  EXPECT_LT(of_boost.moves[0].to, 51u);
  EXPECT_EQ(of_boost.moves[1].step, ListStep::kPin) << "the pinned one stands before it";
  EXPECT_EQ(of_boost.moves[1].to, of_boost.moves[0].to + 1);
  const TracedItem of_pin = TraceOne(query, pinned);
  EXPECT_EQ(of_pin.pin, 1u);
  EXPECT_EQ(of_pin.place, 1u);
  EXPECT_EQ(of_pin.moves.back().step, ListStep::kPin);
}

}  // namespace
}  // namespace groundswell
