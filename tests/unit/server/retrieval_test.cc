// The sources' proposals as one list: quotas, weights, who may be asked, and what fills a list.
#include "server/pipeline/retrieval.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cctype>
#include <string>
#include <string_view>
#include <vector>

#include "server/recommend/recommend_checks.h"
#include "tests/unit/server/live_sample.h"

namespace groundswell {
namespace {

using std::chrono::hours;
using std::chrono::steady_clock;

constexpr char kCustomer[] = "17850";

Retrieval::Options NothingOn() {
  Retrieval::Options options;
  for (const CandidateSource& source : kCandidateSources) options.sources[source.bit].quota = 0;
  return options;
}

Retrieval::Options Only(SourceBit source, size_t quota) {
  Retrieval::Options options = NothingOn();
  options.sources[source].quota = quota;
  return options;
}

uint32_t SourcesOf(const std::vector<Candidate>& items) {
  uint32_t sources = 0;
  for (const Candidate& candidate : items) sources |= candidate.sources;
  return sources;
}

// What a request may ask of retrieval beside its user.
struct Asked {
  uint32_t only_sources = 0;
  bool fewer = false;
  size_t items_min = 0;
  steady_clock::time_point deadline = steady_clock::now() + hours(1);
};

class RetrievalTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    sample_ = new LiveSample;
    user_ =
        new OverlaidUser{.state = **sample_->state->generation.ReadUser(kCustomer), .joined = {}};
  }
  static void TearDownTestSuite() {
    delete user_;
    delete sample_;
  }

  Retrieval::Result Propose(const Retrieval::Options& options, const OverlaidUser* user,
                            const Asked& asked = {}) {
    std::vector<ItemIndex> seen;
    if (user != nullptr) {
      for (const Edge& edge : user->state.edges) seen.push_back(edge.item);
    }
    ItemFilter filter;
    filter.Exclude(seen);
    const ItemFilter with_seen;
    const Retrieval retrieval(*sample_->state, metrics_.pipeline(), options);
    return retrieval.Propose({.user = user,
                              .filter = filter,
                              .filter_with_seen = with_seen,
                              .categories = {},
                              .seed = 3,
                              .only_sources = asked.only_sources,
                              .fewer = asked.fewer,
                              .items_min = asked.items_min,
                              .deadline = asked.deadline},
                             {.number = 0}, scratch_);
  }

  static inline LiveSample* sample_ = nullptr;
  static inline OverlaidUser* user_ = nullptr;
  Metrics metrics_{std::vector<std::string>{"purchase"}};
  Retrieval::Scratch scratch_;
};

TEST(SourceTableTest, EachSourceStandsInItOnceAndItsPhasesAreInOrder) {
  EXPECT_TRUE(std::ranges::is_sorted(kCandidateSources, {}, &CandidateSource::phase));
  EXPECT_EQ(std::ranges::count(kCandidateSources, SourcePhase::kFill, &CandidateSource::phase), 1);
  uint32_t bits = 0;
  for (const CandidateSource& source : kCandidateSources) {
    EXPECT_EQ(bits & source.bit, 0u) << source.bit;
    bits |= source.bit;
  }
  EXPECT_EQ(bits, Retrieval::kSources);
}

TEST(SourceTableTest, TheApiHasEverySourceByItsName) {
  ASSERT_EQ(std::size(kSources), kSourceNames.size());
  for (const auto& [bit, source] : kSources) {
    std::string name = "CANDIDATE_SOURCE_";
    for (const char letter : std::string_view(kSourceNames[std::countr_zero<uint32_t>(bit)])) {
      name += static_cast<char>(std::toupper(static_cast<unsigned char>(letter)));
    }
    EXPECT_EQ(v1::CandidateSource_Name(source), name);
  }
}

TEST(SourceTableTest, LimitsAreThoseOfTheConfiguration) {
  Config::Retrieval config;
  EXPECT_EQ(SourceLimits()[kFromEmbedding].quota, 400u);
  EXPECT_EQ(SourceLimits()[kFromHistory].quota, 0u);
  EXPECT_EQ(SourceLimits()[kFromWalk].weight, 1);
  config.macro_node = 7;
  config.macro_node_weight = 250;
  EXPECT_EQ(SourceLimits(config)[kFromMacroNode].quota, 7u);
  EXPECT_EQ(SourceLimits(config)[kFromMacroNode].weight, 2.5f);
}

TEST_F(RetrievalTest, EachSourceAloneProposesUpToItsQuota) {
  for (const CandidateSource& source : kCandidateSources) {
    const Retrieval::Result found = Propose(Only(source.bit, 9), user_);
    EXPECT_FALSE(found.skipped);
    EXPECT_EQ(SourcesOf(found.items), uint32_t{source.bit});
    EXPECT_LE(found.items.size(), source.phase == SourcePhase::kFill ? 600u : 9u) << source.bit;
    for (size_t i = 1; i < found.items.size(); ++i) {
      EXPECT_GE(found.items[i - 1].score, found.items[i].score) << source.bit;
    }
    for (const Candidate& candidate : found.items) {
      EXPECT_EQ(user_->state.Has(candidate.item), source.bit == kFromHistory) << source.bit;
    }
  }
  for (const SourceBit source : {kFromEmbedding, kFromWalk, kFromNextItems, kFromHistory}) {
    EXPECT_EQ(Propose(Only(source, 9), user_).items.size(), 9u) << source;
  }
}

// Two invoices with lines of one time, in one order, after which somebody begins a third.
TEST(NextItemsOfTheLiveGraphTest, TheNextLineOfAnInvoiceIsTheOneThatFollowed) {
  LiveSample sample;
  const Catalogue& catalogue = *sample.state->catalogue;
  const ItemIndex lines[] = {ItemIndex{30}, ItemIndex{20}, ItemIndex{10}, ItemIndex{20}};
  int event = 0;
  const auto take = [&](const std::string& user, ItemIndex item) {
    sample.Apply(Interaction{.event_id = "line " + std::to_string(++event),
                             .user_id = user,
                             .item_id = std::string(catalogue.Id(item)),
                             .event_type = "purchase",
                             .weight = 1,
                             .event_time_us = 1'900'000'000'000'000});
  };
  for (const std::string user : {"first", "second"}) {
    for (const ItemIndex item : lines) take(user, item);
  }
  take("third", lines[0]);
  const OverlaidUser third{.state = **sample.state->generation.ReadUser("third"), .joined = {}};
  Metrics metrics{std::vector<std::string>{"purchase"}};
  const Retrieval retrieval(*sample.state, metrics.pipeline(), Only(kFromNextItems, 2));
  const ItemFilter filter;
  Retrieval::Scratch scratch;
  const auto found = retrieval.Propose({.user = &third,
                                        .filter = filter,
                                        .filter_with_seen = filter,
                                        .only_sources = kFromNextItems,
                                        .deadline = steady_clock::now() + hours(1)},
                                       {.number = 0}, scratch);
  ASSERT_EQ(found.items.size(), 2u);
  EXPECT_EQ(found.items[0].item, lines[1]) << "next, and once more two lines later";
  EXPECT_EQ(found.items[1].item, lines[2]);
}

TEST_F(RetrievalTest, OnlySourcesAsksThoseAloneAlsoWhereTheyAreOff) {
  Retrieval::Options options;
  options.candidates = 30;
  options.sources[kFromTrending].quota = 0;
  for (const CandidateSource& source : kCandidateSources) {
    const Retrieval::Result found = Propose(options, user_, {.only_sources = source.bit});
    EXPECT_EQ(SourcesOf(found.items), uint32_t{source.bit});
    EXPECT_LE(found.items.size(), 30u);
  }
  const uint32_t two = kFromWalk | kFromPopular;
  EXPECT_EQ(SourcesOf(Propose(options, user_, {.only_sources = two}).items), two);
  // Nobody else fills the list up.
  EXPECT_TRUE(
      Propose(options, nullptr, {.only_sources = kFromHistory, .items_min = 10}).items.empty());
}

TEST_F(RetrievalTest, FewerAreAQuarterWithoutWalksButNotOfSourcesThatAreNamed) {
  EXPECT_EQ(Propose(Only(kFromEmbedding, 10), user_, {.fewer = true}).items.size(), 3u);
  EXPECT_TRUE(Propose(Only(kFromWalk, 10), user_, {.fewer = true}).items.empty());
  Retrieval::Options options;
  options.candidates = 41;
  EXPECT_EQ(Propose(options, user_).items.size(), 41u);
  EXPECT_EQ(Propose(options, user_, {.fewer = true}).items.size(), 11u);
  EXPECT_EQ(Propose(options, user_, {.only_sources = kFromWalk, .fewer = true}).items.size(), 41u);
}

TEST_F(RetrievalTest, PopularItemsFillAListThatTheSearchesLeaveEmpty) {
  Retrieval::Options options = Only(kFromPopular, 5);
  options.candidates = 50;
  EXPECT_EQ(Propose(options, nullptr).items.size(), 50u) << "nobody known";
  EXPECT_EQ(Propose(options, user_).items.size(), 50u) << "the search is off";
  options.sources[kFromEmbedding].quota = 10;
  EXPECT_LE(Propose(options, user_).items.size(), 15u) << "the search found something";
  EXPECT_GE(Propose(options, user_, {.items_min = 40}).items.size(), 40u) << "too little";
  options.sources[kFromPopular].quota = 0;
  EXPECT_EQ(Propose(options, user_).items.size(), 10u);
  EXPECT_EQ(Propose(options, nullptr, {.items_min = 40}).items.size(), 40u) << "off, but needed";
}

TEST_F(RetrievalTest, AFilledListIsMergedAsIfPopularItemsHadBeenAskedForOnce) {
  Retrieval::Options options = Only(kFromEmbedding, 10);
  options.sources[kFromPopular].quota = 5;
  const std::vector<Candidate> filled = Propose(options, user_, {.items_min = 40}).items;
  options.sources[kFromPopular].quota = 40;
  const std::vector<Candidate> asked = Propose(options, user_).items;
  ASSERT_LE(filled.size(), asked.size());
  for (size_t i = 0; i < filled.size(); ++i) {
    EXPECT_EQ(filled[i].item, asked[i].item);
    EXPECT_EQ(filled[i].score, asked[i].score);
    EXPECT_EQ(filled[i].sources, asked[i].sources);
  }
}

TEST_F(RetrievalTest, WithoutTimeTheSearchesAreSkippedAndSaidToBe) {
  const auto past = steady_clock::now() - hours(1);
  Retrieval::Options options;
  const Retrieval::Result found = Propose(options, user_, {.deadline = past});
  EXPECT_TRUE(found.skipped);
  EXPECT_EQ(SourcesOf(found.items) & (kFromEmbedding | kFromSimilarItems), 0u);
  EXPECT_NE(SourcesOf(found.items) & kFromPopular, 0u);
  EXPECT_FALSE(Propose(options, nullptr, {.deadline = past}).skipped) << "nothing to search for";
  const Asked popular{.only_sources = kFromPopular, .deadline = past};
  EXPECT_FALSE(Propose(options, user_, popular).skipped) << "nobody asked for a search";
}

TEST_F(RetrievalTest, AListThatWeighsMoreComesFirst) {
  Retrieval::Options options = Only(kFromEmbedding, 10);
  options.sources[kFromPopular].quota = 10;
  for (const SourceBit heavy : {kFromEmbedding, kFromPopular}) {
    options.sources[heavy].weight = 1'000;
    const std::vector<Candidate> items = Propose(options, user_).items;
    for (size_t i = 0; i < 10; ++i) EXPECT_NE(items[i].sources & heavy, 0u) << i;
    options.sources[heavy].weight = 1;
  }
}

}  // namespace
}  // namespace groundswell
