#include "server/rpc/idle_calls.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace groundswell {
namespace {

size_t GivesWay(const std::vector<std::string>& hosts) { return IdleCalls::GivesWay(hosts); }

TEST(IdleCallsTest, TheOldestOfTheHostThatHasTheMostGivesWay) {
  EXPECT_EQ(GivesWay({"a"}), 0u);
  EXPECT_EQ(GivesWay({"a", "b", "b"}), 1u);
  EXPECT_EQ(GivesWay({"a", "b", "c", "b", "a", "b"}), 1u);
  EXPECT_EQ(GivesWay({"b", "a", "a", "a", "b"}), 1u);
}

}  // namespace
}  // namespace groundswell
