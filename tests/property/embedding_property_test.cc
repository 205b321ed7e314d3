// An exact index that was changed at random against one built of the outcome: the same items with
// the same scores, bit by bit, before and after it is built anew, under every filter.
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "index/vectors/embedding_index.h"
#include "tests/support/sanitized.h"

namespace groundswell {
namespace {

constexpr size_t kItems = 300;
constexpr size_t kItemsMax = 400;

std::vector<float> RandomVector(size_t dim, std::mt19937& random) {
  std::normal_distribution<float> normal;
  std::vector<float> vector(dim);
  for (float& value : vector) value = normal(random);
  return vector;
}

// What is expected: the vectors as they are, without any history.
using Outcome = std::map<uint32_t, std::vector<float>>;

// The answer of an index that was built of the outcome alone. It numbers its items in the order of
// theirs, so that ties fall alike.
std::vector<Candidate> Rebuilt(const Outcome& outcome, size_t dim, std::span<const float> query,
                               const ItemFilter& filter, size_t count) {
  std::vector<float> rows;
  std::vector<uint32_t> items;
  for (const auto& [item, vector] : outcome) {
    if (!filter.Admits(ItemIndex{item})) continue;
    items.push_back(item);
    rows.insert(rows.end(), vector.begin(), vector.end());
  }
  const auto index = EmbeddingIndex::Build(rows, dim, {.factory = "Flat"});
  EXPECT_TRUE(index.ok()) << index.status();
  const ItemFilter everything;
  auto found = (*index)->Retrieve({.vector = query, .filter = everything, .count = count});
  EXPECT_TRUE(found.ok()) << found.status();
  for (Candidate& candidate : *found) candidate.item = ItemIndex{items[ToInt(candidate.item)]};
  return *std::move(found);
}

void ExpectSame(const std::vector<Candidate>& found, const std::vector<Candidate>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) {
    ASSERT_EQ(found[i].item, expected[i].item) << "place " << i;
    ASSERT_EQ(found[i].score, expected[i].score) << "place " << i;
  }
}

class EmbeddingPropertyTest : public ::testing::TestWithParam<uint32_t> {};

TEST_P(EmbeddingPropertyTest, ChangesAndTheIndexTogetherAreTheIndexOfTheOutcome) {
  std::mt19937 random(GetParam());
  const size_t dim = 1 + random() % 40;
  std::vector<float> trained;
  Outcome outcome;
  for (uint32_t item = 0; item < kItems; ++item) {
    outcome[item] = RandomVector(dim, random);
    trained.insert(trained.end(), outcome[item].begin(), outcome[item].end());
  }
  const auto built = EmbeddingIndex::Build(
      trained, dim, {.factory = "Flat", .changes_max = 1 + random() % 50, .items_max = kItemsMax});
  ASSERT_TRUE(built.ok()) << built.status();
  EmbeddingIndex& index = **built;
  std::vector<uint32_t> category_of_item(kItemsMax);
  const auto draw = [&random](uint32_t below) { return static_cast<uint32_t>(random() % below); };
  for (uint32_t& category : category_of_item) category = draw(10);

  for (int step = 0; step < 200; ++step) {
    const uint32_t item = draw(kItemsMax);
    const uint32_t action = draw(20);
    if (action == 0) {
      ASSERT_TRUE(index.Rebuild(1, nullptr).ok());
    } else if (action < 5) {
      ASSERT_TRUE(index.Remove(ItemIndex{item}).ok());
      outcome.erase(item);
    } else {
      outcome[item] = RandomVector(dim, random);
      ASSERT_TRUE(index.Upsert(ItemIndex{item}, outcome[item]).ok());
    }
    const std::vector<float> query = RandomVector(dim, random);
    const std::vector<uint32_t> wanted = {draw(10), draw(10)};
    std::vector<ItemIndex> excluded;
    for (uint32_t i = draw(5); i < kItemsMax; i += 1 + draw(90)) {
      excluded.push_back(ItemIndex{i});
    }
    ItemFilter filter;
    if (draw(2) == 0) filter.Exclude(excluded);
    if (draw(3) == 0) filter.RestrictToCategories(wanted, category_of_item);
    const size_t count = 1 + draw(draw(4) == 0 ? 2 * kItemsMax : 20);
    const auto found = index.Retrieve({.vector = query, .filter = filter, .count = count});
    ASSERT_TRUE(found.ok()) << found.status();
    ExpectSame(*found, Rebuilt(outcome, dim, query, filter, count));
    ASSERT_EQ(index.Now().VectorOf(ItemIndex{item}).size(), outcome.contains(item) ? dim : 0);
    if (HasFatalFailure()) FAIL() << "step " << step;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, EmbeddingPropertyTest, ::testing::Range(0u, Rounds(20u)));

}  // namespace
}  // namespace groundswell
