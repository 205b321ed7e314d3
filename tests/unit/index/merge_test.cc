#include "index/merge.h"

#include <gmock/gmock.h>

namespace groundswell {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Candidate Of(uint32_t item, float score, uint32_t sources) {
  return {static_cast<ItemIndex>(item), score, sources};
}

MATCHER_P3(Is, item, score, sources, "") {
  return ToInt(arg.item) == static_cast<uint32_t>(item) && arg.score == score &&
         arg.sources == static_cast<uint32_t>(sources);
}

TEST(MergeTest, NothingMergesToNothing) {
  EXPECT_THAT(MergeCandidates({}, 10), IsEmpty());
  const std::vector<std::vector<Candidate>> empty(2);
  EXPECT_THAT(MergeCandidates(empty, 10), IsEmpty());
  const std::vector<std::vector<Candidate>> lists = {{Of(1, 1, kFromPopular)}};
  EXPECT_THAT(MergeCandidates(lists, 0), IsEmpty());
}

TEST(MergeTest, TheFirstListLeadsAndSourcesAreUnited) {
  const std::vector<std::vector<Candidate>> lists = {
      {Of(3, .9f, kFromEmbedding), Of(1, .8f, kFromEmbedding)},
      {Of(2, 50, kFromPopular), Of(1, 40, kFromPopular)}};
  EXPECT_THAT(MergeCandidates(lists, 10),
              ElementsAre(Is(3, .9f, kFromEmbedding), Is(1, .8f, kFromEmbedding | kFromPopular),
                          Is(2, 50.f, kFromPopular)));
}

TEST(MergeTest, AFullListStillLearnsWhoElseProposedItsItems) {
  const std::vector<std::vector<Candidate>> lists = {
      {Of(3, .9f, kFromEmbedding), Of(1, .8f, kFromEmbedding)},
      {Of(2, 50, kFromPopular), Of(3, 40, kFromPopular)}};
  EXPECT_THAT(MergeCandidates(lists, 2),
              ElementsAre(Is(3, .9f, kFromEmbedding | kFromPopular), Is(1, .8f, kFromEmbedding)));
}

TEST(MergeTest, AHugeCountCostsNothing) {
  const std::vector<std::vector<Candidate>> lists = {{Of(1, 1, kFromPopular)}};
  EXPECT_THAT(MergeCandidates(lists, size_t{1} << 60), ElementsAre(Is(1, 1.f, kFromPopular)));
}

}  // namespace
}  // namespace groundswell
