#include "server/pipeline/list_order.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>

namespace groundswell {
namespace {

using testing::ElementsAre;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Item 0 has the first score, item 1 the second one, and so on.
std::vector<Candidate> ItemsOf(const std::vector<float>& scores) {
  std::vector<Candidate> items;
  for (uint32_t i = 0; i < scores.size(); ++i) items.push_back({ItemIndex{i}, scores[i], 0});
  return items;
}

std::vector<uint32_t> Numbers(const std::vector<Candidate>& items) {
  std::vector<uint32_t> numbers;
  for (const Candidate& candidate : items) numbers.push_back(ToInt(candidate.item));
  return numbers;
}

class ListOrderTest : public testing::Test {
 protected:
  ListBoosts OfRequest() const { return {.factors = boosts_, .category_of_item = categories_}; }

  Boosts boosts_;
  std::vector<uint32_t> categories_ = {0, 0, 1, 1};
  ListOrderScratch scratch_;
};

TEST_F(ListOrderTest, ScoresThatAreNotFiniteComeLastAndTiesAreByItem) {
  const std::vector<float> scores = {-kInfinity, 1, 2, std::nanf(""), 1, kInfinity};
  std::vector<Candidate> items = ItemsOf({0, 0, 0, 0, 0, 0});
  OrderByScores(scores, OfRequest(), scratch_, items);
  EXPECT_THAT(Numbers(items), ElementsAre(2, 1, 4, 0, 3, 5));
}

TEST_F(ListOrderTest, ABoostAddsItsLogarithmToAScore) {
  const std::vector<float> scores = {4, 3, 2, 1};
  boosts_.of_category[1] = std::exp(1.5f);
  std::vector<Candidate> items = ItemsOf(scores);
  OrderByScores(scores, OfRequest(), scratch_, items);
  EXPECT_THAT(Numbers(items), ElementsAre(0, 2, 1, 3));
  EXPECT_EQ(items[1].score, 2) << "the item's own score stays";
  boosts_.of_item[ItemIndex{0}] = std::exp(-1.4f);
  OrderByScores(scores, OfRequest(), scratch_, items = ItemsOf(scores));
  EXPECT_THAT(Numbers(items), ElementsAre(2, 1, 0, 3));
}

TEST_F(ListOrderTest, WithoutAScaleBoostsMultiplyVotesForPlaces) {
  std::vector<Candidate> items = ItemsOf({4, 3, 2, 1});
  OrderByBoosts(OfRequest(), scratch_, items);
  EXPECT_THAT(Numbers(items), ElementsAre(0, 1, 2, 3)) << "without any, as they stand";
  boosts_.of_category[1] = 10;
  OrderByBoosts(OfRequest(), scratch_, items);
  EXPECT_THAT(Numbers(items), ElementsAre(2, 3, 0, 1));
}

}  // namespace
}  // namespace groundswell
