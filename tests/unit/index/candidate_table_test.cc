#include "index/candidate_table.h"

#include <gmock/gmock.h>

#include <vector>

namespace groundswell {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<Candidate> ListOf(std::vector<std::pair<uint32_t, float>> items) {
  std::vector<Candidate> list;
  for (const auto& [item, score] : items) list.push_back({.item = ItemIndex{item}, .score = score});
  return list;
}

std::vector<std::pair<uint32_t, uint32_t>> RowsOf(const CandidateTable& table) {
  std::vector<std::pair<uint32_t, uint32_t>> rows;
  for (const Candidate& row : table.rows()) rows.emplace_back(ToInt(row.item), row.sources);
  return rows;
}

TEST(CandidateTableTest, ARowHasThePlaceAndTheScoreOfEachProposer) {
  CandidateTable table;
  table.Reset(5);
  table.Add(kFromEmbedding, ListOf({{7, .9f}, {3, -8}}));
  table.Add(kFromPopular, ListOf({{3, 50}, {9, 40}}));
  table.Add(kFromTrending, {});
  EXPECT_THAT(RowsOf(table), ElementsAre(std::pair(7u, kFromEmbedding),
                                         std::pair(3u, kFromEmbedding | kFromPopular),
                                         std::pair(9u, kFromPopular)));
  EXPECT_THAT(table.Of(kFromEmbedding).place, ElementsAre(1, 2, 0));
  EXPECT_THAT(table.Of(kFromEmbedding).score, ElementsAre(.9f, -8, 0));
  EXPECT_THAT(table.Of(kFromPopular).place, ElementsAre(0, 1, 2));
  EXPECT_THAT(table.Of(kFromPopular).score, ElementsAre(0, 50, 40));
  EXPECT_THAT(table.Of(kFromTrending).place, ElementsAre(0, 0, 0)) << "asked, and proposed nothing";
  EXPECT_THAT(table.Of(kFromWalk).place, IsEmpty()) << "not asked";
}

TEST(CandidateTableTest, ALongerListOfASourceIsAsIfItHadBeenAskedForAtOnce) {
  CandidateTable table;
  table.Reset(4);
  table.Add(kFromPopular, ListOf({{4, 3}}));
  table.Add(kFromPopular, ListOf({{4, 3}, {2, 2}, {1, 1}}));
  EXPECT_THAT(RowsOf(table), ElementsAre(std::pair(4u, kFromPopular), std::pair(2u, kFromPopular),
                                         std::pair(1u, kFromPopular)));
  EXPECT_THAT(table.Of(kFromPopular).place, ElementsAre(1, 2, 3));
}

TEST(CandidateTableTest, TheNextRequestFindsNothingOfTheLast) {
  CandidateTable table;
  table.Reset(2);
  table.Add(kFromWalk, ListOf({{1, 1}, {2, 1}}));
  table.Reset(1);
  EXPECT_THAT(table.rows(), IsEmpty());
  table.Add(kFromPopular, ListOf({{2, 5}}));
  EXPECT_THAT(RowsOf(table), ElementsAre(std::pair(2u, kFromPopular)));
  EXPECT_THAT(table.Of(kFromWalk).place, IsEmpty());
}

TEST(CandidateTableTest, PlacesEndWhereTheirNumbersDo) {
  std::vector<Candidate> many(70'000);
  for (uint32_t i = 0; i < many.size(); ++i) many[i].item = ItemIndex{i};
  CandidateTable table;
  table.Reset(many.size());
  table.Add(kFromPopular, many);
  EXPECT_EQ(table.Of(kFromPopular).place[65'534], 65'535);
  EXPECT_EQ(table.Of(kFromPopular).place[69'999], 65'535);
}

}  // namespace
}  // namespace groundswell
