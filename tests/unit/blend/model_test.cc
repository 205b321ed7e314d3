#include "blend/model.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <numeric>
#include <random>

#include "blend/arithmetic.h"
#include "tests/unit/blend/blend_fixture.h"

namespace groundswell {
namespace {

BlendFeatures FeaturesOf(const MadeUpCandidates& made) {
  BlendFeatures features;
  features.Extract(made.columns());
  return features;
}

BlendWeights RandomWeights(uint32_t seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> weight(-2, 2);
  BlendWeights weights;
  for (BlendWeights::Row& row : weights.rows) {
    for (float& w : row) w = weight(random);
  }
  return weights;
}

std::vector<float> Scores(const BlendWeights& weights, const BlendFeatures& features,
                          BlendContext context) {
  std::vector<float> scores(features.count());
  ScoreBlend(weights, features, context, scores);
  return scores;
}

// The cross entropy of the candidate that was taken, by the definition, in extended precision.
long double Loss(const BlendWeights& weights, const BlendFeatures& features, BlendContext context,
                 size_t taken, size_t moved_feature, long double moved_by) {
  const auto row = static_cast<size_t>(context);
  std::vector<long double> scores(features.count());
  for (size_t i = 0; i < scores.size(); ++i) {
    for (size_t f = 0; f < kBlendFeatures; ++f) {
      const long double weight =
          static_cast<long double>(weights.rows[row][f]) + (f == moved_feature ? moved_by : 0);
      scores[i] += weight * features.Feature(f)[i];
    }
  }
  long double sum = 0;
  for (const long double score : scores) sum += std::exp(score - scores[taken]);
  return std::log(sum);
}

TEST(BlendModelTest, AScoreIsTheSumOfItsTerms) {
  const BlendWeights weights = RandomWeights(1);
  const BlendFeatures features = FeaturesOf(RandomCandidates(30, 1));
  const std::vector<float> scores = Scores(weights, features, BlendContext::kInVisit);
  for (size_t i = 0; i < scores.size(); ++i) {
    float sum = 0;
    for (size_t f = 0; f < kBlendFeatures; ++f) {
      sum += BlendTerm(weights, features, BlendContext::kInVisit, f, i);
    }
    EXPECT_NEAR(scores[i], sum, 1e-4);
  }
}

using Vector = std::vector<double>;

// The gradient of the cross entropy, by differences.
Vector Gradient(const BlendWeights& weights, const BlendFeatures& features, BlendContext context,
                size_t taken) {
  constexpr long double kStep = 1e-5L;
  Vector gradient(kBlendFeatures);
  for (size_t f = 0; f < kBlendFeatures; ++f) {
    gradient[f] = static_cast<double>((Loss(weights, features, context, taken, f, kStep) -
                                       Loss(weights, features, context, taken, f, -kStep)) /
                                      (2 * kStep));
  }
  return gradient;
}

// (F + prior) times a vector, F by its definition.
Vector TimesInformation(const BlendWeights& weights, const BlendFeatures& features,
                        BlendContext context, const Vector& vector) {
  const std::vector<float> scores = Scores(weights, features, context);
  Vector chances;
  for (const float score : scores) chances.push_back(std::exp(double{score}));
  const double sum = std::accumulate(chances.begin(), chances.end(), 0.0);
  Vector products(features.count());
  double mean = 0;
  for (size_t i = 0; i < features.count(); ++i) {
    for (size_t f = 0; f < kBlendFeatures; ++f) products[i] += features.Feature(f)[i] * vector[f];
    mean += chances[i] / sum * products[i];
  }
  Vector result;
  for (size_t f = 0; f < kBlendFeatures; ++f) {
    double entry = FisherInformation::kPrior * vector[f];
    for (size_t i = 0; i < features.count(); ++i) {
      entry += chances[i] / sum * features.Feature(f)[i] * (products[i] - mean);
    }
    result.push_back(entry);
  }
  return result;
}

// What a first step moved, times the information of its list and the prior, is the gradient; or a
// part of it, where the step was shortened.
TEST(BlendModelTest, AStepIsTheGradientDividedByTheInformation) {
  constexpr auto kContext = BlendContext::kReturning;
  const auto row = static_cast<size_t>(kContext);
  bool shortened = false;
  bool whole = false;
  for (const uint32_t seed : {1, 2, 3, 4}) {
    const BlendWeights start = RandomWeights(seed);
    const BlendFeatures features = FeaturesOf(RandomCandidates(60, seed));
    const std::vector<float> scores = Scores(start, features, kContext);
    const auto best = static_cast<size_t>(std::ranges::max_element(scores) - scores.begin());
    for (const size_t taken : {size_t{0}, size_t{59}, best}) {
      BlendModel model(start);
      BlendModel::Scratch scratch;
      model.Learn(features, kContext, taken, scratch);
      Vector moved;
      double farthest = 0;
      for (size_t f = 0; f < kBlendFeatures; ++f) {
        moved.push_back(double{model.weights().rows[row][f]} - start.rows[row][f]);
        farthest = std::max(farthest, std::abs(moved.back()));
        EXPECT_EQ(model.weights().rows[0][f], start.rows[0][f]) << "another context's";
      }
      const Vector gradient = Gradient(start, features, kContext, taken);
      const Vector product = TimesInformation(start, features, kContext, moved);
      double along = 0;
      double square = 0;
      for (size_t f = 0; f < kBlendFeatures; ++f) {
        along -= product[f] * gradient[f];
        square += gradient[f] * gradient[f];
      }
      const double part = along / square;
      const bool is_whole = farthest < BlendModel::kStepMax - 1e-6;
      (is_whole ? whole : shortened) = true;
      if (is_whole) {
        EXPECT_NEAR(part, 1, 1e-4);
      }
      if (!is_whole) {
        EXPECT_NEAR(farthest, BlendModel::kStepMax, 1e-6);
      }
      for (size_t f = 0; f < kBlendFeatures; ++f) {
        EXPECT_NEAR(product[f], -part * gradient[f], 2e-5) << f;
      }
    }
  }
  EXPECT_TRUE(shortened && whole);
}

// Where candidates are taken with the chances of some weights, what is learned foretells nearly as
// much as those weights themselves, and far more than the start.
TEST(BlendModelTest, FindsTheWeightsByWhichWasTaken) {
  constexpr auto kContext = BlendContext::kNewUser;
  const BlendWeights truth = RandomWeights(20);
  const BlendWeights start{};
  BlendModel model(start);
  BlendModel::Scratch scratch;
  std::mt19937 random(21);
  double of_truth = 0;
  double of_learned = 0;
  double of_start = 0;
  constexpr uint32_t kLists = 3'000;
  for (uint32_t seed = 0; seed < kLists; ++seed) {
    const BlendFeatures features = FeaturesOf(RandomCandidates(40, 1'000 + seed));
    std::vector<float> chances = Scores(truth, features, kContext);
    for (float& chance : chances) chance = std::exp(chance);
    std::discrete_distribution<size_t> draw(chances.begin(), chances.end());
    const size_t taken = draw(random);
    if (seed >= kLists - 500) {
      of_truth += static_cast<double>(Loss(truth, features, kContext, taken, 0, 0));
      of_learned += static_cast<double>(Loss(model.weights(), features, kContext, taken, 0, 0));
      of_start += static_cast<double>(Loss(start, features, kContext, taken, 0, 0));
    }
    model.Learn(features, kContext, taken, scratch);
  }
  EXPECT_LT(of_learned - of_truth, .05 * (of_start - of_truth));
}

TEST(BlendModelTest, LearnsWhatIsTaken) {
  BlendModel model(BlendWeights{});
  BlendModel::Scratch scratch;
  int found = 0;
  for (uint32_t seed = 0; seed < 400; ++seed) {
    const MadeUpCandidates made = RandomCandidates(50, seed);
    const BlendFeatures features = FeaturesOf(made);
    // What is taken has the largest score of a list.
    const auto& score = made.score[2];
    size_t taken = 0;
    for (size_t i = 0; i < made.count; ++i) {
      const bool in_list = made.place[2][i] > 0;
      if (in_list && (made.place[2][taken] == 0 || score[i] > score[taken])) taken = i;
    }
    const std::vector<float> scores = Scores(model.weights(), features, BlendContext::kNewUser);
    const auto best = std::ranges::max_element(scores) - scores.begin();
    if (seed >= 300) found += static_cast<int>(static_cast<size_t>(best) == taken);
    model.Learn(features, BlendContext::kNewUser, taken, scratch);
  }
  EXPECT_GT(found, 50);
  EXPECT_EQ(model.learned().steps, 400u);
}

// It begins with a large vote, and what is taken is what it puts last.
TEST(BlendModelTest, ARankerThatOrdersBadlyLosesItsVote) {
  constexpr auto kContext = BlendContext::kNewUser;
  constexpr auto kRanker = static_cast<size_t>(BlendList::kRanker);
  constexpr size_t kNearTheTop = kBlendRankerBegin + 1;
  BlendWeights start{};
  start.rows[static_cast<size_t>(kContext)][kNearTheTop] = 4;
  BlendModel model(start);
  BlendModel::Scratch scratch;
  const auto place_of_taken = [&](const BlendFeatures& features, size_t taken) {
    const std::vector<float> scores = Scores(model.weights(), features, kContext);
    return std::ranges::count_if(scores, [&](float score) { return score > scores[taken]; });
  };
  ptrdiff_t last_places = 0;
  for (uint32_t seed = 0; seed < 500; ++seed) {
    MadeUpCandidates made = RandomCandidates(50, seed);
    for (size_t i = 0; i < made.count; ++i) {
      made.place[kRanker][i] = static_cast<uint16_t>(1 + (i * 7 + seed) % made.count);
      made.score[kRanker][i] = -static_cast<float>(made.place[kRanker][i]);
    }
    const size_t taken = static_cast<size_t>(std::ranges::max_element(made.place[kRanker]) -
                                             made.place[kRanker].begin());
    const BlendFeatures features = FeaturesOf(made);
    if (seed == 0) {
      EXPECT_GT(place_of_taken(features, taken), 10) << "it had a vote";
    }
    if (seed >= 400) last_places += place_of_taken(features, taken);
    model.Learn(features, kContext, taken, scratch);
  }
  EXPECT_LT(last_places, 100 * 3) << "on average among the first three";
}

// A feature that all candidates share says nothing: it keeps its weight, and the others learn as
// they would without it.
TEST(BlendModelTest, AConstantFeatureKeepsItsWeight) {
  constexpr size_t kHour = 1;
  const BlendWeights start = RandomWeights(6);
  BlendModel with(start);
  BlendModel without(start);
  BlendModel::Scratch scratch;
  for (uint32_t seed = 0; seed < 300; ++seed) {
    MadeUpCandidates made = RandomCandidates(30, seed);
    std::ranges::fill(made.share[kHour], .25f);
    with.Learn(FeaturesOf(made), BlendContext::kInVisit, seed % made.count, scratch);
    std::ranges::fill(made.share[kHour], 0.0f);
    without.Learn(FeaturesOf(made), BlendContext::kInVisit, seed % made.count, scratch);
  }
  for (size_t feature = 0; feature < kBlendFeatures; ++feature) {
    const float learned = with.weights().rows[1][feature];
    EXPECT_NEAR(learned, without.weights().rows[1][feature], 1e-2f) << BlendFeatureName(feature);
    if (feature == kHour) {
      EXPECT_NEAR(learned, start.rows[1][feature], 1e-3f);
    }
  }
}

TEST(BlendModelTest, WhatIsNotAmongTheCandidatesIsCountedAndTeachesNothing) {
  const BlendWeights start = RandomWeights(3);
  const BlendFeatures features = FeaturesOf(RandomCandidates(10, 3));
  BlendModel model(start);
  BlendModel::Scratch scratch;
  model.Learn(features, BlendContext::kInVisit, std::nullopt, scratch);
  model.Learn(features, BlendContext::kInVisit, 10, scratch);
  model.Learn(FeaturesOf(MadeUpCandidates(0)), BlendContext::kInVisit, std::nullopt, scratch);
  EXPECT_EQ(model.weights(), start);
  EXPECT_EQ(model.learned(),
            (BlendModel::Learned{.steps = 0, .missed = 3, .of_context = {0, 3, 0}}));
}

TEST(BlendModelTest, AloneACandidateTeachesNothing) {
  const BlendWeights start = RandomWeights(4);
  BlendModel model(start);
  BlendModel::Scratch scratch;
  model.Learn(FeaturesOf(RandomCandidates(1, 4)), BlendContext::kInVisit, 0, scratch);
  EXPECT_EQ(model.weights(), start);
}

TEST(BlendModelTest, HostileInputMovesNoWeightByMoreThanAStepNorBeyondItsBound) {
  BlendModel model(BlendWeights{});
  BlendModel::Scratch scratch;
  std::mt19937 random(9);
  for (uint32_t seed = 0; seed < 500; ++seed) {
    const BlendWeights before = model.weights();
    const MadeUpCandidates made = HostileCandidates(1 + random() % 40, seed);
    model.Learn(FeaturesOf(made), static_cast<BlendContext>(random() % kBlendContexts.size()),
                random() % made.count, scratch);
    for (size_t row = 0; row < BlendWeights::kRows; ++row) {
      for (size_t f = 0; f < kBlendFeatures; ++f) {
        const float weight = model.weights().rows[row][f];
        ASSERT_TRUE(std::abs(weight) <= BlendWeights::kMax);
        ASSERT_LE(std::abs(weight - before.rows[row][f]), BlendModel::kStepMax + 1e-5f);
      }
    }
  }
}

// Candidates in another order have the same scores to the bit, and teach the same but for how sums
// round.
TEST(BlendModelTest, TheOrderOfTheCandidatesDoesNotMatter) {
  const MadeUpCandidates made = RandomCandidates(70, 5);
  MadeUpCandidates turned = made;
  const auto reverse = [](auto& column) { std::ranges::reverse(column); };
  for (auto& column : turned.place) reverse(column);
  for (auto& column : turned.score) reverse(column);
  for (auto& column : turned.share) reverse(column);
  for (auto* column : turned.Others()) reverse(*column);
  BlendModel one(RandomWeights(5));
  BlendModel two(RandomWeights(5));
  std::vector<float> a = Scores(one.weights(), FeaturesOf(made), BlendContext::kInVisit);
  const std::vector<float> b = Scores(one.weights(), FeaturesOf(turned), BlendContext::kInVisit);
  std::ranges::reverse(a);
  EXPECT_EQ(a, b);
  BlendModel::Scratch scratch;
  one.Learn(FeaturesOf(made), BlendContext::kInVisit, 3, scratch);
  two.Learn(FeaturesOf(turned), BlendContext::kInVisit, 66, scratch);
  for (size_t f = 0; f < kBlendFeatures; ++f) {
    EXPECT_NEAR(one.weights().rows[1][f], two.weights().rows[1][f], 1e-5);
  }
}

TEST(BlendModelTest, TheRankerCanBeAddedLater) {
  const BlendWeights weights = RandomWeights(6);
  const MadeUpCandidates made = RandomCandidates(33, 6);
  BlendFeatures features = FeaturesOf(made);
  const std::vector<float> whole = Scores(weights, features, BlendContext::kInVisit);
  features.ExtractRanker({});
  std::vector<float> scores = Scores(weights, features, BlendContext::kInVisit);
  features.ExtractRanker(made.columns().lists.back());
  AddRankerToBlend(weights, features, BlendContext::kInVisit, scores);
  EXPECT_EQ(scores, whole);
}

// A number that any machine, compiler and optimisation must give.
TEST(BlendModelTest, TheStateAfterAThousandStepsIsKnownToTheBit) {
  BlendModel model(BlendWeights{});
  BlendModel::Scratch scratch;
  for (uint32_t seed = 0; seed < 1'000; ++seed) {
    // Integers and powers of two alone: what made them up must not differ either.
    std::mt19937 random(seed);
    MadeUpCandidates made(30 + random() % 40);
    for (size_t i = 0; i < made.count; ++i) {
      for (auto& column : made.place) column[i] = static_cast<uint16_t>(random() % 200);
      for (auto& column : made.score) column[i] = static_cast<float>(random() % 1024) / 64;
      for (auto& column : made.share) column[i] = static_cast<float>(random() % 4096) / 65'536;
      for (auto* column : made.Others()) (*column)[i] = static_cast<float>(random() % 100'000);
    }
    const auto context = static_cast<BlendContext>(random() % kBlendContexts.size());
    model.Learn(FeaturesOf(made), context, random() % made.count, scratch);
  }
  uint64_t digest = 14'695'981'039'346'656'037u;  // FNV-1a
  for (const char byte : model.EncodeState()) {
    digest = (digest ^ static_cast<unsigned char>(byte)) * 1'099'511'628'211u;
  }
  EXPECT_EQ(digest, 16'002'681'859'579'519'852u);
}

TEST(BlendModelTest, AStateComesBackWhole) {
  BlendModel model(RandomWeights(7));
  BlendModel::Scratch scratch;
  const BlendFeatures features = FeaturesOf(RandomCandidates(20, 7));
  for (size_t i = 0; i < 20; ++i) model.Learn(features, BlendContext::kNewUser, i, scratch);
  model.Learn(features, BlendContext::kNewUser, std::nullopt, scratch);
  BlendModel again;
  ASSERT_TRUE(again.DecodeState(model.EncodeState()).ok());
  EXPECT_EQ(again.EncodeState(), model.EncodeState());
  EXPECT_EQ(again.learned(), (BlendModel::Learned{.steps = 20, .missed = 1, .of_context = {21}}));
  model.Learn(features, BlendContext::kReturning, 4, scratch);
  again.Learn(features, BlendContext::kReturning, 4, scratch);
  EXPECT_EQ(again.EncodeState(), model.EncodeState());
}

TEST(BlendModelTest, ABrokenStateIsRefusedAndChangesNothing) {
  BlendModel model(RandomWeights(8));
  const std::string state = model.EncodeState();
  const auto refused = [&](const std::string& bytes) {
    return absl::IsDataLoss(model.DecodeState(bytes)) && model.EncodeState() == state;
  };
  EXPECT_TRUE(refused(""));
  EXPECT_TRUE(refused(state.substr(1)));
  EXPECT_TRUE(refused(state + "x"));
  for (const size_t at : {0, 4, 8, 12}) {
    std::string other = state;
    ++other[at];
    EXPECT_TRUE(refused(other)) << at;
  }
  constexpr size_t kWeights = 64;
  for (const float bad : {std::nanf(""), 33.0f, -33.0f, HUGE_VALF}) {
    std::string other = state;
    std::memcpy(other.data() + kWeights + 8, &bad, sizeof(bad));
    EXPECT_TRUE(refused(other)) << bad;
  }
  for (const float bad : {std::nanf(""), -10'200.0f, HUGE_VALF}) {
    std::string other = state;
    std::memcpy(other.data() + kWeights + sizeof(BlendWeights), &bad, sizeof(bad));
    EXPECT_TRUE(refused(other)) << bad;
  }
}

TEST(BlendModelTest, ResetForgetsAll) {
  const BlendWeights start = RandomWeights(9);
  BlendModel model(start);
  const std::string fresh = model.EncodeState();
  BlendModel::Scratch scratch;
  model.Learn(FeaturesOf(RandomCandidates(20, 9)), BlendContext::kInVisit, 1, scratch);
  EXPECT_NE(model.EncodeState(), fresh);
  model.Reset(start);
  EXPECT_EQ(model.EncodeState(), fresh);
}

TEST(BlendArithmeticTest, LogarithmsAndExponentialsAreNearTheExactOnes) {
  for (float x = 1e-30f; x < 1e30f; x *= 1.0137f) {
    EXPECT_NEAR(blend_arithmetic::Log2(x), std::log2(static_cast<double>(x)),
                1e-6 * std::max(1.0, std::abs(std::log2(static_cast<double>(x)))));
  }
  for (double x = 0; x > -699; x = x * 1.01 - .001) {
    EXPECT_NEAR(blend_arithmetic::ExpOfNegative(x) / std::exp(x), 1, 1e-12) << x;
  }
  EXPECT_EQ(blend_arithmetic::ExpOfNegative(0), 1);
  EXPECT_EQ(blend_arithmetic::ExpOfNegative(-701), 0);
  EXPECT_EQ(blend_arithmetic::ExpOfNegative(-HUGE_VAL), 0);
}

}  // namespace
}  // namespace groundswell
