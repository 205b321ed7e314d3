#include "graph/catalogue.h"

#include <gtest/gtest.h>

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
    EXPECT_EQ(catalogue.live_count(), 0u);
    EXPECT_TRUE(catalogue.Add("a", "Again", "mugs"));
    EXPECT_EQ(catalogue.Find("a"), ItemIndex{1});
    EXPECT_EQ(catalogue.Title(ItemIndex{0}), "First");
    EXPECT_EQ(catalogue.Title(ItemIndex{1}), "Again");
  }
}

TEST(CatalogueTest, IsFullAtItsCapacity) {
  Catalogue catalogue(1);
  EXPECT_TRUE(catalogue.Add("a", "", ""));
  EXPECT_FALSE(catalogue.Add("b", "", ""));
  EXPECT_EQ(catalogue.Find("b"), std::nullopt);
}

}  // namespace
}  // namespace groundswell
