#include "server/pipeline/page_layout.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <random>
#include <set>

namespace groundswell {
namespace {

using std::chrono::hours;
using std::chrono::steady_clock;
using ::testing::ElementsAre;

constexpr uint32_t kNone = 99;  // the category of items without one

// What the function is given, and what it made of it.
struct Case {
  std::vector<uint32_t> categories;  // by item
  std::vector<uint32_t> items;       // the list
  std::vector<uint32_t> popular;
  std::vector<Pin> pins;
  std::vector<ItemIndex> excluded;  // ascending
  PageRules rules{.no_category = kNone};
  steady_clock::time_point deadline = steady_clock::now() + hours(1);

  std::vector<Candidate> list;
  std::vector<uint32_t> page_ends;
  PageLayoutResult result;

  std::vector<uint32_t> Run(bool fills = true) {
    PopularitySource::Order order;
    for (const uint32_t item : popular) order.items.push_back(ItemIndex{item});
    ItemFilter filter;
    filter.Exclude(excluded);
    list.clear();
    for (const uint32_t item : items) list.push_back({ItemIndex{item}, 0.5f, kFromEmbedding});
    rules.category_of_item = categories;
    rules.pins = pins;
    PageLayoutScratch scratch;
    result = LayOutPages(
        rules, {.filter = filter, .popular = fills ? &order : nullptr, .deadline = deadline},
        scratch, list, page_ends);
    std::vector<uint32_t> laid_out;
    for (const Candidate& candidate : list) laid_out.push_back(ToInt(candidate.item));
    return laid_out;
  }
};

TEST(PageLayoutTest, WhatHasNoRoomComesOnTheNextPage) {
  Case c{.categories = {0, 0, 0, 1, 1, 1}, .items = {0, 1, 2, 3, 4, 5}};
  c.rules.page_size = 3;
  c.rules.category_max = 2;
  EXPECT_THAT(c.Run(), ElementsAre(0, 1, 3, 2, 4, 5));
  EXPECT_THAT(c.page_ends, ElementsAre(3, 6));
}

TEST(PageLayoutTest, PopularItemsOfOtherCategoriesFillThePage) {
  Case c{.categories = {0, 0, 0, 0, 1, 2, kNone},
         .items = {0, 1},
         .popular = {2, 0, 4, 3, 5, 6},
         .excluded = {ItemIndex{4}}};
  c.rules.page_size = 3;
  c.rules.category_max = 1;
  EXPECT_THAT(c.Run(), ElementsAre(0, 5, 6, 1)) << "4 is excluded, 2 and 3 are of category 0";
  EXPECT_THAT(c.page_ends, ElementsAre(3, 4));
  EXPECT_EQ(c.list[1].sources, kFromPopular);
  EXPECT_EQ(c.list[1].score, 0.0f);
  EXPECT_THAT(c.Run(/*fills=*/false), ElementsAre(0, 1));
  EXPECT_THAT(c.page_ends, ElementsAre(1, 2));
}

TEST(PageLayoutTest, ItemsWithoutACategoryAreNotLimited) {
  Case c{.categories = {kNone, kNone, kNone, 0, 0}, .items = {0, 1, 2, 3, 4, 7}};
  c.rules.page_size = 5;
  c.rules.category_max = 1;
  EXPECT_THAT(c.Run(), ElementsAre(0, 1, 2, 3, 7, 4)) << "7 is not in the categories at all";
}

TEST(PageLayoutTest, PinsStandInTheirPlacesAndKeepTheirScores) {
  Case c{.categories = std::vector<uint32_t>(10, 0),
         .items = {0, 1, 2, 3},
         .pins = {{ItemIndex{9}, 1}, {ItemIndex{3}, 0}, {ItemIndex{9}, 0}, {ItemIndex{8}, 1}},
         .excluded = {}};
  EXPECT_THAT(c.Run(), ElementsAre(3, 9, 8, 0, 1, 2));
  EXPECT_TRUE(c.page_ends.empty());
  EXPECT_EQ(c.result.pinned, 3u);
  EXPECT_EQ(c.list[0].score, 0.5f);
  EXPECT_EQ(c.list[0].sources, uint32_t{kFromEmbedding | kFromPinned});
  EXPECT_EQ(c.list[1].score, 0.0f);
  EXPECT_EQ(c.list[1].sources, uint32_t{kFromPinned});
}

TEST(PageLayoutTest, APinBehindTheEndStandsAtTheEndAndOneThatIsNotAdmittedNowhere) {
  Case c{.categories = std::vector<uint32_t>(10, 0),
         .items = {0, 1},
         .pins = {{ItemIndex{5}, 400}, {ItemIndex{6}, 0}, {ItemIndex{7}, 7}},
         .excluded = {ItemIndex{6}}};
  EXPECT_THAT(c.Run(), ElementsAre(0, 1, 7, 5));
  c.rules.items_max = 3;
  EXPECT_THAT(c.Run(), ElementsAre(0, 1, 7));
  c.items.clear();
  EXPECT_THAT(c.Run(), ElementsAre(7, 5));
}

TEST(PageLayoutTest, PinsCountInTheirCategoryAndStandAlsoWithoutRoom) {
  Case c{.categories = {0, 0, 1, 1, 0, 0},
         .items = {0, 1, 2, 3},
         .pins = {{ItemIndex{4}, 2}, {ItemIndex{5}, 1}}};
  c.rules.page_size = 3;
  c.rules.category_max = 1;
  EXPECT_THAT(c.Run(), ElementsAre(2, 5, 4, 0, 3, 1));
  EXPECT_THAT(c.page_ends, ElementsAre(3, 5, 6));
}

TEST(PageLayoutTest, LookingForPopularItemsEndsWithTheTime) {
  Case c{.categories = {0, 0, 1}, .items = {0, 1}, .popular = {2}};
  c.rules.page_size = 2;
  c.rules.category_max = 1;
  c.deadline = steady_clock::now() - hours(1);
  EXPECT_THAT(c.Run(), ElementsAre(0, 1));
  EXPECT_TRUE(c.result.cut_short);
}

TEST(PageLayoutTest, LookingEndsOnceAllCategoriesAreFull) {
  Case c{.categories = {0, 1, 0, 1}, .items = {0, 1}, .popular = {2, 3}};
  c.rules.page_size = 4;
  c.rules.category_max = 1;
  c.rules.category_count = 2;
  c.deadline = steady_clock::now() - hours(1);
  EXPECT_THAT(c.Run(), ElementsAre(0, 1));
  EXPECT_FALSE(c.result.cut_short) << "nothing was looked for";
}

// Against the promises themselves: on random lists no page holds too many of a category, nothing is
// repeated or lost, and a page is short only when nothing that is not on it or before it fits.
TEST(PageLayoutTest, PagesAreFullWheneverWhatIsLeftFits) {
  std::mt19937 random(5);
  for (int round = 0; round < 2'000; ++round) {
    const uint32_t items = 1 + random() % 120;
    const uint32_t kinds = 1 + random() % 8;
    Case c;
    for (uint32_t item = 0; item < items; ++item) {
      const uint32_t category = random() % (kinds * kinds);  // some are frequent
      c.categories.push_back(category < kinds ? category : random() % 20 == 0 ? kNone : 0);
      if (random() % 5 == 0) c.excluded.push_back(ItemIndex{item});
    }
    c.popular.resize(items);
    std::iota(c.popular.begin(), c.popular.end(), 0);
    std::shuffle(c.popular.begin(), c.popular.end(), random);
    for (uint32_t item = 0; item < items; ++item) {
      const bool excluded = std::ranges::binary_search(c.excluded, ItemIndex{item});
      if (!excluded && random() % 2 == 0) c.items.push_back(item);
    }
    c.rules.page_size = 1 + random() % 12;
    c.rules.category_max = 1 + random() % 4;
    const std::vector<uint32_t> laid_out = c.Run();

    std::set<uint32_t> used;
    size_t begin = 0;
    for (const uint32_t end : c.page_ends) {
      std::map<uint32_t, size_t> on_page;
      for (size_t at = begin; at < end; ++at) {
        ASSERT_TRUE(used.insert(laid_out[at]).second) << "repeated";
        const uint32_t category = c.categories[laid_out[at]];
        if (category == kNone) continue;
        ASSERT_LE(++on_page[category], c.rules.category_max);
      }
      ASSERT_GT(end, begin);
      ASSERT_LE(end - begin, c.rules.page_size);
      if (end - begin < c.rules.page_size) {
        for (uint32_t item = 0; item < items; ++item) {
          if (used.contains(item) || std::ranges::binary_search(c.excluded, ItemIndex{item})) {
            continue;
          }
          const uint32_t category = c.categories[item];
          ASSERT_NE(category, kNone) << "item " << item << " fits on a short page";
          ASSERT_EQ(on_page[category], c.rules.category_max) << "item " << item << " fits";
        }
      }
      begin = end;
    }
    ASSERT_EQ(begin, laid_out.size());
    for (const uint32_t item : c.items) ASSERT_TRUE(used.contains(item)) << "lost " << item;
  }
}

}  // namespace
}  // namespace groundswell
