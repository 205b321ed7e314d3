// The sequence rankers on random shapes, weights and histories: against a naive implementation in
// double precision, and against themselves in other batches and orders, bit by bit.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <ostream>
#include <random>
#include <set>

#include "models/snapshot/registry.h"
#include "tests/property/sequence_oracle.h"
#include "tests/support/sanitized.h"
#include "tests/support/sequence_fixture.h"
#include "tests/support/twenty_best.h"

namespace groundswell {
namespace {

using Rows = std::vector<uint32_t>;
using User = SequenceOracle::User;

// The published sizes, for the kernels that are chosen for large products.
constexpr SequenceSizes kPublishedSequence{.users = 50,
                                           .items = 300,
                                           .categories = 20,
                                           .max_history = 50,
                                           .item_width = 32,
                                           .category_width = 8,
                                           .user_width = 40,
                                           .state = 40,
                                           .evolved = 40,
                                           .hidden1 = 80,
                                           .hidden2 = 40,
                                           .head1 = 100,
                                           .head2 = 64,
                                           .vertical = 128,
                                           .horizontal = 128,
                                           .windows = 3,
                                           .gmf = 40,
                                           .mlp_item = 40};

Rows RandomSequenceRows(size_t size, size_t rows, std::mt19937_64& random) {
  Rows items(size);
  for (uint32_t& item : items) item = static_cast<uint32_t>(random() % rows);
  return items;
}

struct ServedSequence {
  SequenceModel model;
  std::string precision;
};

void PrintTo(const ServedSequence& served, std::ostream* out) {
  *out << served.model.Name() << " in " << served.precision;
}

class SequenceProperty : public testing::TestWithParam<ServedSequence> {
 protected:
  struct Model {
    SequenceOracle oracle;
    SequenceSizes sizes;
    std::unique_ptr<Ranker> ranker;
  };

  static std::unique_ptr<Ranker> Load(const SequenceOracle& oracle, const SequenceSizes& sizes,
                                      const std::string& precision) {
    auto options = WholeSequenceOptions(oracle.model, sizes);
    options["precision"] = precision;
    auto ranker = MakeRanker(
        {.name = "m", .kind = oracle.model.kind, .file = "f", .options = std::move(options)},
        MakeCheckpointFile(oracle.tensors, oracle.categories));
    EXPECT_TRUE(ranker.ok()) << ranker.status();
    return *std::move(ranker);
  }

  static Model MakeModel(const SequenceSizes& sizes, std::mt19937_64& random) {
    const SequenceModel& model = GetParam().model;
    SequenceOracle oracle{.model = model,
                          .tensors = RandomSequenceTensors(model, sizes, random),
                          .categories = SequenceCategories(sizes),
                          .max_history = sizes.max_history};
    auto ranker = Load(oracle, sizes, GetParam().precision);
    return {std::move(oracle), sizes, std::move(ranker)};
  }

  static Model RandomModel(std::mt19937_64& random) {
    const auto pick = [&](size_t least, size_t most) {
      return least + random() % (most - least + 1);
    };
    const size_t max_history = pick(1, 25);
    return MakeModel({.users = pick(2, 20),
                      .items = pick(2, 40),
                      .categories = pick(1, 6),
                      .max_history = max_history,
                      .item_width = pick(1, 12),
                      .category_width = pick(1, 5),
                      .user_width = pick(1, 9),
                      .state = pick(1, 20),
                      .evolved = pick(1, 20),
                      .hidden1 = pick(1, 50),
                      .hidden2 = pick(1, 30),
                      .head1 = pick(1, 60),
                      .head2 = pick(1, 40),
                      .vertical = pick(1, 9),
                      .horizontal = pick(1, 9),
                      .windows = pick(1, std::min<size_t>(4, max_history)),
                      .gmf = pick(1, 20),
                      .mlp_item = pick(1, 9),
                      .layers = pick(1, 8),
                      .output_bias = pick(0, 1) == 1},
                     random);
  }

  // Of a logit to the exact one, absolute and relative.
  static double Tolerance() { return GetParam().precision == "bf16" ? 0.025 : 2e-5; }

  // In bf16 half as many: what differs are the products.
  static uint64_t Seeds(uint64_t in_f32) {
    return Rounds(GetParam().precision == "bf16" ? in_f32 / 2 : in_f32);
  }

  static User RandomUser(const Model& model, size_t length, std::mt19937_64& random) {
    User user{.row = static_cast<uint32_t>(1 + random() % (model.sizes.users - 1)),
              .newest_first = RandomSequenceRows(length, model.sizes.items, random)};
    // Seconds to days apart, now and then at the same instant; the newest may be later than now.
    constexpr int64_t kHourUs = 3'600'000'000;
    int64_t time_us = 1'600'000'000'000'000;
    user.now_us = time_us + static_cast<int64_t>(random() % 100) * kHourUs - kHourUs;
    for (size_t i = 0; i < length; ++i) {
      user.times_us.push_back(time_us);
      const auto step = static_cast<int64_t>(random() % 60);
      time_us -= random() % 2 == 0 ? step * 1'000'000 : step / 20 * kHourUs * 24;
    }
    user.first_time_us = user.times_us.back();
    return user;
  }

  // As serving gathers them: what the shape does not read is left out.
  static UserFeatures FeaturesOf(const Ranker& ranker, const User& user) {
    const RankerShape shape = ranker.shape();
    UserFeatures features;
    features.row = shape.user_rows > 0 ? user.row : 0;
    if (shape.recent_items > 0) features.recent_items = user.newest_first;
    if (shape.recent_times > 0) {
      features.recent_times_us = user.times_us;
      features.first_time_us = user.first_time_us;
      features.now_us = user.now_us;
    }
    return features;
  }

  static std::vector<float> Score(const Ranker& ranker, const User& user, const Rows& candidates,
                                  RankerScratch& scratch) {
    std::vector<float> logits(candidates.size(), std::nanf(""));
    const absl::Status prepared = ranker.PrepareUser(FeaturesOf(ranker, user), scratch);
    EXPECT_TRUE(prepared.ok()) << prepared;
    ranker.ScoreItems({.rows = candidates}, scratch, logits);
    return logits;
  }

  // Compares every candidate with the oracle.
  static void ExpectAgreement(const Model& model, const User& user, const Rows& candidates) {
    const auto scratch = model.ranker->NewScratch(candidates.size());
    const std::vector<float> logits = Score(*model.ranker, user, candidates, *scratch);
    for (size_t i = 0; i < candidates.size(); ++i) {
      const double expected = model.oracle.Score(user, candidates[i]);
      if (std::isinf(expected)) {
        ASSERT_EQ(logits[i], -std::numeric_limits<float>::infinity()) << candidates[i];
        continue;
      }
      ASSERT_NEAR(logits[i], expected, Tolerance() * (1 + std::abs(expected)))
          << "candidate " << candidates[i] << ", history of " << user.newest_first.size() << " in "
          << model.sizes.max_history;
    }
  }

  static void ExpectSameBits(std::span<const float> actual, std::span<const float> expected) {
    ASSERT_EQ(actual.size(), expected.size());
    for (size_t i = 0; i < actual.size(); ++i) {
      ASSERT_EQ(std::memcmp(&actual[i], &expected[i], sizeof(float)), 0)
          << i << ": " << actual[i] << " and " << expected[i];
    }
  }
};

TEST_P(SequenceProperty, AgreesWithTheEquationsOnRandomShapes) {
  for (uint64_t seed = 1; seed <= Seeds(24); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937_64 random(seed);
    const Model model = RandomModel(random);
    const size_t l = model.sizes.max_history;
    for (const size_t length : {size_t{1}, 1 + random() % l, l, l + 1 + random() % 5, 2 * l}) {
      const User user = RandomUser(model, length, random);
      Rows candidates = RandomSequenceRows(4, model.sizes.items, random);
      candidates.push_back(user.newest_first[random() % length]);
      candidates.push_back(0);
      ExpectAgreement(model, user, candidates);
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(SequenceProperty, RepeatedAndUnknownItemsAreDefined) {
  for (uint64_t seed = 1; seed <= Seeds(8); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937_64 random(seed);
    const Model model = RandomModel(random);
    const size_t l = model.sizes.max_history;
    for (const uint32_t item : {uint32_t{0}, uint32_t{1}}) {
      for (const size_t length : {size_t{1}, std::max<size_t>(1, l / 2), l, 2 * l}) {
        User user = RandomUser(model, length, random);
        std::fill(user.newest_first.begin(), user.newest_first.end(), item);
        ExpectAgreement(model, user, {0, 1});
        if (HasFatalFailure()) return;
      }
    }
    User user = RandomUser(model, l, random);
    for (size_t i = 0; i < l; i += 2) user.newest_first[i] = 0;
    ExpectAgreement(model, user, {0, 1});
    if (HasFatalFailure()) return;
  }
}

TEST_P(SequenceProperty, OnlyTheNewestItemsAreRead) {
  if (!GetParam().model.ReadsHistory()) GTEST_SKIP() << "it reads no history";
  std::mt19937_64 random(5);
  const Model model = MakeModel({}, random);
  const auto scratch = model.ranker->NewScratch(3);
  User user = RandomUser(model, model.sizes.max_history, random);
  const std::vector<float> expected = Score(*model.ranker, user, {1, 2, 3}, *scratch);
  user.newest_first.push_back(1);
  EXPECT_EQ(Score(*model.ranker, user, {1, 2, 3}, *scratch), expected);
  user.newest_first[0] = user.newest_first[0] == 1 ? 2 : 1;
  EXPECT_NE(Score(*model.ranker, user, {1, 2, 3}, *scratch), expected);
}

TEST_P(SequenceProperty, WhoHasNoScoreIsToldAndLeavesNothingBehind) {
  std::mt19937_64 random(6);
  const Model model = MakeModel({}, random);
  const auto scratch = model.ranker->NewScratch(3);
  EXPECT_EQ(model.ranker->PrepareUser({}, *scratch).code(), absl::StatusCode::kFailedPrecondition);
  const User user = RandomUser(model, 2, random);
  const auto fresh = model.ranker->NewScratch(3);
  ExpectSameBits(Score(*model.ranker, user, {1, 2, 3}, *scratch),
                 Score(*model.ranker, user, {1, 2, 3}, *fresh));
}

TEST_P(SequenceProperty, AUserLeavesNothingToTheNext) {
  for (uint64_t seed = 1; seed <= Seeds(8); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937_64 random(seed);
    const Model model = RandomModel(random);
    const auto used = model.ranker->NewScratch(20);
    for (int i = 0; i < 6; ++i) {
      const User user = RandomUser(model, 1 + random() % (model.sizes.max_history + 3), random);
      const Rows candidates = RandomSequenceRows(1 + random() % 20, model.sizes.items, random);
      const auto fresh = model.ranker->NewScratch(20);
      ExpectSameBits(Score(*model.ranker, user, candidates, *used),
                     Score(*model.ranker, user, candidates, *fresh));
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(SequenceProperty, AScoreIsTheSameBitsInEveryBatchAndOrderAndWhenItIsKept) {
  for (uint64_t seed = 0; seed <= Seeds(8); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937_64 random(seed);
    const Model model = seed == 0 ? MakeModel(kPublishedSequence, random) : RandomModel(random);
    const Ranker& ranker = *model.ranker;
    const User user = RandomUser(model, 1 + random() % (model.sizes.max_history + 2), random);
    const Rows candidates = RandomSequenceRows(280, model.sizes.items, random);
    const auto whole = ranker.NewScratch(candidates.size());
    const std::vector<float> expected = Score(ranker, user, candidates, *whole);

    std::vector<size_t> order(candidates.size());
    std::iota(order.begin(), order.end(), 0u);
    std::shuffle(order.begin(), order.end(), random);
    const auto scratch = ranker.NewScratch(130);
    const auto preparing = ranker.NewScratch(130);
    for (size_t begin = 0; begin < order.size();) {
      const size_t size = std::min(order.size() - begin, 1 + random() % (random() % 2 ? 130 : 5));
      Rows block;
      std::vector<float> of_block;
      for (size_t i = 0; i < size; ++i) {
        block.push_back(candidates[order[begin + i]]);
        of_block.push_back(expected[order[begin + i]]);
      }
      ExpectSameBits(Score(ranker, user, block, *scratch), of_block);
      if (ranker.prepared_width() > 0) {
        std::vector<float> prepared(size * ranker.prepared_width()), logits(size);
        ranker.PrepareItems({.rows = block}, *preparing, prepared);
        ranker.ScorePrepared(prepared, *scratch, logits);
        ExpectSameBits(logits, of_block);
      }
      if (HasFatalFailure()) return;
      begin += size;
    }
  }
}

// Explanations: a variant is the user that it describes, in f32.
TEST_P(SequenceProperty, AVariantIsScoredAsTheUserThatItIs) {
  std::mt19937_64 random(9);
  const Model model = MakeModel({}, random);
  const auto in_f32 = Load(model.oracle, model.sizes, "f32");
  const Rows candidates{1, 2, 3};
  std::vector<User> users;
  std::vector<UserFeatures> variants;
  for (size_t length = 1; length <= 4; ++length) users.push_back(RandomUser(model, length, random));
  for (const User& user : users) variants.push_back(FeaturesOf(*model.ranker, user));
  const UserFeatures nobody;
  variants.push_back(nobody);
  const auto scratch = model.ranker->NewScratch(candidates.size());
  std::vector<float> logits(variants.size() * candidates.size());
  ASSERT_TRUE(model.ranker->ScoreVariants(
      variants, {.rows = candidates}, *scratch, [] { return true; }, logits));
  const auto fresh = in_f32->NewScratch(candidates.size());
  for (size_t v = 0; v < users.size(); ++v) {
    ExpectSameBits(std::span(logits).subspan(v * candidates.size(), candidates.size()),
                   Score(*in_f32, users[v], candidates, *fresh));
  }
  for (const float logit : std::span(logits).last(candidates.size())) {
    EXPECT_TRUE(std::isnan(logit)) << "a user without a score";
  }
}

TEST_P(SequenceProperty, OnlyWhoReadsTimesHangsOnThem) {
  std::mt19937_64 random(10);
  const Model model = MakeModel({}, random);
  const auto scratch = model.ranker->NewScratch(3);
  User user = RandomUser(model, 4, random);
  const std::vector<float> expected = Score(*model.ranker, user, {1, 2, 3}, *scratch);
  user.now_us += int64_t{86'400'000'000} * 30;
  EXPECT_EQ(Score(*model.ranker, user, {1, 2, 3}, *scratch) != expected,
            model.ranker->shape().recent_times > 0);
}

using Bf16SequenceProperty = SequenceProperty;

// At the published sizes, of f32's twenty best of 500, over many lists.
TEST_P(Bf16SequenceProperty, HardlyAnyOfTheTwentyBestIsAnother) {
  constexpr size_t kLists = Rounds(25);
  SequenceSizes sizes = kPublishedSequence;
  sizes.items = 1'001;
  size_t others = 0;
  for (uint64_t seed = 1; seed <= kLists; ++seed) {
    std::mt19937_64 random(seed);
    const Model model = MakeModel(sizes, random);
    const User user = RandomUser(model, sizes.max_history, random);
    Rows candidates(500);
    std::iota(candidates.begin(), candidates.end(), 1u + random() % 500);
    const auto best = [&](const Ranker& ranker) {
      const auto scratch = ranker.NewScratch(candidates.size());
      return TwentyBest(Score(ranker, user, candidates, *scratch));
    };
    const std::set<size_t> expected = best(*Load(model.oracle, sizes, "f32"));
    for (const size_t i : best(*model.ranker)) others += expected.contains(i) ? 0 : 1;
  }
  EXPECT_LE(others, 4 * 20 * kLists / 100);
}

std::vector<ServedSequence> ServedIn(std::initializer_list<const char*> precisions) {
  std::vector<ServedSequence> served;
  for (const SequenceModel& model : SequenceModels()) {
    for (const char* precision : precisions) served.push_back({model, precision});
  }
  return served;
}

// Those with products in bf16.
std::vector<ServedSequence> ServedInBf16() {
  std::vector<ServedSequence> served = ServedIn({"bf16"});
  std::erase_if(served, [](const ServedSequence& one) {
    const bool is_one_product = one.model.kind == "gru4rec" || one.model.kind == "caser";
    return one.model.kind == "dien" || (is_one_product && one.model.IsOriginal());
  });
  return served;
}

std::string NameOfSequence(const testing::TestParamInfo<ServedSequence>& served) {
  return served.param.model.Name() + "_" + served.param.precision;
}

INSTANTIATE_TEST_SUITE_P(Models, SequenceProperty, testing::ValuesIn(ServedIn({"f32", "bf16"})),
                         NameOfSequence);
INSTANTIATE_TEST_SUITE_P(Models, Bf16SequenceProperty, testing::ValuesIn(ServedInBf16()),
                         NameOfSequence);

}  // namespace
}  // namespace groundswell
