#include "index/item_filter.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

namespace groundswell {
namespace {

constexpr ItemIndex Item(uint32_t index) { return static_cast<ItemIndex>(index); }

TEST(ItemFilterTest, ARestrictionToNoCategoryAdmitsNothing) {
  const std::array<uint32_t, 2> category_of_item = {0, 1};
  ItemFilter filter;
  filter.RestrictToCategories({}, category_of_item);
  EXPECT_FALSE(filter.Admits(Item(0)));
  EXPECT_FALSE(filter.Admits(Item(1)));
  EXPECT_FALSE(filter.RejectsAtMost().has_value());
}

TEST(ItemFilterTest, AnItemWithoutACategoryIsNotOfTheCategoriesAskedFor) {
  const std::array<uint32_t, 1> categories = {0};
  const std::array<uint32_t, 1> category_of_item = {0};
  ItemFilter filter;
  filter.RestrictToCategories(categories, category_of_item);
  EXPECT_TRUE(filter.Admits(Item(0)));
  EXPECT_FALSE(filter.Admits(Item(1)));
}

TEST(ItemFilterTest, EmptyListsExcludeNothing) {
  ItemFilter filter;
  filter.Exclude({});
  EXPECT_EQ(filter.RejectsAtMost(), 0u);
  EXPECT_TRUE(filter.Admits(Item(0)));
}

TEST(ItemFilterTest, ListsWithRepeatsExcludeTheirItemsOnly) {
  const std::vector<ItemIndex> seen = {Item(1), Item(1), Item(4)};
  const std::vector<ItemIndex> excluded = {Item(0)};
  ItemFilter filter;
  filter.Exclude(seen);
  filter.Exclude(excluded);
  std::vector<uint32_t> admitted;
  for (uint32_t i = 0; i < 6; ++i) {
    if (filter.Admits(Item(i))) admitted.push_back(i);
  }
  EXPECT_EQ(admitted, (std::vector<uint32_t>{2, 3, 5}));
}

TEST(ItemFilterTest, EveryRuleMustAdmit) {
  const std::vector<ItemIndex> seen = {Item(2)};
  const std::array<uint32_t, 2> categories = {7, 9};
  const std::array<uint32_t, 4> category_of_item = {7, 8, 9, 9};
  ItemFilter filter;
  filter.Exclude(seen);
  filter.RestrictToCategories(categories, category_of_item);
  EXPECT_TRUE(filter.Admits(Item(0)));
  EXPECT_FALSE(filter.Admits(Item(1)));
  EXPECT_FALSE(filter.Admits(Item(2)));
  EXPECT_TRUE(filter.Admits(Item(3)));
}

}  // namespace
}  // namespace groundswell
