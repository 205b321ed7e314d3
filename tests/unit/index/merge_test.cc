#include "index/merge.h"

#include <gmock/gmock.h>

#include <vector>

namespace groundswell {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

using Lists = std::vector<std::vector<Candidate>>;

Candidate Of(uint32_t item, float score, uint32_t sources) {
  return {static_cast<ItemIndex>(item), score, sources};
}

MATCHER_P3(Is, item, score, sources, "") {
  return ToInt(arg.item) == static_cast<uint32_t>(item) &&
         std::abs(arg.score - static_cast<float>(score)) < 1e-6f &&
         arg.sources == static_cast<uint32_t>(sources);
}

TEST(MergeTest, NothingMergesToNothing) {
  EXPECT_THAT(MergeCandidates({}, 10), IsEmpty());
  const Lists empty(2);
  EXPECT_THAT(MergeCandidates(empty, 10), IsEmpty());
  EXPECT_THAT(MergeCandidates(Lists{{Of(1, 1, kFromPopular)}}, 0), IsEmpty());
}

TEST(MergeTest, AListThatIsAloneStaysAsItIs) {
  const Lists lists = {{}, {Of(3, .9f, kFromEmbedding), Of(1, -8, kFromEmbedding)}, {}};
  EXPECT_THAT(MergeCandidates(lists, 10),
              ElementsAre(Is(3, .9, kFromEmbedding), Is(1, -8, kFromEmbedding)));
  EXPECT_THAT(MergeCandidates(lists, 1), ElementsAre(Is(3, .9, kFromEmbedding)));
}

TEST(MergeTest, ScoresAreSumsOfReciprocalRanks) {
  const Lists lists = {{Of(3, .9f, kFromEmbedding), Of(1, .8f, kFromEmbedding)},
                       {Of(2, 50, kFromPopular), Of(1, 40, kFromPopular)}};
  EXPECT_THAT(MergeCandidates(lists, 10),
              ElementsAre(Is(1, 1. / 12 + 1. / 12, kFromEmbedding | kFromPopular),
                          Is(2, 1. / 11, kFromPopular), Is(3, 1. / 11, kFromEmbedding)));
}

TEST(MergeTest, TheBestAreKept) {
  const Lists lists = {
      {Of(5, 3, kFromEmbedding), Of(4, 2, kFromEmbedding), Of(9, 1, kFromEmbedding)},
      {Of(4, 2, kFromPopular), Of(9, 1, kFromPopular)}};
  EXPECT_THAT(MergeCandidates(lists, 2),
              ElementsAre(Is(4, 1. / 12 + 1. / 11, kFromEmbedding | kFromPopular),
                          Is(9, 1. / 13 + 1. / 12, kFromEmbedding | kFromPopular)));
}

TEST(MergeTest, AHugeCountCostsNothing) {
  EXPECT_THAT(MergeCandidates(Lists{{Of(1, 1, kFromPopular)}}, size_t{1} << 60),
              ElementsAre(Is(1, 1, kFromPopular)));
}

}  // namespace
}  // namespace groundswell
