#include "server/recommend/item_listing.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace groundswell {
namespace {

using std::chrono::steady_clock;

constexpr auto kNoDeadline = steady_clock::time_point::max();

class ItemListingTest : public testing::Test {
 protected:
  ItemListingTest() {
    catalogue_.Add("A-1", "Red Lamp", "lamps");
    catalogue_.Add("a-2", "blue mug", "mugs");
    catalogue_.Add("B-1", "Lampshade", "lamps");
    catalogue_.Add("b-2", "", "");
    catalogue_.FinishLoading();
    catalogue_.Add("c-1", "LAMP oil", "oil");
  }

  std::vector<std::string> Found(const ItemListing& listing) {
    std::vector<std::string> ids;
    size_t begin = 0;
    for (;;) {
      const ItemPage page = FindItems(catalogue_, listing, begin, kNoDeadline);
      EXPECT_LE(page.items.size(), listing.page_size);
      for (const ItemIndex item : page.items) ids.emplace_back(catalogue_.Id(item));
      if (!page.next.has_value()) return ids;
      begin = *page.next;
    }
  }

  Catalogue catalogue_{100'000};
};

using Ids = std::vector<std::string>;

TEST_F(ItemListingTest, TextIsFoundInIdsAndTitlesInEitherCase) {
  EXPECT_EQ(Found({.text = "lamp"}), (Ids{"A-1", "B-1", "c-1"}));
  EXPECT_EQ(Found({.text = "LaMp"}), (Ids{"A-1", "B-1", "c-1"}));
  EXPECT_EQ(Found({.text = "a-"}), (Ids{"A-1", "a-2"}));
  EXPECT_EQ(Found({.text = "none of them"}), Ids());
  EXPECT_EQ(Found({}), (Ids{"A-1", "a-2", "B-1", "b-2", "c-1"}));
  EXPECT_EQ(Found({.text = "lamp", .category = catalogue_.FindCategory("lamps")}),
            (Ids{"A-1", "B-1"}));
}

TEST_F(ItemListingTest, WhatIsRemovedAndWhatIsNewIsAsItIsNow) {
  catalogue_.Remove(ItemIndex{2});
  catalogue_.Update(ItemIndex{1}, "lamp no more a mug", "lamps");
  EXPECT_EQ(Found({.text = "lamp"}), (Ids{"A-1", "a-2", "c-1"}));
  EXPECT_EQ(CountItemsOfCategories(catalogue_, 0, catalogue_.category_count()),
            (std::vector<size_t>{2, 0, 1, 1}));  // lamps, mugs, "", oil
  EXPECT_EQ(CountItemsOfCategories(catalogue_, 1, 2), (std::vector<size_t>{0, 1}));
}

// Whatever the pages' size: all pages together are what one page of everything has.
TEST_F(ItemListingTest, PagesNeitherRepeatNorSkip) {
  std::mt19937 random(1);
  for (int i = 0; i < 500; ++i) {
    catalogue_.Add("n-" + std::to_string(i), random() % 3 == 0 ? "lamp" : "mug", "new");
  }
  for (uint32_t item = 7; item < 500; item += 11) catalogue_.Remove(ItemIndex{item});
  const Ids all = Found({.text = "lamp", .page_size = 1'000});
  EXPECT_GT(all.size(), 100u);
  for (const size_t page_size : {1, 2, 7, 100}) {
    EXPECT_EQ(Found({.text = "lamp", .page_size = page_size}), all);
  }
}

TEST_F(ItemListingTest, OnePageLooksAtSoManyItemsAndNoMore) {
  for (size_t i = 0; i < 2 * kListedItemsLookedAt; ++i) {
    catalogue_.Add("n-" + std::to_string(i), "mug", "new");
  }
  catalogue_.Add("last", "lamp", "new");
  const ItemListing listing{.text = "last"};
  const ItemPage first = FindItems(catalogue_, listing, 0, kNoDeadline);
  EXPECT_TRUE(first.items.empty());
  EXPECT_EQ(first.next, kListedItemsLookedAt);
  EXPECT_EQ(Found(listing), Ids{"last"});
  const ItemPage hasty = FindItems(catalogue_, listing, 0, steady_clock::time_point::min());
  EXPECT_GT(*hasty.next, 0u) << "it goes on however short the time";
  EXPECT_LT(*hasty.next, kListedItemsLookedAt);
}

TEST(PlaceTokenTest, IsOfWhatItWasMadeFor) {
  EXPECT_EQ(*CheckPlaceToken("", 7), 0u);
  const std::string token = MakePlaceToken(20'000, 7);
  EXPECT_EQ(*CheckPlaceToken(token, 7), 20'000u);
  EXPECT_EQ(CheckPlaceToken(token, 8).status().code(), absl::StatusCode::kFailedPrecondition);
  for (const std::string& bad :
       {std::string("x"), std::string("."), token + "0", " " + token, "0" + token,
        std::string("-1.0000000000000007"), std::string("100000000.0000000000000007")}) {
    EXPECT_EQ(CheckPlaceToken(bad, 7).status().code(), absl::StatusCode::kInvalidArgument) << bad;
  }
}

}  // namespace
}  // namespace groundswell
