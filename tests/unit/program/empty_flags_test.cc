#include "program/empty_flags.h"

#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <array>
#include <string>
#include <vector>

namespace groundswell {
namespace {

// What is wrong with the command line; empty: nothing.
std::string WhatIsWrong(std::vector<std::string> words) {
  CLI::App app("", "program");
  std::string file, title, user;
  std::vector<std::string> items;
  uint64_t limit = 0;
  app.add_option("--file", file);
  CLI::App& sub = *app.add_subcommand("put", "");
  sub.add_option("--title", title);
  sub.add_option("--item", items);
  sub.add_option("--limit", limit);
  sub.add_option("user", user);
  CLI::App& other = *app.add_subcommand("get", "");
  other.add_option("--title", title);
  constexpr std::array<std::string_view, 1> kMayBeEmpty = {"put --title"};
  CheckEmptyFlags(app, kMayBeEmpty);
  std::reverse(words.begin(), words.end());
  try {
    app.parse(words);
  } catch (const CLI::ParseError& error) {
    return error.what();
  }
  return "";
}

TEST(EmptyFlagsTest, AnEmptyTextIsRefusedByItsFlag) {
  EXPECT_NE(WhatIsWrong({"--file", ""}).find("--file: it is empty"), std::string::npos);
  EXPECT_NE(WhatIsWrong({"put", "--item", ""}).find("--item"), std::string::npos);
  EXPECT_NE(WhatIsWrong({"put", "--item", "a", "--item", ""}).find("--item"), std::string::npos);
  EXPECT_NE(WhatIsWrong({"get", "--title", ""}).find("--title"), std::string::npos);
}

TEST(EmptyFlagsTest, OthersAreTaken) {
  EXPECT_EQ(WhatIsWrong({}), "");
  EXPECT_EQ(WhatIsWrong({"--file", " "}), "");
  EXPECT_EQ(WhatIsWrong({"put", "--title", "", "--limit", "3"}), "");
  EXPECT_EQ(WhatIsWrong({"put", ""}), "") << "what it is called is for the command to say";
}

}  // namespace
}  // namespace groundswell
