// EmbeddingIndex while vectors come, change and go, and while its index is built anew.
#include <gmock/gmock.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <map>
#include <random>
#include <thread>

#include "graph/state/catalogue.h"
#include "index/vectors/embedding_index.h"
#include "tests/support/random_rows.h"
#include "tests/support/sanitized.h"
#include "tests/unit/index/items_of.h"

namespace groundswell {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr size_t kChangesDim = 16;
constexpr size_t kChangesItems = 2'000;

class EmbeddingChangesTest : public ::testing::TestWithParam<const char*> {
 protected:
  EmbeddingChangesTest() {
    auto built = EmbeddingIndex::Build(rows_, kChangesDim,
                                       {.flat_max_items = 0,
                                        .factory = GetParam(),
                                        .nprobe = 8,
                                        .ef_search = 64,
                                        .changes_max = 8,
                                        .items_max = kChangesItems + 100});
    EXPECT_TRUE(built.ok()) << built.status();
    index_ = *std::move(built);
  }

  std::vector<uint32_t> Best(size_t count, const ItemFilter& filter = {}) {
    const auto found = index_->Retrieve({.vector = query_, .filter = filter, .count = count});
    EXPECT_TRUE(found.ok()) << found.status();
    return ItemsOf(*found);
  }
  void Upsert(uint32_t item, std::span<const float> vector) {
    const absl::Status status = index_->Upsert(ItemIndex{item}, vector);
    EXPECT_TRUE(status.ok()) << status;
  }
  // Of the query times `factor`: the higher, the nearer.
  std::vector<float> Near(float factor) const {
    std::vector<float> vector = query_;
    for (float& value : vector) value *= factor;
    return vector;
  }
  void Rebuild() {
    const absl::Status status = index_->Rebuild(1, nullptr);
    EXPECT_TRUE(status.ok()) << status;
  }

  const std::vector<float> rows_ = RandomRows(kChangesItems, kChangesDim, 1);
  const std::vector<float> query_ = RandomRows(1, kChangesDim, 2);
  std::unique_ptr<EmbeddingIndex> index_;
};

TEST_P(EmbeddingChangesTest, ANewItemIsFoundByTheNextSearchAndAfterTheRebuild) {
  Upsert(kChangesItems + 7, Near(10));
  EXPECT_THAT(Best(1), ElementsAre(kChangesItems + 7));
  Rebuild();
  EXPECT_EQ(index_->status().items, kChangesItems + 1);
  EXPECT_EQ(index_->status().changed_items, 0u);
  EXPECT_THAT(Best(1), ElementsAre(kChangesItems + 7));
}

TEST_P(EmbeddingChangesTest, AChangedItemIsWhereItIsNowAndNotWhereItWas) {
  const uint32_t best = Best(1)[0];
  Upsert(best, Near(-10));
  for (const bool rebuilt : {false, true}) {
    if (rebuilt) Rebuild();
    EXPECT_THAT(Best(kChangesItems / 2), ::testing::Not(::testing::Contains(best)));
    EXPECT_EQ(Best(kChangesItems).back(), best);
  }
  Upsert(best, Near(10));
  Upsert(best, Near(11));
  EXPECT_EQ(std::ranges::count(Best(kChangesItems), best), 1);
  EXPECT_EQ(Best(1)[0], best);
}

TEST_P(EmbeddingChangesTest, ARemovedVectorIsGoneAtOnceAndMayComeBack) {
  const uint32_t best = Best(1)[0];
  ASSERT_TRUE(index_->Remove(ItemIndex{best}).ok());
  EXPECT_TRUE(index_->Now().VectorOf(ItemIndex{best}).empty());
  for (const bool rebuilt : {false, true}) {
    if (rebuilt) Rebuild();
    const std::vector<uint32_t> all = Best(kChangesItems);
    EXPECT_EQ(all.size(), kChangesItems - 1);
    EXPECT_EQ(std::ranges::count(all, best), 0);
  }
  Upsert(best, Near(10));
  EXPECT_EQ(Best(1)[0], best);
}

TEST_P(EmbeddingChangesTest, ItemsThatTheCatalogueRemovedAreGoneAtOnceAndThePageIsFull) {
  Catalogue catalogue(kChangesItems);
  for (size_t i = 0; i < kChangesItems; ++i) catalogue.Add(std::to_string(i), "", "");
  catalogue.FinishLoading();
  ItemFilter listed;
  listed.RequireAvailable(catalogue, /*now_us=*/0);
  for (int round = 0; round < 20; ++round) {
    const std::vector<uint32_t> best = Best(50, listed);
    ASSERT_EQ(best.size(), 50u);
    for (const uint32_t item : best) {
      EXPECT_FALSE(catalogue.IsRemoved(ItemIndex{item}));
      catalogue.Remove(ItemIndex{item});
    }
  }
}

TEST_P(EmbeddingChangesTest, ANarrowCategoryStillFillsThePageAlsoFromChanges) {
  std::vector<uint32_t> category_of_item(kChangesItems + 100, 0);
  for (uint32_t i = 0; i < 30; ++i) category_of_item[i * 61] = 1;
  for (uint32_t i = 0; i < 30; ++i) {
    category_of_item[kChangesItems + i] = 1;
    Upsert(kChangesItems + i, Near(static_cast<float>(i)));
  }
  const std::vector<uint32_t> wanted = {1};
  ItemFilter filter;
  filter.RestrictToCategories(wanted, category_of_item);
  const std::vector<uint32_t> best = Best(60, filter);
  EXPECT_EQ(best.size(), 60u);
  EXPECT_EQ(best[0], kChangesItems + 29);
  for (const uint32_t item : best) EXPECT_EQ(category_of_item[item], 1u);
}

TEST_P(EmbeddingChangesTest, ManyChangesOfFewItemsTakeNoMoreRoomThanTheItems) {
  for (uint32_t i = 0; i < 1'000; ++i) Upsert(i % 3, Near(static_cast<float>(i)));
  EXPECT_EQ(index_->status().changed_items, 3u);
  EXPECT_FALSE(index_->WantsRebuild());
  EXPECT_THAT(Best(3), ElementsAre(0, 2, 1));  // 999, 998, 997
}

TEST_P(EmbeddingChangesTest, MoreChangesThanTheLimitAskForARebuildAndAreAllFoundMeanwhile) {
  for (uint32_t i = 0; i < 7; ++i) Upsert(i, Near(10 + static_cast<float>(i)));
  EXPECT_FALSE(index_->WantsRebuild());
  for (uint32_t i = 7; i < 100; ++i) Upsert(i, Near(10 + static_cast<float>(i)));
  EXPECT_TRUE(index_->WantsRebuild());
  std::vector<uint32_t> expected;
  for (uint32_t i = 100; i-- > 0;) expected.push_back(i);
  EXPECT_EQ(Best(100), expected);
  Rebuild();
  EXPECT_FALSE(index_->WantsRebuild());
  EXPECT_EQ(Best(100), expected);
}

TEST_P(EmbeddingChangesTest, WhatChangesDuringARebuildIsFoundAfterIt) {
  Upsert(1, Near(10));
  const absl::Status status = index_->Rebuild(1, [&](size_t done, size_t total) {
    if (done == total) {
      // More than a list of changes takes, so that the list is replaced under the rebuild.
      for (uint32_t i = 0; i < 40; ++i) Upsert(2 + i, Near(20 + static_cast<float>(i)));
      Upsert(1, Near(-10));
    }
    return true;
  });
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(index_->status().changed_items, 41u);
  EXPECT_EQ(Best(1)[0], 41u);
  EXPECT_EQ(Best(kChangesItems).back(), 1u);
}

TEST_P(EmbeddingChangesTest, ARebuildThatIsCancelledLeavesAllAsItWas) {
  Upsert(kChangesItems, Near(10));
  const absl::Status status = index_->Rebuild(1, [](size_t, size_t) { return false; });
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(index_->status().items, kChangesItems);
  EXPECT_THAT(Best(1), ElementsAre(kChangesItems));
}

TEST_P(EmbeddingChangesTest, AViewKeepsShowingWhatItShowed) {
  const EmbeddingIndex::View before = index_->Now();
  const std::vector<float> newer = Near(2);
  Upsert(5, newer);
  Upsert(kChangesItems, newer);
  const EmbeddingIndex::View after = index_->Now();
  Rebuild();
  EXPECT_TRUE(std::ranges::equal(before.VectorOf(ItemIndex{5}),
                                 std::span(rows_).subspan(5 * kChangesDim, kChangesDim)));
  EXPECT_THAT(before.VectorOf(ItemIndex{kChangesItems}), IsEmpty());
  for (const EmbeddingIndex::View* view : {&after}) {
    EXPECT_TRUE(std::ranges::equal(view->VectorOf(ItemIndex{5}), newer));
    EXPECT_TRUE(std::ranges::equal(view->VectorOf(ItemIndex{kChangesItems}), newer));
  }
  EXPECT_TRUE(std::ranges::equal(index_->Now().VectorOf(ItemIndex{kChangesItems}), newer));
}

TEST_P(EmbeddingChangesTest, WhatIsNoVectorOrNoItemIsRefused) {
  std::vector<float> bad = Near(1);
  EXPECT_THAT(std::string(index_->Upsert(ItemIndex{1}, std::span(bad).first(3)).message()),
              HasSubstr("must be 16"));
  bad[3] = std::nanf("");
  EXPECT_EQ(index_->Upsert(ItemIndex{1}, bad).code(), absl::StatusCode::kInvalidArgument);
  const absl::Status status = index_->Upsert(ItemIndex{kChangesItems + 100}, Near(1));
  EXPECT_EQ(status.code(), absl::StatusCode::kOutOfRange);
  EXPECT_THAT(std::string(status.message()), HasSubstr("graph.new_items_max"));
  EXPECT_EQ(index_->status().changed_items, 0u);
}

// An item moves between the first and the last place, is never gone and never there twice, and what
// does not move is always there, while the index is replaced several times.
TEST_P(EmbeddingChangesTest, SearchesBesideChangesAndRebuildsSeeOneStateEach) {
  Upsert(1, Near(10));
  Upsert(2, Near(9));
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0};
  const auto search = [&] {
    while (!stop) {
      const std::vector<uint32_t> best = Best(3);
      const bool right = best.size() == 3 && std::ranges::count(best, 2u) == 1 &&
                         std::ranges::count(best, 1u) == 1;
      if (!right) ++wrong;
    }
  };
  std::thread first(search);
  std::thread second(search);
  std::thread writer([&] {
    for (uint32_t i = 0; !stop; ++i) {
      Upsert(1, Near(i % 2 == 0 ? 8 : 10));
      Upsert(kChangesItems + i % 50, Near(-1));
    }
  });
  for (int i = 0; i < Rounds(3); ++i) Rebuild();
  stop = true;
  first.join();
  second.join();
  writer.join();
  EXPECT_EQ(wrong, 0);
}

INSTANTIATE_TEST_SUITE_P(Kinds, EmbeddingChangesTest,
                         ::testing::Values("Flat", "IVF16,Int8", "IVF16,Flat", "IVF16,SQ8",
                                           "IVF16,PQ8x4np", "HNSW16", "IVF16,PQ8x4fs"),
                         [](const auto& suite) {
                           std::string name = suite.param;
                           std::ranges::replace(name, ',', '_');
                           return name;
                         });

TEST(EmbeddingIndexGrowthTest, AnEmptyCatalogueThatGrowsGetsAnIndexWhenItIsLargeEnough) {
  auto built = EmbeddingIndex::Build({}, kChangesDim,
                                     {.flat_max_items = 500,
                                      .factory = "IVF8,Flat",
                                      .nprobe = 8,
                                      .changes_max = 100,
                                      .items_max = 1'000});
  ASSERT_TRUE(built.ok()) << built.status();
  EmbeddingIndex& index = **built;
  const std::vector<float> rows = RandomRows(1'000, kChangesDim, 4);
  const ItemFilter everything;
  for (uint32_t i = 0; i < 1'000; ++i) {
    const auto row = std::span(rows).subspan(i * kChangesDim, kChangesDim);
    ASSERT_TRUE(index.Upsert(ItemIndex{i}, row).ok());
    if (!index.WantsRebuild()) continue;
    ASSERT_TRUE(index.Rebuild(1, nullptr).ok());
    EXPECT_EQ(index.status().kind, i < 500 ? "Flat" : "IVF8,Flat");
    const auto found =
        index.Retrieve({.vector = row, .filter = everything, .count = size_t{i} + 1});
    ASSERT_TRUE(found.ok());
    EXPECT_EQ(found->size(), i + 1);
  }
}

TEST(EmbeddingIndexGrowthTest, AKindThatCannotBeTrainedOnTooFewItemsIsAnErrorAndTheOldOneStays) {
  const std::vector<float> rows = RandomRows(20, kChangesDim, 4);
  auto built = EmbeddingIndex::Build(
      rows, kChangesDim,
      {.flat_max_items = 20, .factory = "IVF64,Flat", .nprobe = 8, .items_max = 100});
  ASSERT_TRUE(built.ok()) << built.status();
  EmbeddingIndex& index = **built;
  ASSERT_TRUE(index.Upsert(ItemIndex{20}, std::span(rows).first(kChangesDim)).ok());
  const absl::Status status = index.Rebuild(1, nullptr);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("retrieval.factory \"IVF64,Flat\""));
  EXPECT_EQ(index.status().kind, "Flat");
  EXPECT_EQ(index.status().changed_items, 1u);
}

TEST(EmbeddingIndexGrowthTest, AFactoryThatIsNoneIsRefusedHoweverSmallTheCatalogue) {
  const absl::Status status =
      EmbeddingIndex::Build({}, kChangesDim, {.factory = "Wishful42"}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("retrieval.factory \"Wishful42\""));
}

TEST(DefaultIndexKindTest, EverySizeGetsAKindThatThereIs) {
  for (const size_t items : {1, 1'000, 50'001, 1'000'000, 100'000'000}) {
    const IndexKind kind = DefaultIndexKind(items);
    EXPECT_TRUE(CheckFactory(kind.factory, 64).ok()) << kind.factory;
    EXPECT_GT(kind.nprobe, 0u);
  }
}

}  // namespace
}  // namespace groundswell
