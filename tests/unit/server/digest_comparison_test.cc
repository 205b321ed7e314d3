#include "server/serving/digest_comparison.h"

#include <gmock/gmock.h>

#include <string>
#include <vector>

namespace groundswell {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class DigestComparisonTest : public testing::Test {
 protected:
  void Own(Offset offset, const std::string& digest, const std::string& snapshot = "s") {
    comparison_.TakeOwn(offset, snapshot, digest);
  }
  void Told(uint64_t server, Offset offset, const std::string& digest,
            const std::string& snapshot = "s") {
    comparison_.Take(
        {.server = server, .offset = offset, .snapshot_digest = snapshot, .digest = digest});
  }

  std::vector<bool> compared_;
  DigestComparison comparison_{[this](bool is_same) { compared_.push_back(is_same); }};
};

TEST_F(DigestComparisonTest, ComparesWhicheverComesFirst) {
  Own(4'096, "aa");
  Told(1, 4'096, "aa");
  Told(1, 8'192, "bb");
  EXPECT_THAT(compared_, ElementsAre(true));
  Own(8'192, "cc");
  EXPECT_THAT(compared_, ElementsAre(true, false));
}

TEST_F(DigestComparisonTest, IsNotComparedWithItself) {
  comparison_.Take(comparison_.TakeOwn(4'096, "s", "aa"));
  EXPECT_THAT(compared_, IsEmpty());
}

TEST_F(DigestComparisonTest, AServerThatTellsTwiceIsOne) {
  Own(4'096, "aa");
  Told(1, 4'096, "bb");
  Told(1, 4'096, "bb");
  EXPECT_THAT(compared_, ElementsAre(false));
  EXPECT_EQ(comparison_.DivergedBecause(), "");
}

TEST_F(DigestComparisonTest, OneAgainstTheRestHasDiverged) {
  Own(4'096, "aa");
  Told(1, 4'096, "bb");
  EXPECT_EQ(comparison_.DivergedBecause(), "") << "of two nobody knows who is right";
  Told(2, 4'096, "bb");
  EXPECT_THAT(comparison_.DivergedBecause(), HasSubstr("DIVERGED: at offset 4096"));
}

TEST_F(DigestComparisonTest, WhoIsWithTheMostHasNotDiverged) {
  Own(4'096, "bb");
  Told(1, 4'096, "bb");
  Told(2, 4'096, "aa");
  EXPECT_EQ(comparison_.DivergedBecause(), "");
}

TEST_F(DigestComparisonTest, TheNewestOffsetThatWasComparedCounts) {
  for (const uint64_t server : {1, 2}) Told(server, 4'096, "bb");
  Own(4'096, "aa");
  EXPECT_NE(comparison_.DivergedBecause(), "");
  Own(8'192, "cc");
  EXPECT_NE(comparison_.DivergedBecause(), "") << "nobody was heard of there";
  Told(1, 8'192, "cc");
  EXPECT_EQ(comparison_.DivergedBecause(), "");
}

TEST_F(DigestComparisonTest, GraphsOfTwoSnapshotsAreNotCompared) {
  Own(4'096, "aa", "old");
  Told(1, 4'096, "bb", "new");
  Told(2, 4'096, "bb", "new");
  EXPECT_THAT(compared_, IsEmpty());
  Own(4'096, "bb", "new");
  EXPECT_THAT(compared_, ElementsAre(true, true));
  EXPECT_EQ(comparison_.DivergedBecause(), "");
}

TEST_F(DigestComparisonTest, WhatIsKeptIsBounded) {
  Own(1, "aa");
  for (uint64_t server = 1; server <= 2 * DigestComparison::kServersMax; ++server) {
    Told(server, 1, "aa");
  }
  EXPECT_EQ(compared_.size(), DigestComparison::kServersMax);
  for (Offset offset = 2; offset <= 1 + Offset{DigestComparison::kOffsetsMax}; ++offset) {
    Own(offset, "aa");
  }
  compared_.clear();
  Told(1'000, 1, "aa");
  EXPECT_THAT(compared_, IsEmpty()) << "of an offset that is too old";
}

}  // namespace
}  // namespace groundswell
