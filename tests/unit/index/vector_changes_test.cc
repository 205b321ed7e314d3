#include "index/vectors/vector_changes.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <thread>

#include "index/vectors/item_vectors.h"

namespace groundswell {
namespace {

constexpr size_t kRowDim = 2;
using Vector = std::array<float, kRowDim>;

std::vector<float> Copy(std::span<const float> row) { return {row.begin(), row.end()}; }

TEST(VectorChangesTest, AReaderSeesExactlyTheChangesOfItsLength) {
  VectorChanges changes(4, 10, kRowDim);
  const ItemIndex item{3};
  EXPECT_TRUE(changes.LeavesAsItWas(item, 0));
  ASSERT_TRUE(changes.Append(item, Vector{1, 1}, 0));
  ASSERT_TRUE(changes.Append(ItemIndex{5}, Vector{5, 5}, 1));
  ASSERT_TRUE(changes.Append(item, Vector{2, 2}, 2));
  EXPECT_TRUE(changes.LeavesAsItWas(item, 0));
  EXPECT_EQ(changes.NewestOf(item, 1), 0u);
  EXPECT_EQ(changes.NewestOf(item, 2), 0u);
  EXPECT_EQ(changes.NewestOf(item, 3), 2u);
  EXPECT_TRUE(changes.LeavesAsItWas(ItemIndex{5}, 1));
  EXPECT_FALSE(changes.LeavesAsItWas(ItemIndex{5}, 2));
  EXPECT_EQ(Copy(changes.Row(2)), (std::vector<float>{2, 2}));
  EXPECT_EQ(changes.changed_items(), 2u);
}

TEST(VectorChangesTest, AFullListRefusesAndStaysAsItWas) {
  VectorChanges changes(1, 10, kRowDim);
  ASSERT_TRUE(changes.Append(ItemIndex{0}, Vector{1, 1}, 0));
  EXPECT_FALSE(changes.Append(ItemIndex{0}, Vector{2, 2}, 1));
  EXPECT_FALSE(changes.Append(ItemIndex{1}, Vector{2, 2}, 1));
  EXPECT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes.changed_items(), 1u);
  EXPECT_EQ(Copy(changes.Row(0)), (std::vector<float>{1, 1}));
  EXPECT_TRUE(changes.LeavesAsItWas(ItemIndex{1}, 1));
}

TEST(VectorChangesTest, ItemsBeyondItsRoomAreAsTheyWere) {
  const VectorChanges changes(1, 10, kRowDim);
  EXPECT_TRUE(changes.LeavesAsItWas(ItemIndex{10}, 1));
  EXPECT_TRUE(changes.LeavesAsItWas(ItemIndex{UINT32_MAX}, 1));
}

// Every change writes the item's number of changes so far into the row, so that a row that was read
// half written, or one of another length, shows.
TEST(VectorChangesTest, ReadersBesideTheWriterSeeWholeChanges) {
  constexpr size_t kItems = 7;
  constexpr size_t kChanges = 20'000;
  VectorChanges changes(kChanges, kItems, kRowDim);
  std::atomic<bool> failed{false};
  const auto read = [&] {
    while (changes.size() < kChanges) {
      const size_t n = changes.size();
      for (uint32_t item = 0; item < kItems; ++item) {
        const size_t expected = n / kItems + (n % kItems > item ? 1 : 0);
        const auto newest = changes.NewestOf(ItemIndex{item}, n);
        const float count = newest.has_value() ? changes.Row(*newest)[0] : 0;
        if (count != static_cast<float>(expected)) failed = true;
        if (newest.has_value() && changes.Row(*newest)[1] != count) failed = true;
      }
    }
  };
  std::thread first(read);
  std::thread second(read);
  for (size_t i = 0; i < kChanges; ++i) {
    const auto count = static_cast<float>(i / kItems + 1);
    changes.Append(ItemIndex{static_cast<uint32_t>(i % kItems)}, Vector{count, count}, i);
  }
  first.join();
  second.join();
  EXPECT_FALSE(failed);
}

std::vector<uint32_t> RowItems(const ItemVectors& vectors) {
  std::vector<uint32_t> items;
  for (const ItemIndex item : vectors.items()) items.push_back(ToInt(item));
  return items;
}

TEST(ItemVectorsTest, ChangesComeChangeAndGoAndNothingElseMoves) {
  const std::vector<float> trained = {0, 0, 1, 1, 2, 2};
  const auto before = ItemVectors::Create(trained, kRowDim);
  ASSERT_TRUE(before.ok());
  const Vector newer = {7, 7};
  const Vector late = {9, 9};
  const ItemVectors after = before->With(std::vector<ItemVectors::Change>{
      {ItemIndex{1}, newer}, {ItemIndex{5}, late}, {ItemIndex{2}, {}}, {ItemIndex{4}, {}}});
  EXPECT_TRUE(before->is_trained_matrix());
  EXPECT_FALSE(after.is_trained_matrix());
  EXPECT_EQ(RowItems(*before), (std::vector<uint32_t>{0, 1, 2}));
  EXPECT_EQ(RowItems(after), (std::vector<uint32_t>{0, 1, 5}));
  EXPECT_EQ(Copy(after.Of(ItemIndex{0})), (std::vector<float>{0, 0}));
  EXPECT_EQ(Copy(after.Of(ItemIndex{1})), (std::vector<float>{7, 7}));
  EXPECT_EQ(Copy(after.Of(ItemIndex{5})), (std::vector<float>{9, 9}));
  for (const uint32_t without : {2u, 3u, 4u, 6u, UINT32_MAX}) {
    EXPECT_TRUE(after.Of(ItemIndex{without}).empty()) << without;
  }
  EXPECT_EQ(Copy(before->Of(ItemIndex{1})), (std::vector<float>{1, 1}));
}

TEST(ItemVectorsTest, RowsOfItemsThatChangeAgainAndAgainDoNotPileUp) {
  const auto trained = ItemVectors::Create({}, kRowDim);
  ASSERT_TRUE(trained.ok());
  ItemVectors vectors = *trained;
  const size_t bytes =
      vectors.With(std::vector<ItemVectors::Change>{{ItemIndex{0}, Vector{}}}).bytes();
  for (int i = 0; i < 100; ++i) {
    const Vector value = {static_cast<float>(i), 0};
    vectors = vectors.With(std::vector<ItemVectors::Change>{{ItemIndex{0}, value}});
    EXPECT_EQ(vectors.Of(ItemIndex{0})[0], static_cast<float>(i));
  }
  EXPECT_LE(vectors.bytes(), bytes);
}

}  // namespace
}  // namespace groundswell
