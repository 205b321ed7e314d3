// SURGE on random shapes, weights and histories: against a naive implementation in double
// precision, and against itself in other batches and orders, bit by bit.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <random>
#include <set>

#include "models/surge/forward.h"
#include "models/surge/weights.h"
#include "tests/property/surge_oracle.h"
#include "tests/support/sanitized.h"
#include "tests/support/surge_fixture.h"
#include "tests/support/twenty_best.h"

namespace groundswell {
namespace {

using Items = std::vector<uint32_t>;

// The published sizes, for the kernels that are chosen for large products.
constexpr SurgeSizes kPublished{.items = 300,
                                .categories = 20,
                                .item_width = 32,
                                .category_width = 8,
                                .heads = 1,
                                .state = 40,
                                .hidden1 = 80,
                                .hidden2 = 40,
                                .head1 = 100,
                                .head2 = 64,
                                .clusters = 10};

Items RandomItems(size_t size, size_t rows, std::mt19937_64& random) {
  Items items(size);
  for (uint32_t& item : items) item = static_cast<uint32_t>(random() % rows);
  return items;
}

struct Served {
  const char* variant;
  const char* precision;
};

class SurgeProperty : public testing::TestWithParam<Served> {
 protected:
  // Random weights of these sizes: the oracle, and what is served.
  struct Model {
    SurgeOracle oracle;
    SurgeWeights weights;
    size_t rows;
  };

  Model MakeModel(const SurgeSizes& sizes, size_t max_history, size_t pool_length,
                  std::mt19937_64& random) const {
    const char* const variant = GetParam().variant;
    SurgeOracle oracle{.tensors = RandomSurgeTensors(variant, sizes, random),
                       .categories = SurgeCategories(sizes),
                       .variant = variant,
                       .max_history = max_history,
                       .pool_length = pool_length};
    SurgeWeights weights = Load(oracle, GetParam().precision);
    return {std::move(oracle), std::move(weights), sizes.items};
  }

  static SurgeWeights Load(const SurgeOracle& oracle, const char* precision) {
    auto options = SurgeOptions(oracle.variant, oracle.max_history, oracle.pool_length);
    options["precision"] = precision;
    auto weights = LoadSurgeWeights(MakeCheckpointFile(oracle.tensors, oracle.categories), options);
    EXPECT_TRUE(weights.ok()) << weights.status();
    return *std::move(weights);
  }

  // Of a logit to the exact one, absolute and relative.
  static double Tolerance() { return std::string(GetParam().precision) == "bf16" ? 0.015 : 2e-5; }

  Model RandomModel(std::mt19937_64& random) const {
    const auto pick = [&](size_t least, size_t most) {
      return least + random() % (most - least + 1);
    };
    const SurgeSizes sizes{.items = pick(2, 40),
                           .categories = pick(1, 6),
                           .item_width = pick(1, 12),
                           .category_width = pick(1, 5),
                           .heads = pick(1, 3),
                           .state = pick(1, 20),
                           .hidden1 = pick(1, 50),
                           .hidden2 = pick(1, 30),
                           .head1 = pick(1, 60),
                           .head2 = pick(1, 40),
                           .clusters = pick(1, 12)};
    return MakeModel(sizes, pick(1, 30), pick(1, 20), random);
  }

  static std::vector<float> Score(const Model& model, const Items& history, const Items& candidates,
                                  SurgeScratch& scratch) {
    std::vector<float> logits(candidates.size(), std::nanf(""));
    const absl::Status prepared =
        SurgePrepareUser(model.weights, {.recent_items = history}, scratch);
    EXPECT_TRUE(prepared.ok()) << prepared;
    SurgeScoreItems(model.weights, {.rows = candidates}, scratch, logits);
    return logits;
  }

  // Compares every candidate with the oracle.
  void ExpectAgreement(const Model& model, const Items& history, const Items& candidates) {
    const auto scratch = NewSurgeScratch(model.weights, candidates.size());
    const std::vector<float> logits = Score(model, history, candidates, *scratch);
    for (size_t i = 0; i < candidates.size(); ++i) {
      const SurgeOracle::Result expected = model.oracle.Score(history, candidates[i]);
      ASSERT_TRUE(std::isfinite(logits[i])) << "candidate " << candidates[i];
      ++(expected.is_decided ? decided_ : undecided_);
      if (!expected.is_decided) continue;
      ASSERT_NEAR(logits[i], expected.logit, Tolerance() * (1 + std::abs(expected.logit)))
          << "candidate " << candidates[i] << ", history of " << history.size() << " in "
          << model.weights.shape.max_history << ", pool " << model.weights.shape.pool_length;
    }
  }

  size_t decided_ = 0;
  size_t undecided_ = 0;
};

TEST_P(SurgeProperty, AgreesWithTheEquationsOnRandomShapes) {
  for (uint64_t seed = 1; seed <= Rounds(60u); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937_64 random(seed);
    const Model model = RandomModel(random);
    const size_t l = model.weights.shape.max_history;
    for (const size_t length : {size_t{1}, 1 + random() % l, l, l + 1 + random() % 5}) {
      const Items history = RandomItems(length, model.rows, random);
      Items candidates = RandomItems(4, model.rows, random);
      candidates.push_back(history[random() % length]);
      candidates.push_back(0);
      ExpectAgreement(model, history, candidates);
      if (HasFatalFailure()) return;
    }
  }
  EXPECT_GT(decided_, Rounds(1'000u));
  EXPECT_LT(undecided_, decided_ / 50);
}

TEST_P(SurgeProperty, HistoriesOfOneItemAndOfUnknownItemsAreDefined) {
  for (uint64_t seed = 1; seed <= Rounds(20u); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937_64 random(seed);
    const Model model = RandomModel(random);
    const size_t l = model.weights.shape.max_history;
    for (const uint32_t item : {uint32_t{0}, uint32_t{1}}) {
      for (const size_t length : {size_t{1}, std::max<size_t>(1, l / 2), l, 2 * l}) {
        ExpectAgreement(model, Items(length, item), {0, 1});
        if (HasFatalFailure()) return;
      }
    }
    // Unknown items among known ones.
    Items history = RandomItems(l, model.rows, random);
    for (size_t i = 0; i < l; i += 2) history[i] = 0;
    ExpectAgreement(model, history, {0, 1});
    if (HasFatalFailure()) return;
  }
}

TEST_P(SurgeProperty, OnlyTheNewestItemsAreRead) {
  std::mt19937_64 random(5);
  const Model model = MakeModel({}, 8, 3, random);
  const auto scratch = NewSurgeScratch(model.weights, 3);
  Items history = RandomItems(8, model.rows, random);
  const std::vector<float> expected = Score(model, history, {1, 2, 3}, *scratch);
  for (int i = 0; i < 5; ++i) history.push_back(1);
  EXPECT_EQ(Score(model, history, {1, 2, 3}, *scratch), expected);
  history[0] = history[0] == 1 ? 2 : 1;
  EXPECT_NE(Score(model, history, {1, 2, 3}, *scratch), expected);
}

TEST_P(SurgeProperty, AnEmptyHistoryHasNoScore) {
  std::mt19937_64 random(6);
  const Model model = MakeModel({}, 8, 3, random);
  const auto scratch = NewSurgeScratch(model.weights, 3);
  EXPECT_EQ(SurgePrepareUser(model.weights, {}, *scratch).code(),
            absl::StatusCode::kFailedPrecondition);
  // The next user is served as if nothing had been.
  const auto fresh = NewSurgeScratch(model.weights, 3);
  EXPECT_EQ(Score(model, {3, 4}, {1, 2, 3}, *scratch), Score(model, {3, 4}, {1, 2, 3}, *fresh));
}

TEST_P(SurgeProperty, AUserLeavesNothingToTheNext) {
  for (uint64_t seed = 1; seed <= Rounds(20u); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937_64 random(seed);
    const Model model = RandomModel(random);
    const size_t l = model.weights.shape.max_history;
    const auto used = NewSurgeScratch(model.weights, 20);
    for (int user = 0; user < 6; ++user) {
      const Items history = RandomItems(1 + random() % (l + 3), model.rows, random);
      const Items candidates = RandomItems(1 + random() % 20, model.rows, random);
      const auto fresh = NewSurgeScratch(model.weights, 20);
      ASSERT_EQ(Score(model, history, candidates, *used),
                Score(model, history, candidates, *fresh));
    }
  }
}

TEST_P(SurgeProperty, AScoreIsTheSameBitsInEveryBatchAndOrder) {
  for (uint64_t seed = 0; seed <= Rounds(20u); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937_64 random(seed);
    const Model model = seed == 0 ? MakeModel(kPublished, 50, 30, random) : RandomModel(random);
    const Items history =
        RandomItems(1 + random() % (model.weights.shape.max_history + 2), model.rows, random);
    const Items candidates = RandomItems(280, model.rows, random);
    const auto whole = NewSurgeScratch(model.weights, candidates.size());
    const std::vector<float> expected = Score(model, history, candidates, *whole);

    std::vector<size_t> order(candidates.size());
    std::iota(order.begin(), order.end(), 0u);
    std::shuffle(order.begin(), order.end(), random);
    const auto scratch = NewSurgeScratch(model.weights, 130);
    for (size_t begin = 0; begin < order.size();) {
      const size_t size = std::min(order.size() - begin, 1 + random() % (random() % 2 ? 130 : 5));
      Items block;
      for (size_t i = 0; i < size; ++i) block.push_back(candidates[order[begin + i]]);
      const std::vector<float> logits = Score(model, history, block, *scratch);
      for (size_t i = 0; i < size; ++i) {
        ASSERT_EQ(std::memcmp(&logits[i], &expected[order[begin + i]], sizeof(float)), 0)
            << "candidate " << order[begin + i] << " in a block of " << size << ": " << logits[i]
            << " and " << expected[order[begin + i]];
      }
      begin += size;
    }
  }
}

using Bf16SurgeProperty = SurgeProperty;

// At the published sizes, of f32's twenty best of 500, over many lists.
TEST_P(Bf16SurgeProperty, HardlyAnyOfTheTwentyBestIsAnother) {
  constexpr size_t kLists = Rounds(60);
  SurgeSizes sizes = kPublished;
  sizes.items = 1'001;
  size_t others = 0;
  for (uint64_t seed = 1; seed <= kLists; ++seed) {
    std::mt19937_64 random(seed);
    Model model = MakeModel(sizes, 50, 30, random);
    const Items history = RandomItems(50, model.rows, random);
    Items candidates(500);
    std::iota(candidates.begin(), candidates.end(), 1u + random() % 500);
    const auto best = [&] {
      const auto scratch = NewSurgeScratch(model.weights, candidates.size());
      return TwentyBest(Score(model, history, candidates, *scratch));
    };
    const std::set<size_t> actual = best();
    model.weights = Load(model.oracle, "f32");
    const std::set<size_t> expected = best();
    for (const size_t i : actual) others += expected.contains(i) ? 0 : 1;
  }
  EXPECT_LE(others, 20 * kLists / 100);
}

std::string NameOf(const testing::TestParamInfo<Served>& served) {
  return std::string(served.param.variant) + "_" + served.param.precision;
}

INSTANTIATE_TEST_SUITE_P(Variants, SurgeProperty,
                         testing::Values(Served{"authors", "f32"}, Served{"paper", "f32"},
                                         Served{"authors", "bf16"}, Served{"paper", "bf16"}),
                         NameOf);
INSTANTIATE_TEST_SUITE_P(Variants, Bf16SurgeProperty,
                         testing::Values(Served{"authors", "bf16"}, Served{"paper", "bf16"}),
                         NameOf);

}  // namespace
}  // namespace groundswell
