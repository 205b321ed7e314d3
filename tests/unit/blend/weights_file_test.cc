#include "blend/weights_file.h"

#include <gmock/gmock.h>

#include <cmath>
#include <random>

namespace groundswell {
namespace {

using ::testing::HasSubstr;

TEST(BlendWeightsFileTest, WhatIsPrintedIsReadToTheBit) {
  std::mt19937 random(1);
  BlendWeights weights;
  for (BlendWeights::Row& row : weights.rows) {
    for (float& w : row) w = std::ldexp(static_cast<float>(random() % 4096) - 2048, -7);
  }
  weights.rows[1][3] = 1.1754944e-38f;
  const auto read = ParseBlendWeights(PrintBlendWeights(weights));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read, weights);
}

TEST(BlendWeightsFileTest, WhatIsNotThereIsZero) {
  const auto read = ParseBlendWeights(
      R"({"format_version": 1, "weights": {"returning": {"popularity.hour": -2.5}}})");
  ASSERT_TRUE(read.ok()) << read.status();
  BlendWeights expected;
  expected.Of(BlendContext::kReturning)[1] = -2.5f;
  expected.Of(BlendContext::kReturningUnseen)[1] = -2.5f;
  EXPECT_EQ(*read, expected);
}

TEST(BlendWeightsFileTest, WhoeverComesBackForWhatIsNewHasWeightsOfTheirOwnWhereTheFileHasThem) {
  const auto read = ParseBlendWeights(
      R"({"format_version": 1, "weights": {"returning": {"popularity.hour": -2.5},
                                           "returning_unseen": {"popularity.hour": 1}}})");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->Of(BlendContext::kReturning)[1], -2.5f);
  EXPECT_EQ(read->Of(BlendContext::kReturningUnseen)[1], 1);
}

TEST(BlendWeightsFileTest, ErrorsNameTheKeyAndTheRemedy) {
  const auto error = [](std::string_view text) {
    const auto read = ParseBlendWeights(text);
    EXPECT_TRUE(absl::IsInvalidArgument(read.status())) << text;
    return std::string(read.status().message());
  };
  EXPECT_THAT(error("{"), HasSubstr("not JSON"));
  EXPECT_THAT(error("[]"), HasSubstr("\"format_version\" and \"weights\""));
  EXPECT_THAT(error(R"({"format_version": 2, "weights": {}})"), HasSubstr("must be 1"));
  EXPECT_THAT(error(R"({"format_version": 1, "weights": {}, "rate": 1})"),
              HasSubstr("an object of"));
  EXPECT_THAT(error(R"({"format_version": 1, "weights": []})"), HasSubstr("must be an object"));
  EXPECT_THAT(error(R"({"format_version": 1, "weights": {"all": {}}})"),
              HasSubstr("it may have new_user, in_visit, returning, returning_unseen"));
  EXPECT_THAT(error(R"({"format_version": 1, "weights": {"returning": {"popularity": 1}}})"),
              HasSubstr("\"popularity\", which is no feature"));
  for (const char* bad : {"33", "-1e300", "\"1\"", "null", "[1]"}) {
    const std::string text =
        std::string(R"({"format_version": 1, "weights": {"returning": {"own.taken": )") + bad +
        "}}}";
    EXPECT_THAT(error(text), HasSubstr("from -32 to 32"));
  }
}

TEST(BlendWeightsFileTest, TheBuiltInWeightsAreAFileToo) {
  const auto read = ParseBlendWeights(PrintBlendWeights(BuiltInBlendWeights()));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read, BuiltInBlendWeights());
  EXPECT_NE(*read, BlendWeights{});
}

}  // namespace
}  // namespace groundswell
