#include "client/events/grouped_reasons.h"

#include <gmock/gmock.h>

namespace groundswell {
namespace {

using testing::ElementsAre;

TEST(GroupedReasonsTest, WhatDiffersInValuesIsOneReasonAndTheMostFrequentComesFirst) {
  GroupedReasons reasons;
  reasons.Add("record 1: user is \"\"; it must not be empty");
  for (int i = 0; i < 3; ++i) {
    reasons.Add("item \"a" + std::to_string(i) + "\" is not known: offset " + std::to_string(i));
  }
  EXPECT_THAT(reasons.ToStrings(), ElementsAre("item \"a0\" is not known: offset 0 (3 times)",
                                               "record 1: user is \"\"; it must not be empty"));
}

TEST(GroupedReasonsTest, TheyAreBounded) {
  GroupedReasons reasons;
  std::string message;
  for (int i = 0; i < 100; ++i) reasons.Add(message += "x", 2);
  const auto texts = reasons.ToStrings();
  EXPECT_EQ(texts.size(), GroupedReasons::kKindsMax + 1);
  EXPECT_EQ(texts[0], "other reasons (160 times)");
}

}  // namespace
}  // namespace groundswell
