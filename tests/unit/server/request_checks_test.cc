#include "server/request_checks.h"

#include <gtest/gtest.h>

#include <limits>

namespace groundswell {
namespace {

TEST(RequestChecksTest, ExplainedItemsAreNoneByDefaultAndTenAtMost) {
  EXPECT_EQ(*CheckExplainItems(0), 0u);
  EXPECT_EQ(*CheckExplainItems(1), 1u);
  EXPECT_EQ(*CheckExplainItems(10), 10u);
  EXPECT_EQ(*CheckExplainItems(11), 10u);
  EXPECT_EQ(*CheckExplainItems(std::numeric_limits<int32_t>::max()), 10u);
}

TEST(RequestChecksTest, ANegativeNumberOfExplainedItemsIsRefusedByName) {
  for (const int32_t value : {-1, std::numeric_limits<int32_t>::min()}) {
    const absl::Status status = CheckExplainItems(value).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    for (const std::string& part : {std::string("explain_items"), std::to_string(value),
                                    std::string("must be 1 to 10, or 0 for none")}) {
      EXPECT_NE(std::string(status.message()).find(part), std::string::npos) << status;
    }
  }
}

TEST(RequestChecksTest, SourcesAreThoseThatProposeEachOnce) {
  v1::RecommendRequest request;
  EXPECT_EQ(*CheckOnlySources(request.only_sources()), 0u);
  request.add_only_sources(v1::CANDIDATE_SOURCE_TRENDING);
  request.add_only_sources(v1::CANDIDATE_SOURCE_RANDOM_WALK);
  request.add_only_sources(v1::CANDIDATE_SOURCE_HISTORY);
  EXPECT_EQ(*CheckOnlySources(request.only_sources()),
            uint32_t{kFromTrending | kFromWalk | kFromHistory});
  for (const int bad :
       {int{v1::CANDIDATE_SOURCE_TRENDING}, int{v1::CANDIDATE_SOURCE_REQUEST},
        int{v1::CANDIDATE_SOURCE_PINNED}, int{v1::CANDIDATE_SOURCE_UNSPECIFIED}, 99}) {
    v1::RecommendRequest refused = request;
    refused.mutable_only_sources()->Add(bad);
    const auto checked = CheckOnlySources(refused.only_sources());
    EXPECT_EQ(checked.status().code(), absl::StatusCode::kInvalidArgument) << bad;
  }
}

TEST(RequestChecksTest, DiversityIsAShareAndANumberOfItems) {
  v1::ListDiversity diversity;
  EXPECT_EQ(CheckDiversity(diversity)->strength, 0);
  diversity.set_strength(1);
  diversity.set_category_max(3);
  EXPECT_EQ(CheckDiversity(diversity)->strength, 1);
  EXPECT_EQ(CheckDiversity(diversity)->category_max, 3u);
  for (const double bad : {-0.1, 1.1, std::numeric_limits<double>::quiet_NaN()}) {
    v1::ListDiversity refused = diversity;
    refused.set_strength(bad);
    const absl::Status status = CheckDiversity(refused).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << bad;
    EXPECT_NE(std::string(status.message()).find("diversity.strength"), std::string::npos);
  }
  diversity.set_category_max(-1);
  EXPECT_EQ(CheckDiversity(diversity).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace groundswell
