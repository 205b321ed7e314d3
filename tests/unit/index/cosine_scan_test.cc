#include "index/vectors/cosine_scan.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <numeric>
#include <vector>

#include "tests/support/random_rows.h"
#include "tests/unit/index/items_of.h"

namespace groundswell {
namespace {

using ::testing::ElementsAre;
using ::testing::Not;

constexpr size_t kCosineDim = 7;  // not a multiple of what is summed beside each other
constexpr size_t kCosineItems = 3'000;

class CosineScanTest : public ::testing::Test {
 protected:
  CosineScanTest() {
    // Lengths that differ by far, so that the order is another than that of inner products.
    for (size_t item = 0; item < kCosineItems; ++item) {
      for (size_t k = 0; k < kCosineDim; ++k) {
        rows_[item * kCosineDim + k] *= static_cast<float>(1 + item % 50);
      }
    }
    index_ = *EmbeddingIndex::Build(rows_, kCosineDim,
                                    {.flat_max_items = 0, .items_max = kCosineItems + 10});
  }

  std::vector<Candidate> Nearest(size_t count, const ItemFilter& filter = {}) const {
    return NearestByCosine(index_->Now(), kCosineItems + 10,
                           {.vector = query_, .filter = filter, .count = count});
  }
  double Cosine(const float* row) const {
    double inner = 0;
    double of_query = 0;
    double of_row = 0;
    for (size_t k = 0; k < kCosineDim; ++k) {
      inner += double{query_[k]} * row[k];
      of_query += double{query_[k]} * query_[k];
      of_row += double{row[k]} * row[k];
    }
    return inner / std::sqrt(of_query * of_row);
  }

  std::vector<float> rows_ = RandomRows(kCosineItems, kCosineDim);
  const std::vector<float> query_ = RandomRows(1, kCosineDim, 9);
  std::unique_ptr<EmbeddingIndex> index_;
};

TEST_F(CosineScanTest, AnswersAsAScanOfAllPairs) {
  std::vector<uint32_t> order(kCosineItems);
  std::iota(order.begin(), order.end(), 0u);
  std::ranges::stable_sort(order, std::greater<>(), [this](uint32_t item) {
    return Cosine(rows_.data() + item * kCosineDim);
  });
  order.resize(500);
  const std::vector<Candidate> found = Nearest(500);
  EXPECT_EQ(ItemsOf(found), order);
  for (const Candidate& candidate : found) {
    EXPECT_NEAR(candidate.score, Cosine(rows_.data() + ToInt(candidate.item) * kCosineDim), 1e-6);
    EXPECT_EQ(candidate.sources, uint32_t{kFromEmbedding});
  }
  const auto by_product =
      *index_->Retrieve({.vector = query_, .filter = ItemFilter(), .count = 500});
  EXPECT_THAT(ItemsOf(by_product), Not(order));
}

TEST_F(CosineScanTest, ChangesCountAtOnceAndZeroIsNobodysNeighbour) {
  std::vector<float> same = query_;
  for (float& value : same) value *= 1e-6f;
  ASSERT_TRUE(index_->Upsert(ItemIndex{kCosineItems + 3}, same).ok());
  ASSERT_TRUE(index_->Upsert(ItemIndex{kCosineItems + 4}, std::vector<float>(kCosineDim)).ok());
  std::vector<Candidate> found = Nearest(kCosineItems + 10);
  EXPECT_EQ(ToInt(found[0].item), kCosineItems + 3);
  EXPECT_FLOAT_EQ(found[0].score, 1);
  EXPECT_EQ(found.size(), kCosineItems + 1);

  ASSERT_TRUE(index_->Remove(ItemIndex{kCosineItems + 3}).ok());
  EXPECT_EQ(Nearest(kCosineItems + 10).size(), kCosineItems);
}

TEST_F(CosineScanTest, TheFilterHolds) {
  const std::vector<Candidate> all = Nearest(3);
  ItemFilter filter;
  const ItemIndex best[] = {all[0].item};
  filter.Exclude(best);
  EXPECT_THAT(ItemsOf(Nearest(2, filter)), ElementsAre(ToInt(all[1].item), ToInt(all[2].item)));
}

}  // namespace
}  // namespace groundswell
