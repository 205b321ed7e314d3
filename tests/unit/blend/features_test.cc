#include "blend/features.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <string>

#include "tests/unit/blend/blend_fixture.h"

namespace groundswell {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::FloatNear;

size_t Find(const std::string& name) {
  for (size_t feature = 0; feature < kBlendFeatures; ++feature) {
    if (BlendFeatureName(feature) == name) return feature;
  }
  ADD_FAILURE() << "no feature " << name;
  return 0;
}

std::vector<float> Values(const BlendFeatures& features, const std::string& name) {
  const auto values = features.Feature(Find(name));
  return {values.begin(), values.end()};
}

TEST(BlendFeaturesTest, EveryFeatureHasANameOfItsOwn) {
  std::set<std::string> names;
  for (size_t feature = 0; feature < kBlendFeatures; ++feature) {
    names.insert(BlendFeatureName(feature));
  }
  EXPECT_EQ(names.size(), kBlendFeatures);
  EXPECT_EQ(BlendFeatureName(0), "popularity.minutes");
  EXPECT_EQ(BlendFeatureName(kBlendListsBegin - 1), "after_third.log_of_best");
  EXPECT_EQ(BlendFeatureName(kBlendRankerBegin), "ranker.proposed");
}

TEST(BlendFeaturesTest, AListTellsPlaceAndScore) {
  MadeUpCandidates made(3);
  made.place[2] = {1, 0, 11};
  made.score[2] = {8, 100, .5f};  // the second is not in the list
  BlendFeatures features;
  features.Extract(made.columns());
  EXPECT_THAT(Values(features, "next_items.proposed"), ElementsAre(1, 0, 1));
  EXPECT_THAT(Values(features, "next_items.near_the_top"), ElementsAre(1, 0, .5f));
  EXPECT_THAT(Values(features, "next_items.first"), ElementsAre(1, 0, FloatNear(1 / 11.f, 1e-7)));
  EXPECT_THAT(Values(features, "next_items.share_of_best"), ElementsAre(1, 0, .0625f));
  EXPECT_THAT(Values(features, "next_items.log_of_best"), ElementsAre(1, 0, FloatNear(.75f, 1e-6)));
  EXPECT_THAT(Values(features, "trending.proposed"), Each(0.0f));
}

TEST(BlendFeaturesTest, ALogitCountsByItsDistanceToTheLargest) {
  MadeUpCandidates made(3);
  const auto ranker = static_cast<size_t>(BlendList::kRanker);
  made.place[ranker] = {2, 1, 3};
  made.score[ranker] = {-9, -5, -1'000};
  BlendFeatures features;
  features.Extract(made.columns());
  EXPECT_THAT(Values(features, "ranker.log_of_best"), ElementsAre(.75f, 1, 0));
  EXPECT_THAT(Values(features, "ranker.share_of_best"),
              ElementsAre(.2f, 1, FloatNear(1 / 996.f, 1e-7)));
}

TEST(BlendFeaturesTest, TimesAndCountsAreLogarithms) {
  MadeUpCandidates made(4);
  made.share[1] = {1, 1.f / 1024, 0, 1e-9f};
  made.own_count = {0, 1, 255, 1e30f};
  made.own_age = {0, 0, 33'554'431.0f, -1};
  made.mean_age = {31, -1, 3e9f, 0};
  made.live_product = {-4, 2, 0, 1};
  BlendFeatures features;
  features.Extract(made.columns());
  EXPECT_THAT(Values(features, "popularity.hour"), ElementsAre(1, FloatNear(.5f, 1e-6), 0, 0));
  EXPECT_THAT(Values(features, "own.taken"), ElementsAre(0, 1, 1, 1));
  EXPECT_THAT(Values(features, "own.often"), ElementsAre(0, .125f, FloatNear(1, 1e-6), 1));
  EXPECT_THAT(Values(features, "own.lately"), ElementsAre(0, 1, FloatNear(0, 1e-6), 0));
  EXPECT_THAT(Values(features, "item.young"), ElementsAre(FloatNear(.8f, 1e-6), 0, 0, 1));
  EXPECT_THAT(Values(features, "live_vector.product"), ElementsAre(-1, .5f, 0, .25f));
}

TEST(BlendFeaturesTest, EachOfTheNewestItemsTellsByItself) {
  MadeUpCandidates made(4);
  made.after[0] = {2, 0, .125f, 0};
  made.after[2] = {0, 8, 0, -1};
  BlendFeatures features;
  features.Extract(made.columns());
  EXPECT_THAT(Values(features, "after_newest.share_of_best"), ElementsAre(1, 0, .0625f, 0));
  EXPECT_THAT(Values(features, "after_newest.log_of_best"),
              ElementsAre(1, 0, FloatNear(.75f, 1e-6), 0));
  EXPECT_THAT(Values(features, "after_second.share_of_best"), Each(0.0f));
  EXPECT_THAT(Values(features, "after_third.share_of_best"), ElementsAre(0, 1, 0, -.125f));
  EXPECT_THAT(Values(features, "after_third.log_of_best"), ElementsAre(0, 1, 0, 0));
}

TEST(BlendFeaturesTest, WhateverComesInAllIsWithinOne) {
  BlendFeatures features;
  for (uint32_t seed = 0; seed < 300; ++seed) {
    features.Extract(HostileCandidates(1 + seed % 37, seed).columns());
    for (size_t feature = 0; feature < kBlendFeatures; ++feature) {
      for (const float value : features.Feature(feature)) {
        ASSERT_TRUE(std::abs(value) <= kBlendFeatureMax)
            << BlendFeatureName(feature) << " is " << value << " with seed " << seed;
      }
    }
  }
}

TEST(BlendFeaturesTest, WhatIsMissingIsZero) {
  BlendFeatures features;
  features.Extract(HostileCandidates(5, 1).columns());
  features.Extract({.count = 3});
  for (size_t feature = 0; feature < kBlendFeatures; ++feature) {
    EXPECT_THAT(features.Feature(feature), ElementsAre(0, 0, 0)) << BlendFeatureName(feature);
  }
}

TEST(BlendFeaturesTest, ScalesOfScoresAndProductsChangeNothing) {
  MadeUpCandidates made = RandomCandidates(50, 3);
  BlendFeatures features;
  BlendFeatures scaled;
  features.Extract(made.columns());
  for (size_t list = 0; list + 1 < kBlendLists.size(); ++list) {
    for (float& score : made.score[list]) score *= 1024;
  }
  for (float& logit : made.score.back()) logit += 64;
  for (float& product : made.live_product) product *= .125f;
  for (auto& column : made.after) {
    for (float& strength : column) strength *= 256;
  }
  scaled.Extract(made.columns());
  for (size_t feature = 0; feature < kBlendFeatures; ++feature) {
    for (size_t i = 0; i < made.count; ++i) {
      EXPECT_NEAR(features.Feature(feature)[i], scaled.Feature(feature)[i], 1e-5)
          << BlendFeatureName(feature);
    }
  }
}

TEST(BlendFeaturesTest, ARowDoesNotDependOnThePlaceOfItsCandidate) {
  const MadeUpCandidates made = RandomCandidates(41, 5);
  BlendFeatures features;
  features.Extract(made.columns());
  const std::vector<uint32_t> kept = {0, 3, 17, 40};
  BlendFeatures few = features;
  few.Keep(kept);
  ASSERT_EQ(few.count(), kept.size());
  for (size_t feature = 0; feature < kBlendFeatures; ++feature) {
    for (size_t at = 0; at < kept.size(); ++at) {
      EXPECT_EQ(few.Feature(feature)[at], features.Feature(feature)[kept[at]]);
    }
  }
}

TEST(BlendFeaturesTest, TheRankersFeaturesAloneAreMadeAnew) {
  MadeUpCandidates made = RandomCandidates(20, 6);
  const MadeUpCandidates other = RandomCandidates(20, 7);
  BlendFeatures features;
  features.Extract(made.columns());
  features.ExtractRanker(other.columns().lists.back());
  made.place.back() = other.place.back();
  made.score.back() = other.score.back();
  BlendFeatures expected;
  expected.Extract(made.columns());
  for (size_t feature = 0; feature < kBlendFeatures; ++feature) {
    EXPECT_TRUE(std::ranges::equal(features.Feature(feature), expected.Feature(feature)));
  }
}

}  // namespace
}  // namespace groundswell
