// Explanations of every ranker against leaving each cause out by hand, through the Ranker
// interface.
#include "models/explanations.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "models/snapshot/registry.h"
#include "tests/support/macgnn_fixture.h"
#include "tests/support/sequence_fixture.h"
#include "tests/support/surge_fixture.h"

namespace groundswell {
namespace {

using Kind = Cause::Kind;

constexpr size_t kBlock = 7;  // not a multiple of the number of items
constexpr size_t kItems = 3;
constexpr int64_t kDay = 86'400'000'000;
constexpr int64_t kNow = 100 * kDay;

std::unique_ptr<Ranker> MakeRankerOf(const std::string& model,
                                     const std::string& precision = "f32") {
  std::mt19937_64 random(5);
  if (model.starts_with("macgnn_")) {
    const Manifest::Model entry{.name = model,
                                .kind = "macgnn",
                                .file = "m",
                                .options = {{"attention", model.substr(7)},
                                            {"tau", "1.9"},
                                            {"recent_len", "4"},
                                            {"precision", precision}}};
    return *MakeRanker(entry, MakeMacgnnFile(SmallMacgnnTensors()));
  }
  if (model.starts_with("surge_")) {
    const std::string variant = model.substr(6);
    const SurgeSizes sizes;
    Manifest::Model entry{
        .name = model, .kind = "surge", .file = "s", .options = SurgeOptions(variant, 6, 4)};
    entry.options["precision"] = precision;
    return *MakeRanker(entry, MakeCheckpointFile(RandomSurgeTensors(variant, sizes, random),
                                                 SurgeCategories(sizes)));
  }
  if (model.starts_with("slirec_")) {
    const SequenceModel slirec{"slirec", {{"time_last", model.substr(7)}}};
    const SequenceSizes sizes;
    Manifest::Model entry{.name = model,
                          .kind = "slirec",
                          .file = "l",
                          .options = WholeSequenceOptions(slirec, sizes)};
    entry.options["precision"] = precision;
    return *MakeRanker(entry, MakeCheckpointFile(RandomSequenceTensors(slirec, sizes, random),
                                                 SequenceCategories(sizes)));
  }
  SafetensorsWriter writer;
  writer.Add("user", {3, 2}, std::vector<float>{1, 2, 3, 4, 5, 6});
  writer.Add("item", {6, 2}, std::vector<float>{1, 0, 0, 1, 1, 1, 2, 0, 0, 2, 2, 2});
  return *MakeRanker({.name = "dot", .kind = "dot", .file = "d", .options = {}},
                     *SafetensorsFile::Parse("d", writer.Bytes()));
}

// One ranker and features of its shape.
class Case {
 public:
  explicit Case(const std::string& model, const std::string& precision = "f32")
      : ranker_(MakeRankerOf(model, precision)),
        shape_(ranker_->shape()),
        scratch_(ranker_->NewScratch(kBlock)) {
    for (size_t k = 0; k < shape_.item_clusters; ++k) one_hop_.push_back(k == 1 ? 0 : 3 + 7 * k);
    for (size_t k = 0; k < shape_.user_clusters; ++k) two_hop_.push_back(90 - 40 * k);
    for (uint32_t item = 0; item < shape_.recent_items; ++item) history_.push_back(item + 1);
    // The last two at the same instant, and the first of all.
    for (size_t i = 0; i < shape_.recent_times; ++i) {
      times_.push_back(kNow -
                       kDay * static_cast<int64_t>(std::min(i, shape_.recent_times - 2) + 1));
    }
    for (uint32_t item = 0; item < kItems; ++item) items_.push_back(item + 2);
    for (size_t k = 0; k < kItems * shape_.user_clusters; ++k) items_one_hop_.push_back(5 * k);
    for (size_t k = 0; k < kItems * shape_.item_clusters; ++k) items_two_hop_.push_back(9 * k);
    for (size_t k = 0; k < kItems * shape_.recent_users; ++k) recent_users_.push_back(k % 4);
  }

  UserFeatures User() const {
    return {.row = shape_.user_rows > 0 ? 2u : 0u,
            .one_hop = one_hop_,
            .two_hop = two_hop_,
            .recent_items = history_,
            .recent_times_us = times_,
            .first_time_us = times_.empty() ? 0 : times_.back(),
            .now_us = times_.empty() ? 0 : kNow};
  }
  ItemFeatures Items() const {
    return {.rows = items_,
            .one_hop = items_one_hop_,
            .two_hop = items_two_hop_,
            .recent_users = recent_users_};
  }

  // NaN without a score.
  std::vector<float> Logits(const UserFeatures& user) {
    std::vector<float> logits(kItems, std::numeric_limits<float>::quiet_NaN());
    if (ranker_->PrepareUser(user, *scratch_).ok()) ranker_->ScoreItems(Items(), *scratch_, logits);
    return logits;
  }

  std::vector<float> LogitsWithout(Cause cause) {
    UserFeatures user = User();
    std::vector<uint32_t> history = history_;
    std::vector<int64_t> one_hop = one_hop_;
    std::vector<int64_t> two_hop = two_hop_;
    std::vector<int64_t> times = times_;
    if (cause.kind == Kind::kPastItem) {
      history.erase(history.begin() + cause.number);
      if (!times.empty()) times.erase(times.begin() + cause.number);
    }
    if (cause.kind == Kind::kItemCluster) one_hop[cause.number] = 0;
    if (cause.kind == Kind::kUserCluster) two_hop[cause.number] = 0;
    user.one_hop = one_hop;
    user.two_hop = two_hop;
    user.recent_items = history;
    user.recent_times_us = times;
    user.first_time_us = times.empty() ? 0 : times.back();
    return Logits(user);
  }

  Explanations Explained(std::optional<size_t> causes_max = std::nullopt) {
    Explanations explanations;
    EXPECT_TRUE(ExplainWhile([] { return true; }, causes_max, explanations));
    return explanations;
  }

  bool ExplainWhile(const std::function<bool()>& has_time, std::optional<size_t> causes_max,
                    Explanations& explanations) {
    return Explain({.ranker = *ranker_, .user = User(), .items = Items(), .causes_max = causes_max},
                   *scratch_, buffers_, has_time, explanations);
  }

  // Everything that can be taken away.
  std::vector<Cause> AllCauses() const {
    std::vector<Cause> causes;
    for (uint32_t i = 0; i < history_.size(); ++i) causes.push_back({Kind::kPastItem, i});
    for (uint32_t k = 0; k < one_hop_.size(); ++k) {
      if (one_hop_[k] > 0) causes.push_back({Kind::kItemCluster, k});
    }
    for (uint32_t k = 0; k < two_hop_.size(); ++k) {
      if (two_hop_[k] > 0) causes.push_back({Kind::kUserCluster, k});
    }
    return causes;
  }

  const Ranker& ranker() const { return *ranker_; }
  RankerScratch& scratch() { return *scratch_; }
  const ExplanationBuffers& buffers() const { return buffers_; }
  std::vector<uint32_t>& history() { return history_; }
  std::vector<int64_t>& one_hop() { return one_hop_; }
  std::vector<int64_t>& two_hop() { return two_hop_; }

 private:
  const std::unique_ptr<Ranker> ranker_;
  const RankerShape shape_;
  const std::unique_ptr<RankerScratch> scratch_;
  ExplanationBuffers buffers_;
  std::vector<int64_t> one_hop_, two_hop_;
  std::vector<uint32_t> history_, items_, recent_users_;
  std::vector<int64_t> times_;
  std::vector<int64_t> items_one_hop_, items_two_hop_;
};

// What the ranker's rounding allows between two ways to one contribution.
float Tolerance(float logit) { return 4e-6f * std::max(1.0f, std::abs(logit)); }

class ExplanationsTest : public testing::TestWithParam<std::string> {
 protected:
  Case case_{GetParam()};
};

// Differences of logits, which are smaller than bf16's rounding.
TEST_P(ExplanationsTest, AreThoseOfF32WhateverThePrecision) {
  if (GetParam() == "dot") return;  // has no precision to choose
  Case in_bf16(GetParam(), "bf16");
  EXPECT_EQ(in_bf16.Explained().of_item, case_.Explained().of_item);
  // What is ranked by stays as it was.
  Case fresh(GetParam(), "bf16");
  EXPECT_EQ(in_bf16.Logits(in_bf16.User()), fresh.Logits(fresh.User()));
}

TEST_P(ExplanationsTest, EqualLeavingEachCauseOutByHand) {
  const Explanations explanations = case_.Explained(100);
  const std::vector<Cause> causes = case_.AllCauses();
  EXPECT_EQ(explanations.causes, causes.size());
  EXPECT_EQ(explanations.causes_tried, causes.size());
  ASSERT_EQ(explanations.of_item.size(), kItems);
  const std::vector<float> whole = case_.Logits(case_.User());
  float largest = 0;
  for (const Cause& cause : causes) {
    const std::vector<float> without = case_.LogitsWithout(cause);
    for (size_t i = 0; i < kItems; ++i) {
      const auto& found = explanations.of_item[i];
      const auto count = std::count_if(found.begin(), found.end(),
                                       [&](const Explanation& e) { return e.cause == cause; });
      EXPECT_LE(count, 1) << "told twice";
      const auto at = std::find_if(found.begin(), found.end(),
                                   [&](const Explanation& e) { return e.cause == cause; });
      EXPECT_NEAR(at == found.end() ? 0 : at->contribution, whole[i] - without[i],
                  Tolerance(whole[i]));
      largest = std::max(largest, std::abs(whole[i] - without[i]));
    }
  }
  if (!causes.empty()) {
    EXPECT_GT(largest, 100 * Tolerance(whole[0])) << "nothing that a test could see";
  }
}

TEST_P(ExplanationsTest, TheLargestContributionComesFirst) {
  for (const std::vector<Explanation>& found : case_.Explained().of_item) {
    for (size_t i = 1; i < found.size(); ++i) {
      EXPECT_GE(std::abs(found[i - 1].contribution), std::abs(found[i].contribution));
    }
  }
}

TEST_P(ExplanationsTest, WithoutARemovableThingThereIsNothingToTell) {
  case_.history().clear();
  std::fill(case_.one_hop().begin(), case_.one_hop().end(), 0);
  std::fill(case_.two_hop().begin(), case_.two_hop().end(), 0);
  const Explanations explanations = case_.Explained();
  EXPECT_EQ(explanations.causes, 0u);
  EXPECT_EQ(explanations.causes_tried, 0u);
  EXPECT_EQ(explanations.of_item, std::vector<std::vector<Explanation>>(kItems));
}

TEST_P(ExplanationsTest, WithoutTimeThereAreNone) {
  for (int parts = 0;; ++parts) {
    ASSERT_LT(parts, 100) << "never asks for the time";
    int asked = 0;
    Explanations explanations{.of_item = {{}}, .causes = 1, .causes_tried = 1};
    if (case_.ExplainWhile([&] { return asked++ < parts; }, std::nullopt, explanations)) {
      EXPECT_GE(parts, 1) << "explains without any time";
      break;
    }
    EXPECT_TRUE(explanations.of_item.empty());
    EXPECT_EQ(explanations.causes_tried, 0u);
  }
}

TEST_P(ExplanationsTest, AVariantIsScoredAlikeAloneAndAmongOthers) {
  case_.Explained(100);
  const std::vector<float> all = case_.buffers().logits;
  const std::vector<UserFeatures> variants = case_.buffers().variants;
  ASSERT_EQ(all.size(), variants.size() * kItems);
  for (size_t v = 0; v < variants.size(); ++v) {
    std::vector<float> alone(kItems);
    ASSERT_TRUE(case_.ranker().ScoreVariants(
        std::span(variants).subspan(v, 1), case_.Items(), case_.scratch(), [] { return true; },
        alone));
    for (size_t i = 0; i < kItems; ++i) EXPECT_EQ(alone[i], all[v * kItems + i]) << v;
  }
}

INSTANTIATE_TEST_SUITE_P(Rankers, ExplanationsTest,
                         testing::Values("macgnn_none", "macgnn_neighbours", "surge_authors",
                                         "surge_paper", "slirec_first_action",
                                         "slirec_previous_action", "dot"),
                         [](const auto& name) { return name.param; });

// one_hop 3, 0, 17, 24, 31; two_hop 90, 50, 10; 4 newest items.
TEST(ExplanationLimitTest, TheNewestItemsAndTheHighestCountsAreTriedInEqualParts) {
  Case one("macgnn_none");
  const Explanations explanations = one.Explained(6);
  EXPECT_EQ(explanations.causes, 11u);
  EXPECT_EQ(explanations.causes_tried, 6u);
  EXPECT_EQ(one.buffers().causes, (std::vector<Cause>{{Kind::kPastItem, 0},
                                                      {Kind::kPastItem, 1},
                                                      {Kind::kItemCluster, 4},
                                                      {Kind::kItemCluster, 3},
                                                      {Kind::kUserCluster, 0},
                                                      {Kind::kUserCluster, 1}}));
}

TEST(ExplanationLimitTest, WhatOneKindDoesNotNeedTheOthersGet) {
  Case one("macgnn_none");
  one.history().clear();
  one.two_hop() = {0, 1, 0};
  EXPECT_EQ(one.Explained(4).causes_tried, 4u);
  EXPECT_EQ(one.buffers().causes, (std::vector<Cause>{{Kind::kItemCluster, 4},
                                                      {Kind::kItemCluster, 3},
                                                      {Kind::kItemCluster, 2},
                                                      {Kind::kUserCluster, 1}}));
}

TEST(ExplanationLimitTest, EqualCountsAreTriedInTheOrderOfTheirNodes) {
  Case one("macgnn_none");
  one.history().clear();
  one.one_hop() = {7, 7, 7, 7, 7};
  one.two_hop() = {0, 0, 0};
  one.Explained(2);
  EXPECT_EQ(one.buffers().causes,
            (std::vector<Cause>{{Kind::kItemCluster, 0}, {Kind::kItemCluster, 1}}));
}

TEST(ExplanationLimitTest, TheRankersOwnLimitHolds) {
  Case one("surge_authors");
  one.history() = {1, 2, 3, 4, 5, 6};
  EXPECT_EQ(one.Explained().causes_tried, std::min<size_t>(6, one.ranker().variants_max()));
}

TEST(ExplanationOfTheOnlyItemTest, ARankerWithoutAScoreWithoutItTellsNothing) {
  for (const char* model : {"surge_authors", "surge_paper"}) {
    Case one(model);
    one.history() = {3};
    const Explanations explanations = one.Explained();
    EXPECT_EQ(explanations.causes_tried, 1u);
    EXPECT_EQ(explanations.of_item, std::vector<std::vector<Explanation>>(kItems)) << model;
  }
}

TEST(ExplanationOfTheOnlyItemTest, ARankerWithAScoreTellsWhatItIsWorth) {
  Case one("macgnn_none");
  one.history() = {3};
  for (const std::vector<Explanation>& found : one.Explained().of_item) {
    EXPECT_TRUE(std::any_of(found.begin(), found.end(), [](const Explanation& explanation) {
      return explanation.cause == Cause{Kind::kPastItem, 0};
    }));
  }
}

}  // namespace
}  // namespace groundswell
