#include "server/pipeline/list_quality.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <random>
#include <thread>
#include <vector>

#include "blend/model.h"
#include "tests/unit/blend/blend_fixture.h"

namespace groundswell {
namespace {

constexpr size_t kServed = 0;
constexpr auto kContext = BlendContext::kInVisit;

size_t Judged(BlendList list) { return 1 + static_cast<size_t>(list); }

// Candidates by number, so that items and rows differ: items descend.
std::vector<Candidate> RowsOf(size_t count) {
  std::vector<Candidate> rows(count);
  for (size_t row = 0; row < count; ++row) {
    rows[row].item = ItemIndex{static_cast<uint32_t>(count - row)};
  }
  return rows;
}

TEST(ListQuality, AnItemsPlaceInTheServedListIsThatOfTheOrderByScoresAndItems) {
  BlendFeatures features;
  features.Extract(MadeUpCandidates(4).columns());
  const std::vector<Candidate> rows = RowsOf(4);  // items 4, 3, 2, 1
  const std::vector<float> scores = {1, 5, 1, 1};
  const auto place = [&](size_t taken) {
    return JudgeLists(kContext, features, rows, taken, scores).place[kServed];
  };
  EXPECT_EQ(place(1), 1);
  EXPECT_EQ(place(3), 2);
  EXPECT_EQ(place(2), 3);
  EXPECT_EQ(place(0), 4);
}

TEST(ListQuality, AnItemsPlaceInEachListIsTheOneThatItWasProposedAt) {
  for (uint32_t seed = 1; seed <= 20; ++seed) {
    const MadeUpCandidates made = RandomCandidates(100, seed);
    BlendFeatures features;
    features.Extract(made.columns());
    std::vector<float> scores(100);
    for (size_t row = 0; row < scores.size(); ++row) scores[row] = -static_cast<float>(row);
    for (size_t taken = 0; taken < scores.size(); ++taken) {
      const JudgedLists judged = JudgeLists(kContext, features, RowsOf(100), taken, scores);
      EXPECT_EQ(judged.place[kServed], taken < 20 ? taken + 1 : 0);
      for (size_t list = 0; list < kBlendLists.size(); ++list) {
        const uint16_t place = made.place[list][taken];
        EXPECT_EQ(judged.place[1 + list], place <= 20 ? place : 0) << kBlendLists[list];
      }
    }
  }
}

TEST(ListQuality, WhatNobodyProposedStandsInNoList) {
  MadeUpCandidates made(3);
  made.place[static_cast<size_t>(BlendList::kTrending)] = {0, 1, 2};
  BlendFeatures features;
  features.Extract(made.columns());
  const JudgedLists judged = JudgeLists(kContext, features, RowsOf(3), std::nullopt, {});
  EXPECT_THAT(judged.place, ::testing::Each(0));
  EXPECT_TRUE(judged.proposes[kServed]);
  EXPECT_TRUE(judged.proposes[Judged(BlendList::kTrending)]);
  EXPECT_FALSE(judged.proposes[Judged(BlendList::kHistory)]);

  ListQuality quality;
  quality.Add(judged);
  const QualityFigures figures = quality.Read();
  EXPECT_EQ(figures.lists[kServed].interactions, 1u);
  EXPECT_EQ(figures.lists[kServed].hit_rate, 0);
  EXPECT_EQ(figures.lists[Judged(BlendList::kTrending)].interactions, 1u);
  EXPECT_EQ(figures.lists[Judged(BlendList::kHistory)].interactions, 0u);
  EXPECT_EQ(figures.of_context[1][Judged(BlendList::kTrending)].interactions, 1u);
  EXPECT_EQ(figures.of_context[0][kServed].interactions, 0u) << "nobody else's";
}

QualityFigures::OfList Recomputed(const std::deque<JudgedLists>& window, size_t list) {
  QualityFigures::OfList of;
  double served = 0;
  double shared = 0;
  for (const JudgedLists& one : window) {
    if (!one.proposes[list]) continue;
    ++of.interactions;
    const bool hit = one.place[list] > 0;
    const bool served_hit = one.place[kServed] > 0;
    of.hit_rate += hit ? 1 : 0;
    of.ndcg += hit ? 1 / std::log2(1.0 + one.place[list]) : 0;
    served += served_hit ? 1 : 0;
    shared += served_hit && hit ? 1 : 0;
  }
  const double count = std::max<double>(static_cast<double>(of.interactions), 1);
  of.hit_rate /= count;
  of.ndcg /= count;
  of.served_hit_rate = served / count;
  of.of_served_hits = shared / std::max<double>(served, 1);
  return of;
}

TEST(ListQuality, TheWindowSaysWhatItsInteractionsSay) {
  std::mt19937 random(3);
  for (const size_t window : {1, 2, 7, 50}) {
    ListQuality quality(window);
    std::deque<JudgedLists> held;
    for (size_t at = 0; at < 200; ++at) {
      if (at == 120) {
        quality.Clear();
        held.clear();
      }
      JudgedLists judged;
      for (size_t list = 0; list < kJudgedLists; ++list) {
        // The lists differ in how much they find; one never proposes anything.
        const uint64_t one_in = at < 60 ? 2 : 9;
        judged.proposes[list] = list == kServed || (list != 3 && random() % one_in == 0);
        if (judged.proposes[list] && random() % (1 + list) == 0) {
          judged.place[list] = static_cast<uint8_t>(random() % 21);
        }
      }
      quality.Add(judged);
      held.push_back(judged);
      if (held.size() > window) held.pop_front();
      const QualityFigures figures = quality.Read();
      for (size_t list = 0; list < kJudgedLists; ++list) {
        const QualityFigures::OfList& is = figures.lists[list];
        const QualityFigures::OfList should = Recomputed(held, list);
        ASSERT_EQ(is.interactions, should.interactions);
        ASSERT_NEAR(is.hit_rate, should.hit_rate, 1e-12);
        ASSERT_NEAR(is.ndcg, should.ndcg, 1e-12);
        ASSERT_NEAR(is.served_hit_rate, should.served_hit_rate, 1e-12);
        ASSERT_NEAR(is.of_served_hits, should.of_served_hits, 1e-12);
      }
    }
  }
}

TEST(ListQuality, WhoReadsSeesWholeInteractionsWhileOthersCome) {
  ListQuality quality(100);
  std::thread writer([&quality] {
    JudgedLists all;
    all.place.fill(1);
    all.proposes.fill(true);
    for (size_t at = 0; at < 20'000; ++at) quality.Add(all);
  });
  size_t seen = 0;
  while (seen < 100) {
    const QualityFigures figures = quality.Read();
    EXPECT_GE(figures.lists[kServed].interactions, seen);
    seen = figures.lists[kServed].interactions;
    for (const QualityFigures::OfList& of : figures.lists) {
      EXPECT_EQ(of.interactions, seen);
      EXPECT_EQ(of.hit_rate, seen > 0 ? 1 : 0);
    }
  }
  writer.join();
}

TEST(ListQuality, EveryListHasItsName) {
  const ListQuality quality(1, {"surge"});
  EXPECT_EQ(quality.NameOf(0), "served");
  EXPECT_EQ(quality.NameOf(1), "embedding");
  EXPECT_EQ(quality.NameOf(kJudgedLists - 1), "ranker");
  EXPECT_EQ(quality.NameOf(kJudgedLists), "ranker:surge");
}

TEST(ListQuality, ARankerWithoutAVoteIsJudgedByTheInteractionsThatItWasAskedIn) {
  const std::vector<Candidate> rows = RowsOf(3);  // items 3, 2, 1
  const std::vector<float> logits = {.5f, std::nanf(""), .5f};
  const auto judge = [&](size_t ranker, uint32_t taken) {
    JudgedLists judged{.context = kContext};
    judged.proposes[kServed] = true;
    judged.place[kServed] = 1;
    JudgeOtherRanker(ranker, rows, ItemIndex{taken}, logits, judged);
    return judged;
  };
  EXPECT_EQ(judge(0, 1).other_place, 1) << "ties are by item";
  EXPECT_EQ(judge(0, 3).other_place, 2);
  EXPECT_EQ(judge(0, 2).other_place, 0) << "it has no score";
  EXPECT_EQ(judge(0, 9).other_place, 0) << "it was not asked about it";

  ListQuality quality(3, {"surge", "din"});
  quality.Add(judge(1, 3));
  quality.Add(judge(0, 1));
  quality.Add(judge(0, 9));
  QualityFigures figures = quality.Read();
  ASSERT_EQ(figures.lists.size(), kJudgedLists + 2);
  EXPECT_EQ(figures.lists[kJudgedLists].interactions, 2u);
  EXPECT_EQ(figures.lists[kJudgedLists].hit_rate, .5);
  EXPECT_EQ(figures.lists[kJudgedLists].served_hit_rate, 1);
  EXPECT_EQ(figures.lists[kJudgedLists + 1].interactions, 1u);
  EXPECT_EQ(figures.lists[kJudgedLists + 1].ndcg, 1 / std::log2(3.0));
  quality.Add({.context = kContext});
  figures = quality.Read();
  EXPECT_EQ(figures.lists[kJudgedLists + 1].interactions, 0u) << "it left the window";
}

}  // namespace
}  // namespace groundswell
