#include "models/files/strict_json.h"

#include <gtest/gtest.h>

namespace groundswell {
namespace {

void ExpectRefused(const std::string& text, const std::string& what) {
  const absl::Status status = ParseStrictJson(text).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text.substr(0, 64);
  EXPECT_NE(std::string(status.message()).find(what), std::string::npos) << status;
}

std::string Nested(size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

TEST(StrictJsonTest, WhatIsNotJsonIsRefused) {
  for (const char* text : {"", "{", "[1,]", "{\"a\"}", "1 2", "NaN", "1e999", "\"\xff\"",
                           "\"\\ud800\"", "\"line\nbreak\"", "/* */ 1"}) {
    ExpectRefused(text, "not JSON");
  }
}

TEST(StrictJsonTest, NestingIsBounded) {
  EXPECT_TRUE(ParseStrictJson(Nested(kJsonDepthMax)).ok());
  ExpectRefused(Nested(kJsonDepthMax + 1), "nested deeper than 32");
  ExpectRefused(Nested(1'000'000), "nested deeper than 32");
}

TEST(StrictJsonTest, AKeyThatStandsTwiceInOneObjectIsNamed) {
  ExpectRefused(R"({"users":3,"items":1,"users":4})", "\"users\"");
  ExpectRefused(R"([{"a":{"b":1,"b":1}}])", "\"b\"");
  ExpectRefused(R"({"a":1,"\u0061":2})", "\"a\"");  // the same key, written otherwise
}

TEST(StrictJsonTest, TheSameKeyInDifferentObjectsIsFine) {
  const auto document = ParseStrictJson(R"({"a":{"a":1},"b":[{"a":2},{"a":3}]})");
  ASSERT_TRUE(document.ok()) << document.status();
  EXPECT_EQ((*document)["b"][1]["a"], 3);
}

}  // namespace
}  // namespace groundswell
