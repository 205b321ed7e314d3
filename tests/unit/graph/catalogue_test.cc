#include "graph/catalogue.h"

#include <gtest/gtest.h>

namespace groundswell {
namespace {

TEST(CatalogueTest, FindsWhatWasAddedAndNothingElse) {
  Catalogue catalogue;
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

}  // namespace
}  // namespace groundswell
