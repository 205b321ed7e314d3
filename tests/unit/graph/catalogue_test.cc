#include "graph/state/catalogue.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>

namespace groundswell {
namespace {

TEST(CatalogueTest, FindsWhatWasAddedAndNothingElse) {
  Catalogue catalogue(3);
  catalogue.Add("a", "First", "mugs");
  catalogue.Add("b", "Second", "bags");
  catalogue.Add("c", "Third", "mugs");
  EXPECT_EQ(catalogue.size(), 3u);
  EXPECT_EQ(catalogue.Find("b"), ItemIndex{1});
  EXPECT_EQ(catalogue.Find("d"), std::nullopt);
  EXPECT_EQ(catalogue.Find(""), std::nullopt);
  EXPECT_EQ(catalogue.Title(ItemIndex{2}), "Third");
  EXPECT_EQ(catalogue.Category(ItemIndex{2}), "mugs");
  EXPECT_EQ(catalogue.FindCategory("bags"), 1u);
  EXPECT_EQ(catalogue.FindCategory("Bags"), std::nullopt);
  EXPECT_EQ(catalogue.category_of_item()[0], catalogue.category_of_item()[2]);
}

TEST(CatalogueTest, RemovedItemsAreNotFoundAndMayComeBackAsNewOnes) {
  for (const bool loaded : {false, true}) {
    Catalogue catalogue(3);
    catalogue.Add("a", "First", "mugs");
    if (loaded) catalogue.FinishLoading();
    catalogue.Remove(ItemIndex{0});
    catalogue.Remove(ItemIndex{0});
    EXPECT_EQ(catalogue.Find("a"), std::nullopt);
    EXPECT_EQ(catalogue.unavailable_max(), 1u);
    EXPECT_TRUE(catalogue.Add("a", "Again", "mugs"));
    EXPECT_EQ(catalogue.Find("a"), ItemIndex{1});
    EXPECT_EQ(catalogue.Title(ItemIndex{0}), "First");
    EXPECT_EQ(catalogue.Title(ItemIndex{1}), "Again");
  }
}

TEST(CatalogueTest, AnUpdateReplacesTitleAndCategory) {
  Catalogue catalogue(2);
  catalogue.Add("a", "First", "mugs");
  catalogue.Add("b", "Second", "bags");
  catalogue.FinishLoading();
  for (int round = 0; round < 2; ++round) {
    catalogue.Update(ItemIndex{0}, "Better", "lamps");
    EXPECT_EQ(catalogue.Title(ItemIndex{0}), "Better");
    EXPECT_EQ(catalogue.Category(ItemIndex{0}), "lamps");
    EXPECT_EQ(catalogue.CategoryNumber(ItemIndex{0}), catalogue.FindCategory("lamps"));
    EXPECT_EQ(catalogue.Find("a"), ItemIndex{0});
    EXPECT_EQ(catalogue.Title(ItemIndex{1}), "Second");
    EXPECT_EQ(catalogue.Category(ItemIndex{1}), "bags");
  }
}

TEST(CatalogueTest, AnItemIsAvailableFromItsBeginningUntilJustBeforeItsEnd) {
  Catalogue catalogue(2);
  catalogue.Add("a", "", "");
  catalogue.Add("b", "", "");
  const ItemIndex item{0};
  catalogue.SetAvailability(item, {});
  EXPECT_EQ(catalogue.unavailable_max(), 0u);
  catalogue.SetAvailability(item, {.from_us = 10, .until_us = 20});
  EXPECT_FALSE(catalogue.IsAvailable(item, 9));
  EXPECT_TRUE(catalogue.IsAvailable(item, 10));
  EXPECT_TRUE(catalogue.IsAvailable(item, 19));
  EXPECT_FALSE(catalogue.IsAvailable(item, 20));
  EXPECT_TRUE(catalogue.IsAvailable(ItemIndex{1}, 20));
  EXPECT_EQ(catalogue.unavailable_max(), 1u);
  EXPECT_EQ(catalogue.Find("a"), item);
  catalogue.SetAvailability(item, {});
  EXPECT_TRUE(catalogue.IsAvailable(item, 20));
  catalogue.Remove(item);
  EXPECT_FALSE(catalogue.IsAvailable(item, 15));
}

TEST(CatalogueTest, IsReadWhileItChanges) {
  Catalogue catalogue(1);
  catalogue.Add("a", "0", "0");
  catalogue.FinishLoading();
  std::atomic<bool> done = false;
  std::thread reader([&] {
    while (!done) {
      EXPECT_FALSE(catalogue.Title(ItemIndex{0}).empty());
      EXPECT_FALSE(catalogue.Category(ItemIndex{0}).empty());
      EXPECT_LT(catalogue.CategoryNumber(ItemIndex{0}), 3u);
      EXPECT_TRUE(catalogue.IsAvailable(ItemIndex{0}, 0));
    }
  });
  for (int i = 0; i < 1'000; ++i) {
    catalogue.Update(ItemIndex{0}, std::to_string(i), std::to_string(i % 3));
    catalogue.SetAvailability(ItemIndex{0}, {.until_us = i + 1});
  }
  done = true;
  reader.join();
}

TEST(CatalogueTest, IsFullAtItsCapacity) {
  Catalogue catalogue(1);
  EXPECT_TRUE(catalogue.Add("a", "", ""));
  EXPECT_FALSE(catalogue.Add("b", "", ""));
  EXPECT_EQ(catalogue.Find("b"), std::nullopt);
}

}  // namespace
}  // namespace groundswell
