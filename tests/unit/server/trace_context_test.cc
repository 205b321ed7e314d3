#include "server/rpc/trace_context.h"

#include <gtest/gtest.h>

namespace groundswell {
namespace {

constexpr char kTrace[] = "4bf92f3577b34da6a3ce929d0e0e4736";
constexpr char kParent[] = "00f067aa0ba902b7";

std::string Header(const std::string& version, const std::string& rest = "") {
  return version + "-" + kTrace + "-" + kParent + "-01" + rest;
}

TEST(TraceContextTest, TheHeaderOfTheSpecificationIsRead) {
  const auto trace = ParseTraceParent(Header("00"));
  ASSERT_TRUE(trace.has_value());
  EXPECT_EQ(trace->trace_id, kTrace);
  EXPECT_EQ(trace->parent_id, kParent);
  EXPECT_EQ(trace->flags, "01");
}

TEST(TraceContextTest, ALaterVersionMayHaveMoreBehindIt) {
  EXPECT_TRUE(ParseTraceParent(Header("01", "-more")).has_value());
  EXPECT_FALSE(ParseTraceParent(Header("01", "more")).has_value());
  EXPECT_FALSE(ParseTraceParent(Header("00", "-more")).has_value());
  EXPECT_FALSE(ParseTraceParent(Header("ff")).has_value());
}

TEST(TraceContextTest, AnythingElseIsNone) {
  const std::string good = Header("00");
  for (size_t length = 0; length < good.size(); ++length) {
    EXPECT_FALSE(ParseTraceParent(good.substr(0, length)).has_value()) << length;
  }
  for (size_t at = 0; at < good.size(); ++at) {
    for (const char wrong : {'G', 'A', ' ', '\0'}) {
      std::string changed = good;
      changed[at] = wrong;
      EXPECT_FALSE(ParseTraceParent(changed).has_value()) << changed;
    }
  }
  EXPECT_FALSE(ParseTraceParent("00-00000000000000000000000000000000-00f067aa0ba902b7-01"));
  EXPECT_FALSE(ParseTraceParent("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01"));
}

TEST(TraceContextTest, TheAnswerIsOfTheSameTraceAndEverAnotherSpan) {
  const auto trace = ParseTraceParent(Header("00"));
  const auto first = ParseTraceParent(TraceResponse(*trace));
  const auto second = ParseTraceParent(TraceResponse(*trace));
  ASSERT_TRUE(first.has_value() && second.has_value());
  EXPECT_EQ(first->trace_id, kTrace);
  EXPECT_EQ(first->flags, "01");
  EXPECT_NE(first->parent_id, kParent);
  EXPECT_NE(first->parent_id, second->parent_id);
}

}  // namespace
}  // namespace groundswell
