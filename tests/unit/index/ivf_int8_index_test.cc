#include "index/vectors/ivf_int8_index.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <random>
#include <utility>

#include "index/vectors/faiss_index.h"
#include "tests/support/random_rows.h"

namespace groundswell {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Vectors around `centres` points, and their exact order by a query: slow and obvious.
struct ClusteredVectors {
  ClusteredVectors(size_t items, size_t dim_of_all, size_t centres) : dim(dim_of_all) {
    const std::vector<float> centre = RandomRows(centres, dim, 50);
    rows = RandomRows(items, dim, 51);
    for (size_t i = 0; i < rows.size(); ++i) {
      rows[i] = .5f * rows[i] + centre[i / dim % centres * dim + i % dim];
    }
    queries = RandomRows(10, dim, 52);
    for (size_t i = 0; i < queries.size(); ++i) {
      queries[i] = .5f * queries[i] + centre[i / dim % centres * dim + i % dim];
    }
    vectors = std::make_unique<ItemVectors>(*ItemVectors::Create(rows, dim));
  }

  std::span<const float> Query(size_t i) const { return std::span(queries).subspan(i * dim, dim); }
  template <typename Admits>
  std::vector<uint32_t> Best(std::span<const float> query, size_t count,
                             const Admits& admits) const {
    std::vector<std::pair<double, uint32_t>> scored;
    for (uint32_t i = 0; i < rows.size() / dim; ++i) {
      double score = 0;
      for (size_t d = 0; d < dim; ++d) score += double{query[d]} * rows[i * dim + d];
      if (admits(i)) scored.emplace_back(-score, i);
    }
    std::ranges::sort(scored);
    std::vector<uint32_t> items;
    for (size_t i = 0; i < std::min(count, scored.size()); ++i) items.push_back(scored[i].second);
    std::ranges::sort(items);
    return items;
  }
  std::vector<uint32_t> Best(std::span<const float> query, size_t count) const {
    return Best(query, count, [](uint32_t) { return true; });
  }

  size_t dim;
  std::vector<float> rows;
  std::vector<float> queries;
  std::unique_ptr<ItemVectors> vectors;
};

std::vector<ApproximateIndex::Hit> HitsOf(const ApproximateIndex& index,
                                          std::span<const float> query, size_t fetch,
                                          const AdmittedItems* admitted = nullptr,
                                          double widening = 1) {
  std::vector<ApproximateIndex::Hit> hits = {{ItemIndex{77'777}, 0}};  // of a search before
  EXPECT_TRUE(index.Search(query, fetch, admitted, widening, hits).ok());
  return hits;
}

// The `count` best of them, by number.
std::vector<uint32_t> BestHits(std::vector<ApproximateIndex::Hit> hits, size_t count) {
  std::ranges::sort(hits, [](const auto& a, const auto& b) {
    return a.score != b.score ? a.score > b.score : a.item < b.item;
  });
  hits.resize(std::min(hits.size(), count));
  std::vector<uint32_t> items;
  for (const auto& hit : hits) items.push_back(ToInt(hit.item));
  std::ranges::sort(items);
  return items;
}

size_t Common(const std::vector<uint32_t>& a, const std::vector<uint32_t>& b) {
  std::vector<uint32_t> both;
  std::ranges::set_intersection(a, b, std::back_inserter(both));
  return both.size();
}

std::unique_ptr<IvfInt8Index> BuiltOf(const ClusteredVectors& data, size_t lists, size_t nprobe) {
  auto index = IvfInt8Index::Build(*data.vectors, {.lists = lists, .nprobe = nprobe});
  EXPECT_TRUE(index.ok()) << index.status();
  return *std::move(index);
}

TEST(IvfInt8IndexTest, OfTheBestMoreThanNinetyNineInAHundredAreFound) {
  const ClusteredVectors data(20'000, 64, 100);
  const auto index = BuiltOf(data, 128, 24);
  size_t found = 0;
  for (size_t i = 0; i < 10; ++i) {
    const auto hits = HitsOf(*index, data.Query(i), 200);
    EXPECT_GE(hits.size(), 200u);
    EXPECT_LE(hits.size(), 240u);
    found += Common(BestHits(hits, 200), data.Best(data.Query(i), 200));
  }
  EXPECT_GE(found, 1'980u);
}

TEST(IvfInt8IndexTest, AllListsOfWhateverLengthFindAlmostAll) {
  for (const size_t dim : {1, 2, 3, 5, 17, 63, 65, 130}) {
    const ClusteredVectors data(700, dim, 10);
    const auto index = BuiltOf(data, 16, 16);
    size_t found = 0;
    for (size_t i = 0; i < 10; ++i) {
      found +=
          Common(BestHits(HitsOf(*index, data.Query(i), 100), 100), data.Best(data.Query(i), 100));
    }
    EXPECT_GE(found, 990u) << "dim " << dim;
  }
}

TEST(IvfInt8IndexTest, ScoresAreThoseOfTheExactVectorsToTheBit) {
  const ClusteredVectors data(900, 19, 10);
  const auto index = BuiltOf(data, 16, 4);
  const auto hits = HitsOf(*index, data.Query(0), 50);
  ASSERT_FALSE(hits.empty());
  for (const auto& [item, score] : hits) {
    float exact = 0;
    InnerProducts(data.Query(0), data.vectors->Of(item).data(), {&exact, 1});
    EXPECT_EQ(score, exact);
  }
}

TEST(IvfInt8IndexTest, ListsWithOneVectorOrNoneAreVisitedLikeOthers) {
  const ClusteredVectors data(40, 8, 4);
  // Lists 0, 3 and 9 stay empty; 1 and 2 have one vector, 5 has 17, the others what is left.
  std::vector<uint32_t> list_of_row = {1, 2};
  while (list_of_row.size() < 19) list_of_row.push_back(5);
  while (list_of_row.size() < 40) list_of_row.push_back(list_of_row.size() % 2 == 0 ? 4 : 8);
  for (const size_t nprobe : {1, 3, 9, 10, 99}) {
    const IvfInt8Index index(*data.vectors, list_of_row, 10, nprobe);
    const auto hits = HitsOf(index, data.Query(0), 40);
    for (const auto& hit : hits) EXPECT_LT(ToInt(hit.item), 40u);
    const size_t found = BestHits(hits, 40).size();
    EXPECT_LE(found, hits.size());
    if (nprobe >= 10) {
      EXPECT_EQ(BestHits(hits, 40), data.Best(data.Query(0), 40));
    }
  }
  EXPECT_EQ(IvfInt8Index(*data.vectors, list_of_row, 10, 99).share_visited(), 1);
}

TEST(IvfInt8IndexTest, WithoutItemsNothingIsFound) {
  const ItemVectors none = *ItemVectors::Create({}, 8);
  const IvfInt8Index index(none, {}, 4, 2);
  EXPECT_THAT(HitsOf(index, std::vector<float>(8, 1.f), 10), IsEmpty());
}

TEST(IvfInt8IndexTest, AFilterLeavesTheBestOfWhatItAdmits) {
  const ClusteredVectors data(5'000, 32, 20);
  const auto index = BuiltOf(data, 32, 32);
  const VectorChanges changes(0, 0, 32);
  std::vector<uint32_t> category_of_item(5'000);
  for (const uint32_t one_in : {2, 7, 100, 6'000}) {
    for (uint32_t i = 0; i < 5'000; ++i) category_of_item[i] = i % one_in == 1 ? 1 : 0;
    ItemFilter filter;
    const std::vector<uint32_t> wanted = {1};
    filter.RestrictToCategories(wanted, category_of_item);
    const AdmittedItems admitted{.filter = filter, .changes = changes};
    for (size_t q = 0; q < 5; ++q) {
      const auto best =
          data.Best(data.Query(q), 60, [&](uint32_t i) { return category_of_item[i] == 1; });
      const auto hits = HitsOf(*index, data.Query(q), 60, &admitted, 1);
      for (const auto& hit : hits) EXPECT_EQ(category_of_item[ToInt(hit.item)], 1u);
      EXPECT_GE(Common(BestHits(hits, 60), best) + 1, best.size()) << "one in " << one_in;
    }
  }
}

TEST(IvfInt8IndexTest, AFilterAgainstTheBestStillFills) {
  const ClusteredVectors data(3'000, 32, 20);
  const auto index = BuiltOf(data, 32, 32);
  std::vector<ItemIndex> best;
  for (const uint32_t item : data.Best(data.Query(0), 2'900)) best.push_back(ItemIndex{item});
  ItemFilter filter;
  filter.Exclude(best);
  const VectorChanges changes(0, 0, 32);
  const AdmittedItems admitted{.filter = filter, .changes = changes};
  EXPECT_EQ(HitsOf(*index, data.Query(0), 50, &admitted, 1).size(), 100u) << "all there are";
}

TEST(IvfInt8IndexTest, ChangedVectorsAreLeftToWhoHasTheNewOnes) {
  const ClusteredVectors data(500, 16, 5);
  const auto index = BuiltOf(data, 8, 8);
  VectorChanges changes(10, 500, 16);
  const std::vector<uint32_t> best = data.Best(data.Query(0), 20);
  ASSERT_TRUE(changes.Append(ItemIndex{best[3]}, data.Query(0), 0));
  const ItemFilter filter;
  const AdmittedItems admitted{.filter = filter, .changes = changes, .n = 1};
  const auto hits = HitsOf(*index, data.Query(0), 20, &admitted);
  EXPECT_GE(hits.size(), 20u);
  for (const auto& hit : hits) EXPECT_NE(ToInt(hit.item), best[3]);
}

TEST(IvfInt8IndexTest, WideningVisitsMoreLists) {
  const ClusteredVectors data(2'000, 16, 50);
  const auto index = BuiltOf(data, 50, 2);
  EXPECT_DOUBLE_EQ(index->share_visited(), .04);
  const auto narrow = HitsOf(*index, data.Query(0), 2'000);
  EXPECT_LT(narrow.size(), 500u);
  EXPECT_GT(HitsOf(*index, data.Query(0), 2'000, nullptr, 4).size(), narrow.size());
  EXPECT_EQ(HitsOf(*index, data.Query(0), 2'000, nullptr, 1e9).size(), 2'000u);
}

TEST(IvfInt8IndexTest, BuiltAgainItAnswersTheSame) {
  const ClusteredVectors data(3'000, 24, 20);
  const auto one = BuiltOf(data, 32, 5);
  const auto other = BuiltOf(data, 32, 5);
  for (size_t q = 0; q < 10; ++q) {
    const auto a = HitsOf(*one, data.Query(q), 100);
    const auto b = HitsOf(*other, data.Query(q), 100);
    EXPECT_TRUE(std::ranges::equal(
        a, b, [](const auto& x, const auto& y) { return x.item == y.item && x.score == y.score; }));
  }
}

TEST(IvfInt8IndexTest, TakesAThirdOfTheBytesOfTheVectors) {
  const ClusteredVectors data(20'000, 64, 100);
  const auto index = BuiltOf(data, 64, 8);
  EXPECT_GT(index->bytes(), 20'000u * 64);
  EXPECT_LT(index->bytes(), 20'000u * 64 * 4 / 3);
}

TEST(IvfInt8IndexTest, BuildingEndsWhenProgressSaysSo) {
  const ClusteredVectors data(500, 8, 5);
  size_t calls = 0;
  const auto refuse_second = [&](size_t, size_t total) {
    EXPECT_EQ(total, 500u);
    return ++calls < 2;
  };
  EXPECT_TRUE(
      absl::IsCancelled(IvfInt8Index::Build(*data.vectors, {.lists = 4}, refuse_second).status()));
}

// The clustering is most of the work of a large catalogue, in one call of FAISS. A rotation alone
// (OPQ4,Flat) clusters for minutes.
TEST(IvfInt8IndexTest, BuildingEndsWhileItIsTrained) {
  const ClusteredVectors data(500, 8, 5);
  size_t calls = 0;
  const auto refuse_fifth = [&](size_t done, size_t) {
    EXPECT_EQ(done, 0u) << "the lists are clustered already";
    return ++calls % 5 != 0;
  };
  EXPECT_TRUE(
      absl::IsCancelled(IvfInt8Index::Build(*data.vectors, {.lists = 4}, refuse_fifth).status()));
  for (const char* factory : {"IVF4,Flat", "IVF4_HNSW8,Flat", "IVF4,PQ4x4", "PQ4x4", "PQ4x4,RFlat",
                              "OPQ4,Flat", "OPQ4_8,IVF4,Flat", "OPQ2,PQ4x4,RFlat"}) {
    const auto built = FaissIndex::Build(*data.vectors, {.factory = factory}, refuse_fifth);
    EXPECT_TRUE(absl::IsCancelled(built.status())) << factory << ": " << built.status();
  }
  EXPECT_EQ(calls, 45u);
}

TEST(IvfInt8IndexTest, ListsAreReadFromTheSetting) {
  EXPECT_EQ(*IvfInt8Index::ListsOf("IVF1024,Int8"), 1'024u);
  EXPECT_EQ(*IvfInt8Index::ListsOf("IVF1,Int8"), 1u);
  for (const char* other : {"IVF1024,Flat", "HNSW32", "", "Int8", "IVF1024", "ivf16,Int8"}) {
    EXPECT_EQ(*IvfInt8Index::ListsOf(other), std::nullopt) << other;
  }
  for (const char* wrong : {"IVF0,Int8", "IVF,Int8", "IVF-4,Int8", "IVF1x,Int8", "IVF1000001,Int8",
                            "IVF99999999999999999999999,Int8"}) {
    const absl::Status status = IvfInt8Index::ListsOf(wrong).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << wrong;
    EXPECT_THAT(std::string(status.message()), HasSubstr(std::string("\"") + wrong + "\""));
  }
}

}  // namespace
}  // namespace groundswell
