#include "server/pipeline/list_order.h"

#include <gmock/gmock.h>

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
  std::vector<Candidate> items = ItemsOf({-kInfinity, 1, 2, std::nanf(""), 1, kInfinity});
  OrderByScore(items);
  EXPECT_THAT(Numbers(items), ElementsAre(2, 1, 4, 0, 3, 5));
}

TEST_F(ListOrderTest, TheMoreTheStandingWeighsTheLessTheScoresChange) {
  std::vector<Candidate> by_score = ItemsOf({1, 2, 3, 4});
  OrderByScoreAndStanding(0, OfRequest(), scratch_, by_score);
  EXPECT_THAT(Numbers(by_score), ElementsAre(3, 2, 1, 0));
  std::vector<Candidate> as_it_stands = ItemsOf({1, 2, 3, 4});
  OrderByScoreAndStanding(100, OfRequest(), scratch_, as_it_stands);
  EXPECT_THAT(Numbers(as_it_stands), ElementsAre(0, 1, 2, 3));
}

TEST_F(ListOrderTest, BoostsLiftItemsAndCategoriesInEitherOrder) {
  std::vector<Candidate> items = ItemsOf({4, 3, 2, 1});
  OrderByBoosts(OfRequest(), scratch_, items);
  EXPECT_THAT(Numbers(items), ElementsAre(0, 1, 2, 3)) << "without any, as they stand";
  boosts_.of_category[1] = 10;
  OrderByBoosts(OfRequest(), scratch_, items);
  EXPECT_THAT(Numbers(items), ElementsAre(2, 3, 0, 1));
  boosts_.of_item[ItemIndex{2}] = 0.01f;
  std::vector<Candidate> ranked = ItemsOf({4, 3, 2, 1});
  OrderByScoreAndStanding(0, OfRequest(), scratch_, ranked);
  EXPECT_THAT(Numbers(ranked), ElementsAre(3, 0, 1, 2));
}

}  // namespace
}  // namespace groundswell
