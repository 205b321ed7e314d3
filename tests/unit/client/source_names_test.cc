#include "client/source_names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace groundswell {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

TEST(SourceNamesTest, EveryNameIsThatOfItsSource) {
  EXPECT_EQ(SourceOfName("next-items"), v1::CANDIDATE_SOURCE_NEXT_ITEMS);
  for (int source = 1; source < v1::CandidateSource_ARRAYSIZE; ++source) {
    if (!v1::CandidateSource_IsValid(source)) continue;
    EXPECT_EQ(SourceOfName(SourceName(source)), static_cast<v1::CandidateSource>(source));
    EXPECT_THAT(SourceNames(), HasSubstr(SourceName(source)));
  }
}

// Numbers of sources that there are no more stay reserved; a newer server may send others.
TEST(SourceNamesTest, WhatIsNoSourceHasANumberAndCannotBeAskedFor) {
  EXPECT_EQ(SourceName(1'000), "source 1000");
  EXPECT_EQ(SourceOfName("source 1000"), std::nullopt);
  EXPECT_EQ(SourceOfName("source 5"), std::nullopt);
  EXPECT_EQ(SourceOfName(""), std::nullopt);
  EXPECT_THAT(SourceNames(), StartsWith("embedding, "));
  EXPECT_THAT(SourceNames(), Not(HasSubstr("source ")));
}

}  // namespace
}  // namespace groundswell
