// The sources' proposals as one table: quotas, who may be asked, and what fills a list.
#include "server/pipeline/retrieval.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "server/config/config_keys.h"
#include "server/recommend/api_sources.h"
#include "tests/unit/server/live_sample.h"

namespace groundswell {
namespace {

using std::chrono::hours;
using std::chrono::steady_clock;

Retrieval::Options NothingOn() {
  Retrieval::Options options;
  for (const CandidateSource& source : kCandidateSources) options.quotas[source.bit] = 0;
  return options;
}

Retrieval::Options Only(SourceBit source, size_t quota) {
  Retrieval::Options options = NothingOn();
  options.quotas[source] = quota;
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
  bool include_seen = false;
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

  // The rows of the table, and whether a search was skipped.
  struct Found {
    std::vector<Candidate> items;
    size_t candidates_max = 0;
    bool skipped = false;
  };

  Found Propose(const Retrieval::Options& options, const OverlaidUser* user,
                const Asked& asked = {}) {
    std::vector<ItemIndex> seen;
    if (user != nullptr && !asked.include_seen) {
      for (const Edge& edge : user->state.edges) seen.push_back(edge.item);
    }
    ItemFilter filter;
    filter.Exclude(seen);
    const ItemFilter with_seen;
    const Retrieval retrieval(*sample_->state, metrics_.pipeline(), options);
    const Retrieval::Result result = retrieval.Propose({.user = user,
                                                        .filter = filter,
                                                        .filter_with_seen = with_seen,
                                                        .include_seen = asked.include_seen,
                                                        .categories = {},
                                                        .seed = 3,
                                                        .only_sources = asked.only_sources,
                                                        .fewer = asked.fewer,
                                                        .items_min = asked.items_min,
                                                        .deadline = asked.deadline},
                                                       {.number = 0}, scratch_);
    const auto rows = scratch_.table.rows();
    return {.items = {rows.begin(), rows.end()},
            .candidates_max = result.candidates_max,
            .skipped = result.skipped};
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
  for (const auto& [bit, in_api] : ApiSources()) {
    ASSERT_NE(in_api, v1::CANDIDATE_SOURCE_UNSPECIFIED) << NameOf(bit);
    EXPECT_EQ(InApi(bit), in_api);
    EXPECT_EQ(SourceOfApi(in_api), bit);
  }
  EXPECT_EQ(InApi(kFromCluster), v1::CANDIDATE_SOURCE_MACRO_NODE);
  EXPECT_EQ(InApi(kFromPageRank), v1::CANDIDATE_SOURCE_PAGE_RANK);
  EXPECT_EQ(SourceOfApi(v1::CANDIDATE_SOURCE_UNSPECIFIED), SourceBit{});
  EXPECT_EQ(SourceOfApi(1'000), SourceBit{}) << "of a later version";
}

TEST(SourceTableTest, EveryQuotaIsTheSettingOfItsSourcesName) {
  for (const CandidateSource& source : kCandidateSources) {
    const std::string name = "retrieval." + std::string(NameOf(source.bit));
    const ConfigKey* const key = FindConfigKey(name);
    ASSERT_NE(key, nullptr) << name;
    Config config;
    *std::get<int64_t*>(key->member(config)) = 7;
    EXPECT_EQ(SourceQuotas(config.retrieval)[source.bit], 7u) << name;
  }
  EXPECT_EQ(SourceQuotas()[kFromEmbedding], 200u);
  EXPECT_EQ(SourceQuotas()[kFromSimilarItems], 0u);
}

TEST_F(RetrievalTest, WhatCameAfterTheNewestItemsIsOfThisRequestAlone) {
  const auto& strengths = scratch_.of_sources.next_items.strengths;
  Propose({}, user_);
  EXPECT_GT(strengths.size(), 0u);
  Propose({}, nullptr);
  EXPECT_EQ(strengths.size(), 0u);
  Propose({}, user_);
  Propose({}, user_, {.only_sources = kFromEmbedding | kFromTrending});
  EXPECT_EQ(strengths.size(), 0u);
}

TEST_F(RetrievalTest, EachSourceAloneProposesUpToItsQuota) {
  for (const CandidateSource& source : kCandidateSources) {
    const Asked asked{.include_seen = source.of_seen_items};
    const Found found = Propose(Only(source.bit, 9), user_, asked);
    EXPECT_FALSE(found.skipped);
    EXPECT_EQ(SourcesOf(found.items), uint32_t{source.bit});
    EXPECT_LE(found.items.size(), source.phase == SourcePhase::kFill ? 600u : 9u) << source.bit;
    const CandidateTable::Column column = scratch_.table.Of(source.bit);
    for (size_t i = 0; i < found.items.size(); ++i) {
      EXPECT_EQ(column.place[i], i + 1) << source.bit;
      if (i > 0) {
        EXPECT_GE(column.score[i - 1], column.score[i]) << source.bit;
      }
      EXPECT_EQ(user_->state.Has(found.items[i].item), source.of_seen_items) << source.bit;
    }
  }
  for (const SourceBit source : {kFromEmbedding, kFromWalk, kFromNextItems}) {
    EXPECT_EQ(Propose(Only(source, 9), user_).items.size(), 9u) << source;
  }
}

TEST_F(RetrievalTest, HistoryIsAskedWhereSeenItemsAreLetInOrByItsName) {
  const Retrieval::Options options = Only(kFromHistory, 9);
  EXPECT_EQ(SourcesOf(Propose(options, user_).items) & kFromHistory, 0u);
  EXPECT_EQ(Propose(options, user_, {.include_seen = true}).items.size(), 9u);
  EXPECT_EQ(Propose(options, user_, {.only_sources = kFromHistory}).items.size(), 9u);
}

TEST_F(RetrievalTest, AnItemHasThePlacesThatItsProposersGaveIt) {
  const Found found = Propose({}, user_);
  for (const CandidateSource& source : kCandidateSources) {
    const CandidateTable::Column column = scratch_.table.Of(source.bit);
    const bool asked = SourceQuotas{}[source.bit] > 0 && !source.of_seen_items;
    ASSERT_EQ(column.place.size(), asked ? found.items.size() : 0) << source.bit;
    for (size_t row = 0; row < column.place.size(); ++row) {
      EXPECT_EQ(column.place[row] > 0, (found.items[row].sources & source.bit) != 0);
    }
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
  EXPECT_FALSE(found.skipped);
  const auto rows = scratch.table.rows();
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].item, lines[1]) << "next, and once more two lines later";
  EXPECT_EQ(rows[1].item, lines[2]);
}

TEST_F(RetrievalTest, OnlySourcesAsksThoseAloneAlsoWhereTheyAreOff) {
  Retrieval::Options options;
  options.candidates = 30;
  options.quotas[kFromTrending] = 0;
  for (const CandidateSource& source : kCandidateSources) {
    const Found found = Propose(options, user_, {.only_sources = source.bit});
    EXPECT_EQ(SourcesOf(found.items), uint32_t{source.bit});
    EXPECT_EQ(found.candidates_max, 30u);
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
  EXPECT_EQ(Propose(options, user_).candidates_max, 41u);
  EXPECT_EQ(Propose(options, user_, {.fewer = true}).candidates_max, 11u);
  const Asked walks{.only_sources = kFromWalk, .fewer = true};
  EXPECT_EQ(Propose(options, user_, walks).candidates_max, 41u);
  EXPECT_FALSE(scratch_.table.rows().empty());
}

TEST_F(RetrievalTest, PopularItemsFillAListThatTheSearchesLeaveEmpty) {
  Retrieval::Options options = Only(kFromPopular, 5);
  options.candidates = 50;
  EXPECT_EQ(Propose(options, nullptr).items.size(), 50u) << "nobody known";
  EXPECT_EQ(Propose(options, user_).items.size(), 50u) << "the search is off";
  options.quotas[kFromEmbedding] = 10;
  EXPECT_LE(Propose(options, user_).items.size(), 15u) << "the search found something";
  EXPECT_GE(Propose(options, user_, {.items_min = 40}).items.size(), 40u) << "too little";
  options.quotas[kFromPopular] = 0;
  EXPECT_EQ(Propose(options, user_).items.size(), 10u);
  EXPECT_EQ(Propose(options, nullptr, {.items_min = 40}).items.size(), 40u) << "off, but needed";
}

TEST_F(RetrievalTest, AFilledListIsAsIfPopularItemsHadBeenAskedForOnce) {
  Retrieval::Options options = Only(kFromEmbedding, 10);
  options.quotas[kFromPopular] = 5;
  const std::vector<Candidate> filled = Propose(options, user_, {.items_min = 40}).items;
  const CandidateTable::Column column = scratch_.table.Of(kFromPopular);
  const std::vector<uint16_t> places(column.place.begin(), column.place.end());
  options.quotas[kFromPopular] = 40;
  const std::vector<Candidate> asked = Propose(options, user_).items;
  ASSERT_EQ(filled.size(), asked.size());
  for (size_t i = 0; i < filled.size(); ++i) {
    EXPECT_EQ(filled[i].item, asked[i].item);
    EXPECT_EQ(places[i], scratch_.table.Of(kFromPopular).place[i]);
    EXPECT_EQ(filled[i].sources, asked[i].sources);
  }
}

TEST_F(RetrievalTest, WithoutTimeTheSearchesAreSkippedAndSaidToBe) {
  const auto past = steady_clock::now() - hours(1);
  Retrieval::Options options;
  const Found found = Propose(options, user_, {.deadline = past});
  EXPECT_TRUE(found.skipped);
  EXPECT_EQ(SourcesOf(found.items) & (kFromEmbedding | kFromSimilarItems), 0u);
  EXPECT_NE(SourcesOf(found.items) & kFromPopular, 0u);
  EXPECT_FALSE(Propose(options, nullptr, {.deadline = past}).skipped) << "nothing to search for";
  const Asked popular{.only_sources = kFromPopular, .deadline = past};
  EXPECT_FALSE(Propose(options, user_, popular).skipped) << "nobody asked for a search";
}

}  // namespace
}  // namespace groundswell
