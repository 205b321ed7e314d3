#include "server/offline/past_candidates.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "graph/fold/judgement.h"
#include "graph/state/macro_graph.h"

namespace groundswell {
namespace {

using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

constexpr uint32_t kPastItems = 40;
constexpr int64_t kPastDayS = 86'400;

// Ten trained users and forty trained items in the plane, all users in cluster 1 of two.
class PastCandidatesTest : public ::testing::Test {
 protected:
  PastCandidatesTest() : users_(10), user_vectors_(20, 1.f), item_vectors_(2 * kPastItems) {
    for (uint32_t user = 0; user < users_.size(); ++user) {
      users_[user].index = UserIndex{user};
      users_[user].cluster = 1;
    }
    for (uint32_t item = 0; item < kPastItems; ++item) {
      item_vectors_[2 * item] = static_cast<float>(item);
    }
    index_ = *EmbeddingIndex::Build(item_vectors_, 2, {});
    vectors_ = std::make_unique<LiveVectors>(
        LiveVectors::Trained{.users = user_vectors_, .items = item_vectors_, .dim = 2}, adjacency_);
  }

  void Take(uint32_t user, uint32_t item, int64_t time_s) {
    log_.push_back({.user = UserIndex{user}, .item = ItemIndex{item}, .time_s = time_s});
    UserState& state = users_[user];
    const Edge edge{
        .item = ItemIndex{item},
        .count = 1,
        .last = {.time_us = time_s * 1'000'000, .offset = static_cast<Offset>(log_.size())}};
    const auto at = std::ranges::upper_bound(state.edges, edge.item, {}, &Edge::item);
    state.edges.insert(at, edge);
    const EdgeChange change{.user = state.index,
                            .item = edge.item,
                            .cluster_before = state.cluster,
                            .cluster_after = state.cluster,
                            .before = {},
                            .after = {&edge, 1},
                            .of_user = state.edges};
    adjacency_.Change(change);
    trending_.Change(change, 0);
  }

  PastCandidates Of(const std::string& sources, bool by_source = true) {
    const auto quotas = QuotasOfNamed(sources);
    EXPECT_TRUE(quotas.ok()) << quotas.status();
    return {{.adjacency = adjacency_,
             .trending = trending_,
             .embedding_index = *index_,
             .vectors = *vectors_},
            {.quotas = *quotas, .by_source = by_source}};
  }
  PastAsker Asker(uint32_t user, uint32_t positive, int64_t time_s = kPastDayS) {
    return {.user = users_[user], .time_s = time_s, .positive = ItemIndex{positive}};
  }
  static std::vector<uint32_t> Numbers(std::span<const ItemIndex> items) {
    std::vector<uint32_t> numbers;
    for (const ItemIndex item : items) numbers.push_back(ToInt(item));
    return numbers;
  }
  std::vector<uint32_t> Found(const std::string& sources, const PastAsker& asker) {
    PastCandidates candidates = Of(sources);
    return Numbers(candidates.Find(asker, 1));
  }
  static std::vector<uint32_t> Drawn(PastCandidates& candidates, size_t count, uint64_t seed) {
    std::mt19937_64 random(seed);
    std::vector<ItemIndex> drawn;
    candidates.Draw(count, random, drawn);
    return Numbers(drawn);
  }

  std::vector<UserState> users_;
  std::vector<float> user_vectors_;
  std::vector<float> item_vectors_;
  std::vector<PastLog::Event> log_;
  InteractionAdjacency adjacency_{100};
  TrendingItems trending_{21'600, 2};
  std::unique_ptr<EmbeddingIndex> index_;
  std::unique_ptr<LiveVectors> vectors_;
};

TEST_F(PastCandidatesTest, EachSourceProposesWhatItDoesLive) {
  for (const uint32_t other : {1, 2, 3}) {
    Take(other, 0, kPastDayS - 300 + other);
    Take(other, 5, kPastDayS - 200 + other);
  }
  Take(4, 7, kPastDayS - 50);
  Take(0, 0, kPastDayS - 10);
  EXPECT_THAT(Found("next_items", Asker(0, 9)), ElementsAre(5));
  EXPECT_THAT(Found("trending", Asker(0, 9)), ElementsAre(5, 7)) << "item 0 is the user's";
  EXPECT_THAT(Found("macro_node", Asker(0, 9)), ElementsAre(5, 7));
  EXPECT_THAT(Found("random_walk", Asker(0, 9)), Contains(5));
  EXPECT_EQ(Found("embedding", Asker(0, 9)).front(), kPastItems - 1);
  EXPECT_THAT(Found("similar_items", Asker(0, 9)), Contains(kPastItems - 1));
  EXPECT_THAT(Found("trending,next_items", Asker(0, 9)), ElementsAre(5, 7)) << "none twice";
}

TEST_F(PastCandidatesTest, NeitherThePositiveNorWhatIsTakenInTheSameSecondIsANegative) {
  for (const uint32_t item : {1, 2, 3, 4, 5}) Take(1, item, kPastDayS - 10 + item);
  EXPECT_THAT(Found("trending", Asker(0, 2)), UnorderedElementsAre(1, 3, 4, 5));
  const std::vector<PastLog::Event> later = {
      {.user = UserIndex{0}, .item = ItemIndex{2}, .time_s = kPastDayS},
      {.user = UserIndex{7}, .item = ItemIndex{4}, .time_s = kPastDayS},  // somebody else
      {.user = UserIndex{0}, .item = ItemIndex{3}, .time_s = kPastDayS},
      {.user = UserIndex{0}, .item = ItemIndex{5}, .time_s = kPastDayS + 1}};
  PastAsker asker = Asker(0, 2);
  asker.now_and_later = later;
  EXPECT_THAT(Found("trending", asker), UnorderedElementsAre(1, 4, 5));
}

TEST_F(PastCandidatesTest, TimeFadesUpToTheEvent) {
  Take(1, 1, kPastDayS);
  EXPECT_THAT(Found("trending", Asker(0, 2, kPastDayS)), ElementsAre(1));
  EXPECT_THAT(Found("trending", Asker(0, 2, 30 * kPastDayS)), IsEmpty());
}

// Whose cluster follows from the item that they are about to take.
TEST_F(PastCandidatesTest, AnUnknownUserIsNotAskedAboutAsOneOfACluster) {
  Take(1, 1, kPastDayS - 10);
  PastAsker asker = Asker(0, 2);
  EXPECT_THAT(Found("macro_node", asker), ElementsAre(1));
  asker.is_known = false;
  EXPECT_THAT(Found("macro_node", asker), IsEmpty());
  EXPECT_THAT(Found("trending", asker), ElementsAre(1));
}

TEST_F(PastCandidatesTest, NegativesComeFromEverySourceInTurnOrFromAllAlike) {
  Take(1, 0, kPastDayS - 20);
  Take(1, 39, kPastDayS - 19);
  Take(0, 0, kPastDayS - 18);
  // In the list are 30 trending items and one next item, which trends too.
  for (uint32_t item = 1; item <= 30; ++item) Take(2, item, kPastDayS - 10);
  PastCandidates candidates = Of("next_items,trending");
  EXPECT_THAT(candidates.Find(Asker(0, 35), 1), SizeIs(31));
  PastCandidates uniform = Of("next_items,trending", false);
  uniform.Find(Asker(0, 35), 1);
  std::map<bool, int> with_next_item;
  for (uint64_t seed = 0; seed < 500; ++seed) {
    const std::vector<uint32_t> drawn = Drawn(candidates, 4, seed);
    EXPECT_THAT(drawn, SizeIs(4));
    EXPECT_THAT(std::set<uint32_t>(drawn.begin(), drawn.end()), SizeIs(4)) << "none twice";
    EXPECT_THAT(drawn, Contains(39)) << "each source has its turn";
    const std::vector<uint32_t> alike = Drawn(uniform, 4, seed);
    EXPECT_THAT(std::set<uint32_t>(alike.begin(), alike.end()), SizeIs(4));
    ++with_next_item[std::ranges::count(alike, 39) > 0];
  }
  // 4 of 31: 65 of 500 expected, with a deviation of 7.5.
  EXPECT_GT(with_next_item[true], 30);
  EXPECT_LT(with_next_item[true], 100);
}

TEST_F(PastCandidatesTest, WhereThereAreFewerAllAreDrawnAndTheSeedDecides) {
  for (uint32_t item = 1; item <= 30; ++item) Take(2, item, kPastDayS - 10);
  for (const bool by_source : {true, false}) {
    PastCandidates candidates = Of("next_items,trending,macro_node", by_source);
    const std::vector<uint32_t> found = Numbers(candidates.Find(Asker(0, 3), 1));
    EXPECT_THAT(found, SizeIs(29));
    EXPECT_THAT(Drawn(candidates, 100, 1), testing::UnorderedElementsAreArray(found));
    EXPECT_EQ(Drawn(candidates, 5, 1), Drawn(candidates, 5, 1));
    EXPECT_NE(Drawn(candidates, 5, 1), Drawn(candidates, 5, 2));
    candidates.Find(Asker(2, 3), 1);  // who has them all
    EXPECT_THAT(Drawn(candidates, 5, 1), IsEmpty());
  }
}

TEST_F(PastCandidatesTest, TheUsersOwnIsNeverFound) {
  for (uint32_t item = 0; item < 20; ++item) Take(item % 3, item, kPastDayS - 100 + item);
  const std::string all = "embedding,similar_items,next_items,random_walk,trending,macro_node";
  const std::vector<uint32_t> found = Found(all, Asker(0, 19));
  EXPECT_GT(found.size(), 20u);
  for (uint32_t own = 0; own < 20; own += 3) EXPECT_THAT(found, Not(Contains(own)));
  EXPECT_THAT(found, Not(Contains(19)));
  EXPECT_THAT(found, Each(testing::Lt(kPastItems)));
}

TEST(PastCandidateSourcesTest, WhatIsNotAskedIsNamed) {
  for (const char* name : {"history", "popular", "next", ""}) {
    const absl::Status status = QuotasOfNamed(std::string("trending,") + name).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << name;
    EXPECT_THAT(std::string(status.message()),
                HasSubstr("\"" + std::string(name) + "\"; there are embedding, similar_items, "));
  }
  const SourceQuotas quotas = *QuotasOfNamed("trending,similar_items");
  EXPECT_EQ(quotas[kFromTrending], SourceQuotas()[kFromTrending]);
  EXPECT_EQ(quotas[kFromSimilarItems], 100u) << "off by default";
  EXPECT_EQ(quotas[kFromEmbedding], 0u);
}

}  // namespace
}  // namespace groundswell
