#include "index/vectors/embedding_index.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <set>
#include <thread>

#include "index/vectors/faiss_index.h"
#include "models/embedding_range.h"
#include "tests/support/random_rows.h"
#include "tests/unit/index/items_of.h"

namespace groundswell {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr size_t kIndexDim = 16;
constexpr size_t kIndexItems = 2'000;

EmbeddingIndex::Options Kind(std::string factory) {
  return {.flat_max_items = 0, .factory = std::move(factory), .nprobe = 4, .ef_search = 64};
}

std::unique_ptr<EmbeddingIndex> BuildOrDie(std::span<const float> rows,
                                           const EmbeddingIndex::Options& options) {
  auto source = EmbeddingIndex::Build(rows, kIndexDim, options);
  EXPECT_TRUE(source.ok()) << source.status();
  return std::move(source).value();
}

// Every item that `filter` admits, best first: slow and obvious.
std::vector<uint32_t> Oracle(std::span<const float> rows, std::span<const float> query,
                             const ItemFilter& filter, size_t count) {
  std::vector<std::pair<double, uint32_t>> scored;
  for (uint32_t i = 0; i < rows.size() / kIndexDim; ++i) {
    if (!filter.Admits(static_cast<ItemIndex>(i))) continue;
    double score = 0;
    for (size_t d = 0; d < kIndexDim; ++d) score += double{query[d]} * rows[i * kIndexDim + d];
    scored.emplace_back(-score, i);
  }
  std::ranges::sort(scored);
  std::vector<uint32_t> items;
  for (size_t i = 0; i < std::min(count, scored.size()); ++i) items.push_back(scored[i].second);
  return items;
}

TEST(EmbeddingIndexBuildTest, RefusesAMatrixThatIsNoMatrix) {
  const std::vector<float> rows(kIndexDim + 1);
  EXPECT_EQ(EmbeddingIndex::Build(rows, kIndexDim, {}).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(EmbeddingIndex::Build(rows, 0, {}).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(EmbeddingIndexBuildTest, RefusesNumbersThatAreNotFiniteAndNamesTheRow) {
  std::vector<float> rows = RandomRows(5, kIndexDim);
  rows[3 * kIndexDim + 2] = std::numeric_limits<float>::infinity();
  const absl::Status status = EmbeddingIndex::Build(rows, kIndexDim, {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("row 3"));
}

TEST(EmbeddingIndexBuildTest, AFactoryThatFaissDoesNotKnowIsAnErrorThatNamesIt) {
  const std::vector<float> rows = RandomRows(50, kIndexDim);
  for (const char* factory :
       {"Wishful42", "", "IVF0,Flat", "IVF64,PQ5", "LSH", "HNSW0", "HNSW1,Flat", "PQ0",
        "IVF16,PQ0x4fs", "IVF8_HNSW0,Flat", "NSG16", "HNSW999999999", "IVF0,Int8", "Int8"}) {
    const absl::Status status = EmbeddingIndex::Build(rows, kIndexDim, Kind(factory)).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << factory;
    EXPECT_THAT(status.message(), HasSubstr(std::string("\"") + factory + "\"")) << factory;
  }
}

TEST(EmbeddingIndexBuildTest, TooFewItemsForTheListsIsAnError) {
  const std::vector<float> rows = RandomRows(50, kIndexDim);
  for (const char* factory : {"IVF64,Flat", "IVF64,Int8"}) {
    const absl::Status status = EmbeddingIndex::Build(rows, kIndexDim, Kind(factory)).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(status.message(), HasSubstr("50 items"));
    EXPECT_THAT(status.message(), HasSubstr(std::string("\"") + factory + "\""));
  }
}

TEST(EmbeddingIndexBuildTest, AnEmptyCatalogueAnswersNothing) {
  const auto source = BuildOrDie({}, {});
  const std::vector<float> query(kIndexDim, 1.f);
  EXPECT_THAT(source->Retrieve({query, ItemFilter(), 10}).value(), IsEmpty());
}

TEST(EmbeddingIndexBuildTest, TheFactoryIsUsedAboveTheLimitOnly) {
  const std::vector<float> rows = RandomRows(100, kIndexDim);
  EmbeddingIndex::Options options = Kind("IVF8,Flat");
  options.flat_max_items = 100;
  EXPECT_EQ(BuildOrDie(rows, options)->status().kind, "Flat");
  options.flat_max_items = 99;
  EXPECT_EQ(BuildOrDie(rows, options)->status().kind, "IVF8,Flat");
}

TEST(EmbeddingIndexBuildTest, ProgressEndsAtTheLastItem) {
  const std::vector<float> rows = RandomRows(100, kIndexDim);
  std::vector<std::pair<size_t, size_t>> seen;
  const auto source =
      EmbeddingIndex::Build(rows, kIndexDim, {}, 1, [&seen](size_t done, size_t total) {
        seen.emplace_back(done, total);
        return true;
      });
  ASSERT_TRUE(source.ok());
  EXPECT_THAT(seen, ElementsAre(std::pair<size_t, size_t>(100, 100)));
}

TEST(EmbeddingIndexBuildTest, TellsWhatFaissWasCompiledFor) {
  EXPECT_THAT(FaissIndex::Simd(), ::testing::MatchesRegex("GENERIC|AVX2|AVX512|NEON"));
}

class EmbeddingIndexTest : public ::testing::TestWithParam<const char*> {
 protected:
  EmbeddingIndexTest() : source_(BuildOrDie(rows_, Kind(GetParam()))) {}

  std::vector<Candidate> Retrieve(size_t count, const ItemFilter& filter = {}) {
    auto found = source_->Retrieve({query_, filter, count});
    EXPECT_TRUE(found.ok()) << found.status();
    return std::move(found).value();
  }
  // Leaves out all items but `admitted`.
  ItemFilter Only(const std::set<uint32_t>& admitted) {
    for (uint32_t i = 0; i < kIndexItems; ++i) {
      if (!admitted.contains(i)) excluded_.push_back(static_cast<ItemIndex>(i));
    }
    ItemFilter filter;
    filter.Exclude(excluded_);
    return filter;
  }

  const std::vector<float> rows_ = RandomRows(kIndexItems, kIndexDim);
  const std::vector<float> query_ = RandomRows(1, kIndexDim, 2);
  std::vector<ItemIndex> excluded_;
  std::unique_ptr<EmbeddingIndex> source_;
};

TEST_P(EmbeddingIndexTest, AQueryOfAnotherLengthIsRefused) {
  const std::vector<float> query(kIndexDim - 1);
  for (const std::span<const float> vector : {std::span<const float>(query), {}}) {
    const absl::Status status = source_->Retrieve({vector, ItemFilter(), 10}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(status.message(), HasSubstr("must be 16"));
  }
}

TEST_P(EmbeddingIndexTest, AQueryThatIsNotFiniteIsRefused) {
  for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
    std::vector<float> query = query_;
    query.back() = bad;
    EXPECT_EQ(source_->Retrieve({query, ItemFilter(), 10}).status().code(),
              absl::StatusCode::kInvalidArgument);
  }
}

TEST_P(EmbeddingIndexTest, TheLargestVectorsHaveFiniteScoresAndLargerOnesAreRefused) {
  const std::vector<float> largest(kIndexDim, kEmbeddingNumberMax);
  const auto found = source_->Retrieve({largest, ItemFilter(), 10});
  ASSERT_TRUE(found.ok());
  for (const Candidate& candidate : *found) EXPECT_TRUE(std::isfinite(candidate.score));
  const std::vector<float> larger(kIndexDim, std::numeric_limits<float>::max());
  EXPECT_TRUE(absl::IsInvalidArgument(source_->Retrieve({larger, ItemFilter(), 10}).status()));
}

TEST_P(EmbeddingIndexTest, AFilterThatAdmitsNothingAnswersNothing) {
  EXPECT_THAT(Retrieve(10, Only({})), IsEmpty());
}

TEST_P(EmbeddingIndexTest, ZeroAsksForNothing) { EXPECT_THAT(Retrieve(0), IsEmpty()); }

TEST_P(EmbeddingIndexTest, ANarrowFilterStillFills) {
  const ItemFilter filter = Only({17, 801, 1999});
  EXPECT_EQ(ItemsOf(Retrieve(10, filter)), Oracle(rows_, query_, filter, 10));
  EXPECT_EQ(ItemsOf(Retrieve(2, filter)), Oracle(rows_, query_, filter, 2));
}

TEST_P(EmbeddingIndexTest, AskingForMoreThanThereIsReturnsEverythingOnce) {
  for (const size_t count : {kIndexItems, kIndexItems + 1, size_t{10'000'000}}) {
    EXPECT_EQ(ItemsOf(Retrieve(count)), Oracle(rows_, query_, ItemFilter(), count));
  }
}

TEST_P(EmbeddingIndexTest, HalfTheItemsFilteredKeepsRecallAndOrder) {
  std::set<uint32_t> odd;
  for (uint32_t i = 1; i < kIndexItems; i += 2) odd.insert(i);
  const ItemFilter filter = Only(odd);
  const std::vector<Candidate> found = Retrieve(50, filter);
  ASSERT_EQ(found.size(), 50u);
  const std::vector<uint32_t> best = Oracle(rows_, query_, filter, 200);
  size_t good = 0;
  for (const uint32_t item : ItemsOf(found)) {
    EXPECT_TRUE(odd.contains(item));
    good += static_cast<size_t>(std::ranges::count(best, item));
  }
  EXPECT_GE(good, 25u);  // random vectors are the hardest case for every approximate index
  EXPECT_TRUE(std::ranges::is_sorted(found, [](const Candidate& a, const Candidate& b) {
    return a.score != b.score ? a.score > b.score : a.item < b.item;
  }));
}

TEST_P(EmbeddingIndexTest, ScoresAreTheInnerProduct) {
  for (const Candidate& candidate : Retrieve(20)) {
    double score = 0;
    for (size_t d = 0; d < kIndexDim; ++d) {
      score += double{query_[d]} * rows_[ToInt(candidate.item) * kIndexDim + d];
    }
    EXPECT_NEAR(candidate.score, score, 1e-4);
    EXPECT_EQ(candidate.sources, kFromEmbedding);
  }
}

TEST_P(EmbeddingIndexTest, ThreadsSearchAtOnceAndAgree) {
  const std::vector<uint32_t> alone = ItemsOf(Retrieve(50));
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 20; ++i) {
        EXPECT_EQ(ItemsOf(source_->Retrieve({query_, ItemFilter(), 50}).value()), alone);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

INSTANTIATE_TEST_SUITE_P(Kinds, EmbeddingIndexTest,
                         ::testing::Values("Flat", "IVF32,Int8", "IVF32,Flat", "IVF32,SQ8",
                                           "IVF32,PQ8np", "HNSW16", "IVF32,PQ8x4fs,RFlat",
                                           "PCA8,IVF32,Flat", "IVF64,PQ8x4fs", "SQ8"),
                         [](const auto& suite) {
                           std::string name = suite.param;
                           std::ranges::replace(name, ',', '_');
                           return name;
                         });

TEST(EmbeddingIndexAgreementTest, FullProbesAgreeWithFlat) {
  const std::vector<float> rows = RandomRows(kIndexItems, kIndexDim);
  EmbeddingIndex::Options all_lists = Kind("IVF32,Flat");
  all_lists.nprobe = 32;
  EmbeddingIndex::Options all_codes = Kind("IVF32,Int8");
  all_codes.nprobe = 32;
  EmbeddingIndex::Options wide_graph = Kind("HNSW16");
  wide_graph.ef_search = kIndexItems;
  const auto flat = BuildOrDie(rows, Kind("Flat"));
  const auto ivf = BuildOrDie(rows, all_lists);
  const auto int8 = BuildOrDie(rows, all_codes);
  const auto hnsw = BuildOrDie(rows, wide_graph);
  for (uint32_t seed = 10; seed < 15; ++seed) {
    const std::vector<float> query = RandomRows(1, kIndexDim, seed);
    const auto exact = ItemsOf(flat->Retrieve({query, ItemFilter(), 100}).value());
    EXPECT_EQ(exact, Oracle(rows, query, ItemFilter(), 100));
    EXPECT_EQ(ItemsOf(ivf->Retrieve({query, ItemFilter(), 100}).value()), exact);
    EXPECT_EQ(ItemsOf(int8->Retrieve({query, ItemFilter(), 100}).value()), exact);
    EXPECT_EQ(ItemsOf(hnsw->Retrieve({query, ItemFilter(), 100}).value()), exact);
  }
}

TEST(EmbeddingIndexAgreementTest, EqualScoresAreInTheOrderOfItems) {
  std::vector<float> rows(40 * kIndexDim, 1.f);
  std::fill(rows.begin() + 7 * kIndexDim, rows.begin() + 8 * kIndexDim, 2.f);
  const std::vector<float> query(kIndexDim, 1.f);
  for (const char* factory : {"Flat", "IVF2,Flat", "IVF2,Int8", "HNSW8"}) {
    const auto found = ItemsOf(BuildOrDie(rows, Kind(factory))->Retrieve({query, {}, 40}).value());
    ASSERT_EQ(found.size(), 40u) << factory;
    EXPECT_EQ(found.front(), 7u) << factory;
    EXPECT_TRUE(std::is_sorted(found.begin() + 1, found.end())) << factory;
  }
}

}  // namespace
}  // namespace groundswell
