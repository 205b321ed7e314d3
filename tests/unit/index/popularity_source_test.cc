#include "index/popular/popularity_source.h"

#include <gmock/gmock.h>

#include <atomic>
#include <thread>

namespace groundswell {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<uint32_t> Retrieve(const PopularitySource& source, size_t count,
                               const ItemFilter& filter = {}) {
  std::vector<uint32_t> items;
  for (const Candidate& candidate : source.Retrieve(filter, count)) {
    EXPECT_EQ(candidate.sources, kFromPopular);
    items.push_back(ToInt(candidate.item));
  }
  return items;
}

TEST(PopularitySourceTest, KnowsNothingBeforeTheFirstUpdate) {
  const PopularitySource source;
  EXPECT_THAT(Retrieve(source, 5), IsEmpty());
  EXPECT_NE(source.order(), nullptr);
}

TEST(PopularitySourceTest, AnEmptyCatalogueIsNoError) {
  PopularitySource source;
  source.Update({}, {});
  EXPECT_THAT(Retrieve(source, 5), IsEmpty());
}

TEST(PopularitySourceTest, OrdersByFadingCountThenByTotalThenByItem) {
  PopularitySource source;
  source.Update(std::vector<float>{0, .5f, .7f, .5f, 0}, std::vector<Count>{3, 1, 1, 2, 3});
  EXPECT_THAT(Retrieve(source, 10), ElementsAre(2, 3, 1, 0, 4));
  EXPECT_THAT(Retrieve(source, 2), ElementsAre(2, 3));
  EXPECT_THAT(Retrieve(source, 0), IsEmpty());
}

TEST(PopularitySourceTest, ScoresAreSharesOfTheHighestFadingCount) {
  PopularitySource source;
  source.Update(std::vector<float>{1, 4, 0}, std::vector<Count>{9, 4, 1});
  EXPECT_THAT(source.order()->score_of_item, ElementsAre(.25f, 1.f, 0.f));
  source.Update(std::vector<float>{0, 0}, std::vector<Count>{1, 2});
  EXPECT_THAT(source.order()->score_of_item, ElementsAre(0.f, 0.f));
  EXPECT_THAT(Retrieve(source, 2), ElementsAre(1, 0));
}

TEST(PopularitySourceTest, LooksBehindWhatTheFilterLeavesOut) {
  PopularitySource source;
  source.Update(std::vector<float>{9, 8, 7, 6}, std::vector<Count>{9, 8, 7, 6});
  const std::vector<ItemIndex> excluded = {static_cast<ItemIndex>(0), static_cast<ItemIndex>(2)};
  ItemFilter filter;
  filter.Exclude(excluded);
  EXPECT_THAT(Retrieve(source, 2, filter), ElementsAre(1, 3));
}

TEST(PopularitySourceTest, ReadersSeeOneWholeOrderWhileItChanges) {
  PopularitySource source;
  const std::vector<float> rising = {1, 2, 3};
  const std::vector<float> falling = {3, 2, 1};
  const std::vector<Count> totals = {1, 1, 1};
  source.Update(rising, totals);
  std::atomic<bool> done = false;
  std::thread writer([&] {
    for (int i = 0; i < 500; ++i) source.Update(i % 2 == 0 ? falling : rising, totals);
    done = true;
  });
  while (!done) {
    const std::vector<uint32_t> items = Retrieve(source, 3);
    EXPECT_TRUE(items == (std::vector<uint32_t>{2, 1, 0}) ||
                items == (std::vector<uint32_t>{0, 1, 2}));
  }
  writer.join();
}

}  // namespace
}  // namespace groundswell
