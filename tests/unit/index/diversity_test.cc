#include "index/vectors/diversity.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

namespace groundswell {
namespace {

using ::testing::ElementsAre;

constexpr size_t kDiversityDim = 4;

// Items without a row have no vector. The rows must outlive the index.
std::unique_ptr<EmbeddingIndex> IndexOf(const std::vector<float>& rows) {
  auto index =
      EmbeddingIndex::Build(rows, kDiversityDim, {.items_max = rows.size() / kDiversityDim});
  EXPECT_TRUE(index.ok()) << index.status();
  return *std::move(index);
}

std::vector<Candidate> ScoredList(const std::vector<uint32_t>& items) {
  std::vector<Candidate> list;
  for (const uint32_t item : items) {
    list.push_back({ItemIndex{item}, static_cast<float>(100 + item), kFromEmbedding});
  }
  return list;
}

std::vector<uint32_t> Diversified(const EmbeddingIndex& index, float strength, size_t items_max,
                                  const std::vector<uint32_t>& items) {
  std::vector<Candidate> list = ScoredList(items);
  DiversityScratch scratch;
  Diversify(index.Now(), strength, items_max, scratch, list);
  std::vector<uint32_t> order;
  for (const Candidate& candidate : list) {
    EXPECT_EQ(candidate.score, static_cast<float>(100 + ToInt(candidate.item)));
    EXPECT_EQ(candidate.sources, kFromEmbedding);
    order.push_back(ToInt(candidate.item));
  }
  return order;
}

// The formula, word by word.
std::vector<uint32_t> ByTheFormula(const EmbeddingIndex& index, float strength, size_t items_max,
                                   const std::vector<uint32_t>& items) {
  const EmbeddingIndex::View view = index.Now();
  const auto cosine = [&](uint32_t a, uint32_t b) {
    const auto x = view.VectorOf(ItemIndex{a});
    const auto y = view.VectorOf(ItemIndex{b});
    if (x.empty() || y.empty()) return 0.0;
    const auto dot = [](auto p, auto q) {
      return std::inner_product(p.begin(), p.end(), q.begin(), 0.0);
    };
    const double lengths = std::sqrt(dot(x, x) * dot(y, y));
    return lengths > 0 ? std::max(0.0, dot(x, y) / lengths) : 0.0;
  };
  std::vector<uint32_t> chosen;
  const size_t n = std::min(items_max, items.size());
  while (chosen.size() < n) {
    double best_value = -10;
    uint32_t best = 0;
    for (size_t place = 0; place < n; ++place) {
      if (std::ranges::find(chosen, items[place]) != chosen.end()) continue;
      double nearest = 0;
      for (const uint32_t j : chosen) nearest = std::max(nearest, cosine(items[place], j));
      const double relevance = 1 - static_cast<double>(place) / static_cast<double>(items_max);
      const double value = (1 - strength) * relevance - strength * nearest;
      if (value > best_value) {
        best_value = value;
        best = items[place];
      }
    }
    chosen.push_back(best);
  }
  chosen.insert(chosen.end(), items.begin() + static_cast<ptrdiff_t>(n), items.end());
  return chosen;
}

TEST(DiversityTest, TwinsAreParted) {
  // 0 and 1 are alike, 2 is not.
  const std::vector<float> rows = {1, 0, 0, 0, 2, 0, 0, 0, 0, 1, 0, 0};
  const auto index = IndexOf(rows);
  EXPECT_THAT(Diversified(*index, 0.5f, 10, {0, 1, 2}), ElementsAre(0, 2, 1));
  EXPECT_THAT(Diversified(*index, 0.01f, 10, {0, 1, 2}), ElementsAre(0, 1, 2))
      << "a place is worth more";
  EXPECT_THAT(Diversified(*index, 0.5f, 2, {0, 1, 2}), ElementsAre(0, 1, 2)) << "2 takes no part";
}

TEST(DiversityTest, OppositesAndItemsWithoutVectorAreUnlike) {
  // 1 is the opposite of 0, 2 has the vector 0, 9 has none.
  const std::vector<float> rows = {1, 0, 0, 0, -1, 0, 0, 0, 0, 0, 0, 0};
  const auto index = IndexOf(rows);
  EXPECT_THAT(Diversified(*index, 1, 10, {0, 1, 2, 9}), ElementsAre(0, 1, 2, 9));
}

TEST(DiversityTest, AListWithoutAnyVectorOrItemStays) {
  const std::vector<float> rows = {1, 0, 0, 0};
  const auto index = IndexOf(rows);
  EXPECT_THAT(Diversified(*index, 1, 10, {7, 8, 9}), ElementsAre(7, 8, 9));
  EXPECT_THAT(Diversified(*index, 1, 10, {}), ElementsAre());
}

TEST(DiversityTest, FollowsTheFormulaOnRandomLists) {
  std::mt19937 random(11);
  std::normal_distribution<float> normal;
  constexpr uint32_t kItems = 60;
  std::vector<float> rows(kItems * kDiversityDim);
  for (float& value : rows) value = normal(random);
  const auto index = IndexOf(rows);
  for (int round = 0; round < 40; ++round) {
    std::vector<uint32_t> items(kItems + 5);  // five of them without a vector
    std::iota(items.begin(), items.end(), 0);
    std::shuffle(items.begin(), items.end(), random);
    items.resize(random() % items.size());
    const size_t items_max = 1 + random() % 50;
    for (const float strength : {0.0f, 0.1f, 0.5f, 0.9f, 1.0f}) {
      EXPECT_EQ(Diversified(*index, strength, items_max, items),
                strength == 0 ? items : ByTheFormula(*index, strength, items_max, items))
          << round << " " << strength;
    }
  }
}

TEST(DiversityTest, FollowsTheFormulaOnListsLongerThanOneProduct) {
  std::mt19937 random(12);
  std::normal_distribution<float> normal;
  std::vector<uint32_t> items(300);
  std::iota(items.begin(), items.end(), 0);
  std::vector<float> rows(items.size() * kDiversityDim);
  for (float& value : rows) value = normal(random);
  const auto index = IndexOf(rows);
  EXPECT_EQ(Diversified(*index, 0.3f, 300, items), ByTheFormula(*index, 0.3f, 300, items));
}

}  // namespace
}  // namespace groundswell
