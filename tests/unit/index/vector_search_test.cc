#include "index/vectors/vector_search.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "index/vectors/embedding_index.h"
#include "index/vectors/faiss_index.h"
#include "index/vectors/ivf_int8_index.h"
#include "tests/support/random_rows.h"

namespace groundswell {
namespace {

constexpr size_t kSearchDim = 16;
constexpr size_t kSearchItems = 20'000;

// One index of each way to search, made once.
class PlanSearchTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    rows_ = new std::vector<float>(RandomRows(kSearchItems, kSearchDim, 1));
    vectors_ = new ItemVectors(*ItemVectors::Create(*rows_, kSearchDim));
    ivf_ = FaissIndex::Build(*vectors_, {.factory = "IVF64,Flat", .nprobe = 4})->release();
    int8_ = IvfInt8Index::Build(*vectors_, {.lists = 64, .nprobe = 4})->release();
    packed_ = FaissIndex::Build(*vectors_, {.factory = "IVF64,PQ8x4fs", .nprobe = 4})->release();
  }
  static void TearDownTestSuite() {
    delete ivf_;
    delete int8_;
    delete packed_;
    delete vectors_;
    delete rows_;
  }

  SearchPlan Plan(const ApproximateIndex* index, const ItemFilter& filter,
                  size_t count = 100) const {
    return PlanSearch(
        {.vectors = *vectors_,
         .index = index,
         .changes = changes_,
         .n = changes_.size(),
         .rescore_factor = 4},
        {.vector = std::span(*rows_).first(kSearchDim), .filter = filter, .count = count});
  }
  // Admits each item whose number divided by 1,000 leaves less than `per_mille`.
  ItemFilter Admitting(uint32_t per_mille) {
    category_of_item_.resize(kSearchItems);
    for (uint32_t i = 0; i < kSearchItems; ++i)
      category_of_item_[i] = i % 1'000 < per_mille ? 1 : 0;
    ItemFilter filter;
    filter.RestrictToCategories(wanted_, category_of_item_);
    return filter;
  }

  static inline const std::vector<float>* rows_ = nullptr;
  static inline const ItemVectors* vectors_ = nullptr;
  static inline const FaissIndex* ivf_ = nullptr;
  static inline const FaissIndex* packed_ = nullptr;
  static inline const IvfInt8Index* int8_ = nullptr;
  VectorChanges changes_{1'000, kSearchItems, kSearchDim};
  std::vector<uint32_t> category_of_item_;
  const std::vector<uint32_t> wanted_ = {1};
};

TEST_F(PlanSearchTest, WithoutAFilterTheIndexIsAskedForWhatIsWanted) {
  const SearchPlan plan = Plan(ivf_, {});
  EXPECT_FALSE(plan.scan);
  EXPECT_FALSE(plan.filter_inside);
  EXPECT_EQ(plan.fetch, 100u);
  EXPECT_EQ(plan.widening, 1);
  EXPECT_EQ(Plan(packed_, {}).fetch, 400u) << "to be scored again";
}

TEST_F(PlanSearchTest, WithoutAnIndexThereIsNothingButTheScan) {
  EXPECT_TRUE(Plan(nullptr, {}).scan);
}

TEST_F(PlanSearchTest, FewItemsToLeaveOutAreFetchedAndLeftOut) {
  const std::vector<ItemIndex> seen(40, ItemIndex{7});
  ItemFilter filter;
  filter.Exclude(seen);
  changes_.Append(ItemIndex{3}, std::span(*rows_).first(kSearchDim), 0);
  const SearchPlan plan = Plan(ivf_, filter);
  EXPECT_FALSE(plan.filter_inside);
  EXPECT_EQ(plan.fetch, 100u + 40 + 1);
}

TEST_F(PlanSearchTest, AWideFilterWidensTheSearchAndFetchesSomeMore) {
  const SearchPlan plan = Plan(ivf_, Admitting(500));
  EXPECT_FALSE(plan.scan);
  EXPECT_NEAR(plan.widening, 2, .5);
  EXPECT_GE(plan.fetch, 200u);
  EXPECT_LE(plan.fetch, 350u);
  EXPECT_GE(Plan(packed_, Admitting(500)).fetch, 800u);
}

TEST_F(PlanSearchTest, AnIndexThatAsksTheFilterAboutTheBestIsGivenIt) {
  EXPECT_FALSE(Plan(int8_, {}).filter_inside) << "there is nothing to ask";
  EXPECT_EQ(Plan(int8_, {}).fetch, 100u);
  const std::vector<ItemIndex> seen(40, ItemIndex{7});
  ItemFilter unseen;
  unseen.Exclude(seen);
  EXPECT_TRUE(Plan(int8_, unseen).filter_inside);
  EXPECT_EQ(Plan(int8_, unseen).fetch, 100u);
  EXPECT_EQ(Plan(int8_, unseen).widening, 1);
  const SearchPlan wide = Plan(int8_, Admitting(500));
  EXPECT_TRUE(wide.filter_inside);
  EXPECT_EQ(wide.fetch, 100u);
  EXPECT_NEAR(wide.widening, 2, .5);
  EXPECT_FALSE(Plan(int8_, Admitting(150)).scan);
  EXPECT_TRUE(Plan(int8_, Admitting(50)).scan) << "most lists would be visited";
  EXPECT_TRUE(Plan(int8_, Admitting(0)).scan);
}

TEST_F(PlanSearchTest, AFilterAgainstTheQuerysNeighboursIsAskedInsideTheSearch) {
  // Half of the items, but not one of those that the query is nearest to.
  const std::span<const float> query = std::span(*rows_).first(kSearchDim);
  std::vector<std::pair<float, uint32_t>> nearest;
  for (uint32_t i = 0; i < kSearchItems; ++i) {
    float score = 0;
    InnerProducts(query, rows_->data() + i * kSearchDim, {&score, 1});
    nearest.emplace_back(score, i);
  }
  std::ranges::sort(nearest);
  category_of_item_.assign(kSearchItems, 0);
  for (size_t i = 0; i < kSearchItems / 2; ++i) category_of_item_[nearest[i].second] = 1;
  ItemFilter filter;
  filter.RestrictToCategories(wanted_, category_of_item_);
  const SearchedVectors searched{.vectors = *vectors_, .index = ivf_, .changes = changes_};
  const CandidateQuery asked{.vector = query, .filter = filter, .count = 100};
  EXPECT_FALSE(PlanSearch(searched, asked).scan);
  const auto found = SearchVectors(searched, asked);
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_EQ(found->size(), 100u);
  for (const Candidate& candidate : *found) {
    EXPECT_EQ(category_of_item_[ToInt(candidate.item)], 1u);
  }
}

// Of many rows at once each has the same bits as alone, wherever it stands among them.
TEST_F(PlanSearchTest, AnInnerProductIsTheSameBesideOthers) {
  const std::span<const float> query = std::span(*rows_).first(kSearchDim);
  for (const size_t count : {1, 7, 8, 9, 100}) {
    std::vector<float> scores(count);
    InnerProducts(query, rows_->data(), scores);
    for (size_t i = 0; i < count; ++i) {
      float alone = 0;
      InnerProducts(query, rows_->data() + i * kSearchDim, {&alone, 1});
      EXPECT_EQ(scores[i], alone) << i << " of " << count;
    }
  }
}

TEST_F(PlanSearchTest, ANarrowFilterScansWhatItAdmits) {
  EXPECT_TRUE(Plan(ivf_, Admitting(50)).scan);
  EXPECT_TRUE(Plan(packed_, Admitting(50)).scan);
  EXPECT_TRUE(Plan(ivf_, Admitting(0)).scan);
}

TEST_F(PlanSearchTest, ThePatternOfTheNumbersDoesNotDeceiveTheSample) {
  category_of_item_.resize(kSearchItems);
  for (const uint32_t period : {2u, 3u, 4u, 8u, 16u, 256u}) {
    for (uint32_t i = 0; i < kSearchItems; ++i) category_of_item_[i] = i % period == 0 ? 1 : 0;
    ItemFilter filter;
    filter.RestrictToCategories(wanted_, category_of_item_);
    const SearchPlan plan = Plan(ivf_, filter);
    if (plan.scan) {
      EXPECT_GE(period, 3u);
    } else {
      EXPECT_NEAR(plan.widening, period, .35 * period);
    }
  }
}

TEST(RescoringTest, TheExactVectorsChooseAmongWhatTheCompressedOnesFound) {
  constexpr size_t kFew = 2'000;
  const std::vector<float> rows = RandomRows(kFew, kSearchDim, 1);
  const auto build = [&](const char* factory, size_t rescore_factor) {
    auto index = EmbeddingIndex::Build(
        rows, kSearchDim,
        {.flat_max_items = 0, .factory = factory, .nprobe = 16, .rescore_factor = rescore_factor});
    EXPECT_TRUE(index.ok()) << index.status();
    return *std::move(index);
  };
  const auto flat = build("Flat", 1);
  const ItemFilter everything;
  for (const char* factory : {"IVF16,PQ8x4np", "IVF16,SQ4", "IVF16,PQ8x4fs"}) {
    const auto once = build(factory, 1);
    const auto all = build(factory, kFew / 50);
    size_t missed = 0;
    for (uint32_t seed = 10; seed < 20; ++seed) {
      const std::vector<float> query = RandomRows(1, kSearchDim, seed);
      const CandidateQuery asked{.vector = query, .filter = everything, .count = 50};
      const auto exact = flat->Retrieve(asked);
      const auto best = all->Retrieve(asked);
      const auto rough = once->Retrieve(asked);
      ASSERT_TRUE(exact.ok() && best.ok() && rough.ok());
      for (size_t i = 0; i < exact->size(); ++i) {
        ASSERT_EQ((*best)[i].item, (*exact)[i].item) << factory;
        ASSERT_EQ((*best)[i].score, (*exact)[i].score) << factory;
        missed += (*rough)[i].item == (*exact)[i].item ? 0 : 1;
      }
    }
    EXPECT_GT(missed, 0u) << factory << " loses nothing, so that there was nothing to test";
  }
}

}  // namespace
}  // namespace groundswell
